"""How good is each temperature once the other settings are at their best for it, and which temperatures are best?

Both questions are answered by counting joint posterior draws, so that sets may be disconnected and touch the ends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from search.analysis.surface import Array, Surface
from search.answer import ResponsePoint, TemperatureSet

DRAWS = 2000
_SPREAD = 256  # settings spread evenly over the space
_NEAR = 8  # settings tried near each promising one
_KEPT = 6  # settings kept at each temperature, by each of two rules


def grid(low: float, high: float, count: int = 40) -> Array:
    """Temperatures [count] from low to high in equal ratios."""
    temperatures = np.geomspace(low, high, count)
    temperatures[0], temperatures[-1] = low, high  # to the bit: they are said to the user
    return temperatures


def profile_draws(surface: Surface, tried: Array, count: int, rng: np.random.Generator) -> Array:
    """Draws [DRAWS, count] of max over settings of mean quality, at `count` temperatures evenly spread over 0..1.

    `tried` [n, d] holds the other settings of the trials, in 0..1. The first column of the surface is temperature.
    """
    dimensions = tried.shape[1]
    if dimensions == 0:
        return surface.draws(np.linspace(0, 1, count)[:, None], DRAWS, rng)
    even = qmc.Sobol(dimensions, rng=rng).random(_SPREAD)
    settings = np.unique(np.concatenate([even, np.clip(tried, 0, 1)]), axis=0)
    promising = settings[np.unique(_promising(surface, settings, count))]
    near = np.clip(
        np.repeat(promising, _NEAR, axis=0) + 0.07 * rng.standard_normal((len(promising) * _NEAR, dimensions)), 0, 1
    )
    settings = np.concatenate([settings, near])
    chosen = _promising(surface, settings, count)
    drawn = surface.draws(
        _points(settings[chosen.ravel()], np.repeat(np.linspace(0, 1, count), chosen.shape[1])), DRAWS, rng
    )
    return np.asarray(drawn.reshape(DRAWS, count, -1).max(axis=2))


def _points(settings: Array, temperatures: Array) -> Array:
    return np.column_stack([temperatures, settings])


def _promising(surface: Surface, settings: Array, count: int) -> NDArray[np.intp]:
    """Indices [count, 2 * _KEPT] of the settings that may be the best at each temperature: by mean, and by promise."""
    rows = []
    for temperature in np.linspace(0, 1, count):
        mean, deviation = surface.summarise(_points(settings, np.full(len(settings), temperature)))
        best = np.argsort(-mean, kind="stable")[:_KEPT]
        hopeful = np.argsort(-(mean + deviation), kind="stable")
        rows.append(np.concatenate([best, hopeful[~np.isin(hopeful, best)][:_KEPT]]))
    return np.array(rows)


def points(temperatures: Array, draws: Array, confidence: float, sign: int) -> list[ResponsePoint]:
    """Mean and pointwise band of the profile; `sign` turns the oriented draws back to the objective's own values."""
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    ends = np.sort(np.stack([sign * low, sign * high]), axis=0)
    return [
        ResponsePoint(temperature=float(t), mean=float(m), low=float(a), high=float(b))
        for t, m, a, b in zip(temperatures, sign * draws.mean(axis=0), *ends, strict=True)
    ]


def confidence_set(temperatures: Array, draws: Array, confidence: float) -> TemperatureSet:
    """The smallest set of grid temperatures in which the draws' best T lies with this probability.

    A gap of one grid step is closed: it is the draws' own noise, and closing it only makes the set larger.
    """
    frequency = np.bincount(draws.argmax(axis=1), minlength=len(temperatures)) / len(draws)
    order = np.argsort(-frequency, kind="stable")
    needed = int(np.searchsorted(np.cumsum(frequency[order]), confidence - 1e-12)) + 1
    member = np.zeros(len(temperatures), dtype=bool)
    member[order[:needed]] = True
    member[1:-1] |= member[:-2] & member[2:]
    return _as_set(temperatures, member, confidence)


def equivalent_set(temperatures: Array, draws: Array, delta: float, confidence: float) -> TemperatureSet:
    """The temperatures whose profile is within delta of the best one's with at least this probability; often none."""
    close = draws >= draws.max(axis=1, keepdims=True) - delta
    return _as_set(temperatures, close.mean(axis=0) >= confidence, confidence)


def _as_set(temperatures: Array, member: NDArray[np.bool_], confidence: float) -> TemperatureSet:
    """Runs of grid temperatures as intervals: each stands for all that is nearer to it than to its neighbours."""
    between = np.sqrt(temperatures[:-1] * temperatures[1:])
    low_ends, high_ends = np.append(temperatures[0], between), np.append(between, temperatures[-1])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], member.astype(int), [0]])))
    return TemperatureSet(
        intervals=[(float(low_ends[a]), float(high_ends[b - 1])) for a, b in edges.reshape(-1, 2)],
        confidence=confidence,
        censored_low=bool(member[0]),
        censored_high=bool(member[-1]),
    )
