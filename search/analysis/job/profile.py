"""The profile along T with the other settings at their best, and the sets of best temperatures.

Both questions are answered by counting joint posterior draws, so that sets may be disconnected and touch the ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from search.scales import value_at
from search.surrogate.surface import Array
from thermowell.api.answers import ResponsePoint, TemperatureSet

GRID = 40
"""Temperatures of a profile over a range."""
DRAWS = 2000
DOUBT = 2
"""By how much the draws' chance of missing the best T is discounted, since the surface may not be as they take it."""
_SPREAD = 256  # settings spread evenly over the space
_NEAR = 16  # settings tried near each best one,
_STEP = 0.07  # at about this distance


def grid(low: float, high: float, count: int = GRID) -> Array:
    """Temperatures [count] from low to high in equal ratios."""
    temperatures = np.array([value_at(share, low, high, log=True) for share in np.linspace(0, 1, count)])
    temperatures[0], temperatures[-1] = low, high  # to the bit: they are said to the user
    return temperatures


def best_settings(
    mean: Callable[[Array], Array],
    allowed: Callable[[Array], Array],
    tried: Array,
    temperatures: Array,
    rng: np.random.Generator,
) -> Array:
    """A profile's points [n, 1 + d]: `temperatures` [n], in 0..1, each with the settings [d] that are best there.

    Best means: of the highest posterior `mean` [m] of points [m, 1 + d], among settings spread evenly, those that were
    `tried` [k, d] and some near the best of both, each taken to the nearest one that is `allowed`. Each draw's own
    maximum over settings would be an alternative, but it takes the unknown for good: on synthetic jobs of 64 trials its
    bands of 90 % held the truth at 83 % of temperatures, 1.4 points too high on average; these held it at 95 %.
    """
    dimensions = tried.shape[1]
    if dimensions == 0:
        return temperatures[:, None]
    even = qmc.Sobol(dimensions, rng=rng).random(_SPREAD)
    settings = np.unique(allowed(np.concatenate([even, tried])), axis=0)
    best = np.repeat(np.unique(_best(mean, settings, temperatures), axis=0), _NEAR, axis=0)
    near = allowed(best + _STEP * rng.standard_normal(best.shape))
    return np.column_stack([temperatures, _best(mean, np.concatenate([settings, near]), temperatures)])


def _best(mean: Callable[[Array], Array], settings: Array, temperatures: Array) -> Array:
    """Of settings [m, d], those [len(at), d] with the highest posterior mean at each temperature."""
    means = (mean(np.column_stack([np.full(len(settings), temperature), settings])) for temperature in temperatures)
    return settings[[int(row.argmax()) for row in means]]


def points(temperatures: Array, draws: Array, confidence: float, sign: int) -> list[ResponsePoint]:
    """Mean and pointwise band of the profile; `sign` turns the oriented draws back to the objective's own values."""
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    ends = np.sort(np.stack([sign * low, sign * high]), axis=0)
    return [
        ResponsePoint(temperature=float(t), mean=float(m), low=float(a), high=float(b))
        for t, m, a, b in zip(temperatures, sign * draws.mean(axis=0), *ends, strict=True)
    ]


def confidence_set(
    temperatures: Array, draws: Array, delta: float, confidence: float, holds: Sequence[float] = ()
) -> TemperatureSet:
    """Temperatures among which the best one lies with at least this probability, those that it `holds` among them.

    They are taken in the order of how likely each is to be within delta of the best, until they hold the best one of
    nearly all draws: those that miss it may be half (DOUBT) of what the confidence allows. Of all sets that hold it
    as often this one leaves out first what is likely to be worse; the smallest ones leave out temperatures that nothing
    tells from the best, because smooth draws have their maxima at the ends. The draws are surer than they should be
    where students' surface is not as smooth as the process takes it to be: without the doubt, 90 % held the best T in
    90 to 95 % of jobs on smooth surfaces, but in 70 % on a table of real students
    (benchmarks/calibration/response_coverage.md).
    """
    likely = (draws >= draws.max(axis=1, keepdims=True) - delta).mean(axis=0)
    frequency = best_shares(draws)
    enough = 1 - (1 - confidence) / DOUBT
    member = np.zeros(len(temperatures), dtype=bool)
    for index in np.lexsort((-frequency, -likely)):
        if frequency[member].sum() >= enough - 1e-12:
            break
        member[index] = True
    for temperature in holds:
        member[np.abs(np.log(temperatures) - np.log(temperature)).argmin()] = True
    member[1:-1] |= member[:-2] & member[2:]  # a gap of one step is the draws' own noise
    return _as_set(temperatures, member, confidence)


def best_shares(draws: Array) -> Array:
    """Of how many of the draws [n, count], as a share, each temperature [count] is the best one."""
    return np.bincount(draws.argmax(axis=1), minlength=draws.shape[1]) / len(draws)


def equivalent_set(temperatures: Array, draws: Array, delta: float, confidence: float) -> TemperatureSet:
    """The temperatures whose profile is within delta of the best one's with at least this probability; often none."""
    close = draws >= draws.max(axis=1, keepdims=True) - delta
    return _as_set(temperatures, close.mean(axis=0) >= confidence, confidence)


def _as_set(temperatures: Array, member: NDArray[np.bool_], confidence: float) -> TemperatureSet:
    """Runs of grid temperatures as intervals: each stands for all that is nearer to it than to its neighbours."""
    between = np.sqrt(temperatures[:-1]) * np.sqrt(temperatures[1:])
    low_ends, high_ends = np.append(temperatures[0], between), np.append(between, temperatures[-1])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], member.astype(int), [0]])))
    return TemperatureSet(
        intervals=[(float(low_ends[a]), float(high_ends[b - 1])) for a, b in edges.reshape(-1, 2)],
        confidence=confidence,
        censored_low=bool(member[0]),
        censored_high=bool(member[-1]),
    )
