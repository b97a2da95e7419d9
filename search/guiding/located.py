"""Intervals of a best temperature and of a mean, from draws and few measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from search.answer import Interval
from search.guiding.cells import Cell, Optimum
from search.guiding.documents import Located, Measured
from search.guiding.likelihood import STEP, gridded
from search.guiding.sampler import Array

DRAWS = 2000
Range = tuple[float, float]


def located(draws: Array, searched: Range, confidence: float) -> Located:
    """The temperature of draws [n] of log2 T*. What lies beyond the range that was searched is told at its end."""
    low, high = math.log2(searched[0]), math.log2(searched[1])
    ends = np.quantile(draws, [(1 - confidence) / 2, 0.5, (1 + confidence) / 2])
    first, middle, last = (_temperature(float(end), searched) for end in ends)
    return Located(
        temperature=middle,
        interval=Interval(low=first, high=last, confidence=confidence),
        below=float((draws <= low + STEP / 2).mean()),
        above=float((draws >= high - STEP / 2).mean()),
        censored_low=bool(ends[0] <= low + STEP / 2),
        censored_high=bool(ends[2] >= high - STEP / 2),
    )


def _temperature(octaves: float, searched: Range) -> float:
    if octaves <= math.log2(searched[0]) + STEP / 2:
        return searched[0]
    return searched[1] if octaves >= math.log2(searched[1]) - STEP / 2 else float(2.0**octaves)


def of_jobs(optima: Sequence[Optimum], spreads: Array, rng: np.random.Generator) -> Array:
    """Draws [DRAWS] of log2 T*: of one job as it says itself, of several the mean of jobs of their cell.

    `spreads` are draws of the deviation of one job from its cell's mean. Several are put together by their evidence,
    which goes on beyond the range. The average of what each says would lie in the middle of the range where none of
    them knows anything, and more surely so the more they are.
    """
    if len(optima) == 1:
        return np.asarray(np.log2(rng.choice(optima[0].temperatures, DRAWS, p=np.array(optima[0].shares))))
    evidence = gridded(optima)
    off = (evidence.centres[:, None] - evidence.centres) / spreads[:, None, None]
    near = np.exp(-0.5 * off**2) * evidence.widths
    near /= near.sum(axis=-1, keepdims=True)
    told = np.log(near @ evidence.likelihood.T).sum(axis=-1)  # [spreads, means]
    weight = np.exp(told - told.max()).sum(axis=0) * evidence.widths
    at = rng.choice(len(weight), DRAWS, p=weight / weight.sum())
    return np.asarray(evidence.centres[at] + (rng.random(DRAWS) - 0.5) * evidence.widths[at])


def quality(cell: Cell) -> Measured | None:
    """How good a job's winner is."""
    one = cell.quality
    return None if one is None or one.mean is None else Measured(mean=one.mean, interval=one.interval)


def gain(cell: Cell) -> Measured | None:
    """What a job's winner gains over T = 4."""
    one = cell.gain
    return None if one is None or one.mean is None else Measured(mean=one.mean, interval=one.interval)


def averaged(
    found: Sequence[Measured], between: tuple[float, int], confidence: float, rng: np.random.Generator
) -> Measured | None:
    """The mean of several jobs' numbers, each of them counting the same.

    Its error is what each job says of its own, or, where that is more, what jobs of the same cell differ by:
    `between` has that variance and its degrees of freedom. A job that gives no interval leaves the mean without one.
    """
    kept = [one for one in found if math.isfinite(one.mean)]
    if not kept:
        return None
    if len(kept) == 1:
        return kept[0]
    count, mean = len(kept), math.fsum(one.mean for one in kept) / len(kept)
    spread, freedom = between
    halves = [(one.interval.high - one.interval.low) / 2 for one in kept if one.interval is not None]
    if len(halves) < count and not freedom:
        return Measured(mean=mean, interval=None)
    reach = math.sqrt(sum(half**2 for half in halves)) / count if len(halves) == count else 0.0
    if freedom:  # the quantile of Student's t, from draws: scipy is not here
        drawn = np.abs(rng.standard_t(freedom, 20_000)) * math.sqrt(spread / count)
        reach = max(reach, float(np.quantile(drawn, confidence)))
    return Measured(mean=mean, interval=Interval(low=mean - reach, high=mean + reach, confidence=confidence))


def within_cells(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The variance of numbers about the means of their cells, and its degrees of freedom."""
    clean = [[one for one in group if math.isfinite(one)] for group in groups]
    freedom = sum(max(len(group) - 1, 0) for group in clean)
    squares = sum(float(np.var(group)) * len(group) for group in clean if len(group) > 1)
    return (squares / freedom, freedom) if freedom else (0.0, 0)
