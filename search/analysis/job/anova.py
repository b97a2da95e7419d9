"""Functional analysis of variance of a fitted surface: how much T and another setting act together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.stats import qmc

from search.analysis.job.fits import Fit
from search.surrogate.surface import Array, Surface
from thermowell.api.answers import InteractionShare, Interval

REPLICATES = 10
"""Resamples of the trials for each plausible set of hyperparameters."""
_LEVELS = 12  # of T and of the setting
_OTHERS = 16  # settings of the rest, spread evenly

METHOD = (
    "Shares: of the variance of the surface over the searched space (evenly on each setting's scale, bad values "
    "squeezed), the part that T and the setting explain together and neither alone (functional ANOVA: Hooker 2007; "
    "Hutter et al. 2014). Intervals: the surface refitted to trials drawn again with replacement, under each plausible "
    "set of hyperparameters in turn. Noise alone makes a share of a few hundredths, and none is below zero: judge by "
    "the interval's lower end."
)


def interaction_shares(fits: Sequence[Fit], confidence: float, rng: np.random.Generator) -> list[InteractionShare]:
    """One for each optimizer's other searched settings: what it and T explain together.

    `fits` are of one surface. The same ones and rng give the same.
    """
    weights = list(_weights(fits[0].surface, rng)) if fits else []
    return [
        _share(fit, place, weights, confidence, np.random.default_rng(int(rng.integers(2**31))))
        for fit in fits
        for place in range(len(fit.others))
    ]


def _weights(surface: Surface, rng: np.random.Generator) -> Iterator[Array]:
    """For each member, [n, 1 + REPLICATES]: what each trial weighs in its mean, of all trials and of each resample."""
    for member in surface.members:
        points, targets = member.points, member.targets
        covariance, count = member.kernel(points, points), len(targets)
        columns = [_solved(covariance, targets, np.ones(count), member.noise)]
        for _ in range(REPLICATES):
            times = np.bincount(rng.integers(count, size=count), minlength=count).astype(float)
            columns.append(_solved(covariance, targets, times, member.noise))
        yield np.column_stack(columns)


def _solved(covariance: Array, targets: Array, times: Array, noise: float) -> Array:
    """Weights [n] of the trials, each taken so many `times`: as often as it is seen, its noise averages out."""
    drawn = np.flatnonzero(times)
    weights = np.zeros(len(targets))
    matrix = covariance[np.ix_(drawn, drawn)] + np.diag(noise / times[drawn])
    weights[drawn] = np.linalg.solve(matrix, targets[drawn])
    return weights


def _share(fit: Fit, place: int, weights: list[Array], confidence: float, rng: np.random.Generator) -> InteractionShare:
    points = _points(len(fit.others), place, rng)
    decompositions = [
        _components(member.kernel(fit.points(points), member.points) @ columns)
        for member, columns in zip(fit.surface.members, weights, strict=True)
    ]
    whole = np.mean([components[:, 0] for components in decompositions], axis=0)
    resampled = np.concatenate([components[2, 1:] for components in decompositions])
    low, high = np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])
    together = float(whole[2])
    return InteractionShare(
        optimizer=fit.optimizer,
        setting=fit.others[place].name,
        share=together,
        interval=Interval(low=min(float(low), together), high=max(float(high), together), confidence=confidence),
        temperature_alone=float(whole[0]),
        setting_alone=float(whole[1]),
    )


def _points(count: int, place: int, rng: np.random.Generator) -> Array:
    """[T, setting, rest] as one list of points [_LEVELS * _LEVELS * _OTHERS, 1 + others]."""
    levels = (np.arange(_LEVELS) + 0.5) / _LEVELS
    rest = qmc.Sobol(count, rng=rng).random(_OTHERS)  # its column of the setting itself is written over
    points = np.empty((_LEVELS, _LEVELS, _OTHERS, 1 + count))
    points[..., 1:] = rest
    points[..., 0] = levels[:, None, None]
    points[..., 1 + place] = levels[None, :, None]
    return points.reshape(-1, 1 + count)


def _components(predictions: Array) -> Array:
    """Shares [3, m] of T alone, the setting alone, and both together, of m surfaces; `predictions` [., m]."""
    values = predictions.reshape(_LEVELS, _LEVELS, _OTHERS, -1)
    total = values.var(axis=(0, 1, 2))
    first, second = values.mean(axis=(1, 2)).var(axis=0), values.mean(axis=(0, 2)).var(axis=0)
    interaction = values.mean(axis=2).var(axis=(0, 1)) - first - second
    scale = np.where(total > 0, total, 1.0)
    return np.maximum(np.stack([first, second, interaction]) / scale, 0.0)
