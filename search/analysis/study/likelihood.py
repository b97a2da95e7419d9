"""The likelihood of a job's best T, freed of what the job's own prior assumed.

A smooth curve of which nothing is known has its maximum at an end of the range half of the time: an end's share speaks
of the best T only as far as it is more than that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from search.analysis.study.cells import Optimum
from search.analysis.study.gibbs import Array, Gridded

STEP = 0.125  # octaves
BEYOND = 4.0
"""Octaves beyond each end of what was searched in which a censored best T may lie."""
_FAR = 0.5  # octaves of a cell there
DOUBT = 0.03
"""The share of its word that a job does not get: its draws are surer than they should be (see analysis.profile)."""
_LENGTHS = (0.8, 0.8)  # median, and deviation of the logarithm: the prior of a response's length scale
_CURVES, _SCALES = 400, 40


def grid_likelihood(optima: Sequence[Optimum]) -> Gridded:
    """The likelihood of log2 T* over all that was searched, and BEYOND; flat beyond each job's own range."""
    low = min(np.log2(optimum.temperatures[0]) for optimum in optima)
    high = max(np.log2(optimum.temperatures[-1]) for optimum in optima)
    count = max(round((high - low) / STEP), 1)
    inner = low + (np.arange(count) + 0.5) * (high - low) / count
    far = (np.arange(round(BEYOND / _FAR)) + 0.5) * _FAR
    centres = np.concatenate([low - far[::-1], inner, high + far])
    widths = np.concatenate([np.full(len(far), _FAR), np.full(count, (high - low) / count), np.full(len(far), _FAR)])
    return Gridded(centres, widths, np.array([_at_centres(optimum, centres) for optimum in optima]))


def _at_centres(optimum: Optimum, centres: Array) -> Array:
    """At each centre the share of the nearest temperature, in units of what it has where nothing is known."""
    log_temperatures = np.log2(optimum.temperatures)
    places = tuple(
        np.round((log_temperatures - log_temperatures[0]) / (log_temperatures[-1] - log_temperatures[0]), 6).tolist()
    )
    ratio = (1 - DOUBT) * np.array(optimum.shares) / unknown(places) + DOUBT
    return np.asarray(ratio[np.searchsorted((log_temperatures[1:] + log_temperatures[:-1]) / 2, centres)])


@cache
def unknown(places: tuple[float, ...]) -> Array:
    """How often [n] each of these places, rising from 0 to 1, holds the maximum of a curve of which nothing is known.

    Curves are drawn from the prior that a job's response has along T (Matern 5/2; see surfaces.surface).
    """
    rng = np.random.default_rng(20)
    positions, count = np.array(places), len(places)
    apart = np.abs(positions[:, None] - positions[None, :])
    total = np.zeros(count)
    middle, deviation = _LENGTHS
    for length in middle * np.exp(deviation * rng.standard_normal(_SCALES)):
        r = np.sqrt(5) * apart / length
        covariance = (1 + r + r**2 / 3) * np.exp(-r) + 1e-8 * np.eye(count)
        curves = rng.standard_normal((_CURVES, count)) @ np.linalg.cholesky(covariance).T
        total += np.bincount(curves.argmax(axis=1), minlength=count)
    shares = total / total.sum()
    if np.allclose(positions, 1 - positions[::-1], atol=1e-4):
        shares = (shares + shares[::-1]) / 2
    if count > 6 and np.allclose(np.diff(positions), positions[1], atol=1e-4):
        # The inner ones of even places vary slowly: what is left of the drawing's noise is averaged out.
        inner = np.pad(shares[1:-1], 2, mode="edge")
        shares[1:-1] = np.convolve(inner, np.full(5, 0.2), mode="valid")
    shares = np.maximum(shares, 1e-4)
    return np.asarray(shares / shares.sum())
