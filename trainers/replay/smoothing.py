"""The truth behind noisy cell means: a Gaussian process over the ordinal grid, fitted per optimizer and epoch.

The smoother of one epoch is the posterior mean K (K + D)^-1 (m - c) + c (Rasmussen & Williams 2006, equation 2.23): m
are the raw cell means of the optimizer, c their mean, K = v exp(-sum_d (x_d - x'_d)^2 / (2 l_d^2)) over the places of
temperature, kd_weight, learning rate and weight decay on the grid, v the variance of m, and D the variances of the
means, which the residuals of neighbouring cells tell. Label-only cells are a surface of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainers.replay.grid import Grid

Floats = NDArray[np.float64]
Lengths = tuple[float, float, float, float]
LENGTHS: Sequence[Lengths] = tuple(
    itertools.product((1.5, 2.5, 4.0, 7.0, 12.0), (0.7, 1.5, 3.0, 6.0), (0.5, 0.8, 1.2, 2.0, 3.5), (0.7, 1.5, 3.0, 6.0))
)
"""Length scales to choose from, in places of the grid: temperature, kd_weight, learning rate, weight decay."""
_FLOOR = 1e-10  # of a variance: a mean that never varies is known, not divided by


def surfaces(grid: Grid) -> list[NDArray[np.int64]]:
    """The numbers of each surface's cells, smoothed by itself: per optimizer, the distilled and the label-only."""
    groups: dict[tuple[bool, str], list[int]] = {}
    for number, cell in enumerate(grid.cells()):
        groups.setdefault((cell.label_only, cell.optimizer), []).append(number)
    return [np.asarray(numbers) for numbers in groups.values()]


def neighbours(grid: Grid) -> list[NDArray[np.int64]]:
    """For each cell those whose residuals are pooled with its own: same optimizer and learning rate, at most one place
    away in temperature and in kd_weight, any weight decay; of a label-only cell those that differ in weight decay.
    """
    places = np.asarray([grid.coordinates(cell) for cell in range(len(grid.cells()))])
    answer: list[NDArray[np.int64]] = [np.empty(0, dtype=np.int64)] * len(places)
    for numbers in surfaces(grid):
        coordinates = places[numbers]
        apart = np.abs(coordinates[:, None] - coordinates[None])
        near = (apart[..., 0] <= 1) & (apart[..., 1] <= 1) & (apart[..., 2] == 0)
        for row, number in enumerate(numbers):
            answer[number] = numbers[near[row]]
    return answer


def smooth(grid: Grid, means: Floats, variances: Floats, lengths: Sequence[Lengths]) -> Floats:
    """The truth [cells, E] behind raw means [cells, E] of these variances; `lengths` for each of `surfaces`.

    It stays within the range of the raw means of a cell and its `neighbours`: where half of the runs diverge, the
    surface is too rough for its length scales and would swing beyond anything that was seen.
    """
    truth = np.empty_like(means)
    for numbers, scales in zip(surfaces(grid), lengths, strict=True):
        shape = _kernel(grid, numbers, scales)
        for epoch in range(means.shape[1]):
            observed = means[numbers, epoch]
            centre, spread = observed.mean(), observed.var() + _FLOOR
            noisy = spread * shape + np.diag(variances[numbers, epoch] + _FLOOR)
            truth[numbers, epoch] = centre + spread * shape @ np.linalg.solve(noisy, observed - centre)
    for cell, near in enumerate(neighbours(grid)):
        truth[cell] = np.clip(truth[cell], means[near].min(0), means[near].max(0))
    return truth


def choose_lengths(grid: Grid, means: Floats, variances: Floats, epochs: Sequence[int]) -> list[Lengths]:
    """For each surface the length scales of the largest marginal likelihood, summed over these columns of `means`
    (Rasmussen & Williams 2006, equation 2.30); a plain search over LENGTHS.
    """
    return [
        max(
            LENGTHS,
            key=lambda scales: _evidence(
                grid, numbers, scales, means[numbers][:, epochs], variances[numbers][:, epochs]
            ),
        )
        for numbers in surfaces(grid)
    ]


def _evidence(grid: Grid, numbers: NDArray[np.int64], scales: Lengths, means: Floats, variances: Floats) -> float:
    shape = _kernel(grid, numbers, scales)
    total = 0.0
    for observed, noise in zip(means.T, variances.T, strict=True):
        centred, spread = observed - observed.mean(), observed.var() + _FLOOR
        lower = np.linalg.cholesky(spread * shape + np.diag(noise + _FLOOR))
        half = np.linalg.solve(lower, centred)
        total -= 0.5 * float(half @ half) + float(np.log(np.diag(lower)).sum())
    return total


def _kernel(grid: Grid, numbers: NDArray[np.int64], scales: Lengths) -> Floats:
    places = np.asarray([grid.coordinates(int(number)) for number in numbers], dtype=float) / np.asarray(scales)
    apart = places[:, None] - places[None]
    answer: Floats = np.exp(-0.5 * (apart * apart).sum(-1))
    return answer
