"""Intervals of a best temperature and of a mean, from draws and few measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from search.analysis.study.cells import Cell, Optimum
from search.analysis.study.gibbs import Array
from search.analysis.study.likelihood import STEP, grid_likelihood
from thermowell.api.answers import Interval
from thermowell.api.guidance import Located, Measured

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
    evidence = grid_likelihood(optima)
    off = (evidence.centres[:, None] - evidence.centres) / spreads[:, None, None]
    near = np.exp(-0.5 * off**2) * evidence.widths
    near /= near.sum(axis=-1, keepdims=True)
    log_likelihood = np.log(near @ evidence.likelihood.T).sum(axis=-1)  # [spreads, means]
    weight = np.exp(log_likelihood - log_likelihood.max()).sum(axis=0) * evidence.widths
    indices = rng.choice(len(weight), DRAWS, p=weight / weight.sum())
    return np.asarray(evidence.centres[indices] + (rng.random(DRAWS) - 0.5) * evidence.widths[indices])


def quality(cell: Cell) -> Measured | None:
    """How good a job's winner is."""
    estimate = cell.quality
    return (
        None if estimate is None or estimate.mean is None else Measured(mean=estimate.mean, interval=estimate.interval)
    )


def gain(cell: Cell) -> Measured | None:
    """What a job's winner gains over T = 4."""
    difference = cell.gain
    return (
        None
        if difference is None or difference.mean is None
        else Measured(mean=difference.mean, interval=difference.interval)
    )


def average(
    measurements: Sequence[Measured], between: tuple[float, int], confidence: float, rng: np.random.Generator
) -> Measured | None:
    """The mean of several jobs' numbers, each of them counting the same.

    Its error is what each job says of its own, or, where that is more, what jobs of the same cell differ by:
    `between` has that variance and its degrees of freedom. A job that gives no interval leaves the mean without one.
    """
    finite = [measured for measured in measurements if math.isfinite(measured.mean)]
    if not finite:
        return None
    if len(finite) == 1:
        return finite[0]
    count, mean = len(finite), math.fsum(measured.mean for measured in finite) / len(finite)
    spread, freedom = between
    halves = [
        (measured.interval.high - measured.interval.low) / 2 for measured in finite if measured.interval is not None
    ]
    if len(halves) < count and not freedom:
        return Measured(mean=mean, interval=None)
    reach = math.sqrt(sum(half**2 for half in halves)) / count if len(halves) == count else 0.0
    if freedom:  # the quantile of Student's t, from draws: scipy is not here
        drawn = np.abs(rng.standard_t(freedom, 20_000)) * math.sqrt(spread / count)
        reach = max(reach, float(np.quantile(drawn, confidence)))
    return Measured(mean=mean, interval=Interval(low=mean - reach, high=mean + reach, confidence=confidence))


def within_cells(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The variance of numbers about the means of their cells, and its degrees of freedom."""
    clean = [[value for value in group if math.isfinite(value)] for group in groups]
    freedom = sum(max(len(group) - 1, 0) for group in clean)
    squares = sum(float(np.var(group)) * len(group) for group in clean if len(group) > 1)
    return (squares / freedom, freedom) if freedom else (0.0, 0)
