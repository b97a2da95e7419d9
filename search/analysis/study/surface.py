"""Quality along T in all jobs of a study on a grid at once, as joint draws.

One surface over T and the settings, and deviations from it of levels, of pairs of them, of what repeats cells and of
single jobs: Gaussian processes of one shape, whose sizes the tables of all jobs tell together. numpy alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis.study.curves import DRAWS, RUN_PRIORS, root_of
from search.analysis.study.design import Design, Point
from search.analysis.study.gibbs import Array
from search.analysis.study.tables import Tables

STEPS, RATE = 200, 0.12
"""Of the climb to the most likely hyperparameters."""
HARDLY = 0.01
"""Signal to noise of a direction in a job's table, below which it is left out."""
LEVEL = 4.0
"""The variance of a whole job's level, of which nothing is asked."""
_JITTER = 1e-6
_ROOT_5 = math.sqrt(5)
PIECES = 4
"""Of a surface: settings, T, T with settings, and how far labels alone are. Priors of their log variances follow, in
units of what a table's values spread; then, by group, how much less its deviations are."""
_SIZES = np.array([0.0, math.log(0.3), math.log(0.2), 0.0])
_DOUBTS = np.array([1.0, 1.2, 1.2, 1.0])
_LESS = {
    "all": 0.0,
    "levels": math.log(0.2),
    "pairs": math.log(0.05),
    "repeats": math.log(0.05),
    "jobs": math.log(0.02),
}
_DOUBT = 1.5
"""The prior deviation of a deviation's log variances."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Draws of one job's quality along T, as Curves has them."""

    along: Array
    curves: Array
    labels: Array | None


@dataclass(frozen=True, slots=True)
class _Shape:
    """The covariances of the pieces [PIECES, q, q], and that of a seed's changing effect [q, q]."""

    pieces: Array
    seed: Array


def curves_together(tables: Tables, design: Design, points: Sequence[Point], rng: np.random.Generator) -> list[Curve]:
    """The curves of all jobs, as joint draws. The same arguments and rng give the same."""
    model = _Model(tables, design, points)
    values = tables.undo(model.draws(model.likeliest(), rng))
    labels = np.isnan(tables.octaves)
    distilled = values[..., ~labels].reshape(*values.shape[:2], len(tables.along), -1).max(axis=-1)
    alone = values[..., labels].max(axis=-1) if labels.any() else None
    return [
        Curve(tables.along, distilled[:, job], None if alone is None else alone[:, job]) for job in range(len(points))
    ]


class _Model:
    """The process of all tables. Hyperparameters: log variances of each group's pieces, then RUN_PRIORS."""

    def __init__(self, tables: Tables, design: Design, points: Sequence[Point]) -> None:
        self.tables = tables
        self._features = _features(design, points)
        self._across = np.array([columns @ columns.T for columns in self._features.values()])
        sizes = [_SIZES + _LESS[group] for group in self._features]
        doubts = [_DOUBTS if group == "all" else np.full(PIECES, _DOUBT) for group in self._features]
        self._means = np.concatenate([*sizes, RUN_PRIORS[:, 0]])
        self._doubts = np.concatenate([*doubts, RUN_PRIORS[:, 1]])
        labels = np.isnan(tables.octaves)
        self._distils = np.multiply.outer(~labels, ~labels).astype(float)
        self._alone = np.multiply.outer(labels, labels).astype(float)
        octaves = np.nan_to_num(tables.octaves)
        self._octaves = np.abs(octaves[:, None] - octaves[None, :]) * self._distils
        self._settings = np.sqrt(tables.settings)
        self._shares, self._squares, self._counts = self._rows()

    def _rows(self) -> tuple[Array, Array, Array]:
        """Contrasts of jobs, in units of their noise, that hardly have anything in common, alike ones put together: how
        much of each group, and of jobs' levels, is in them [r, groups + 1], the sums of their products [r, q, q], and
        how many they are [r].

        Where cells are crossed evenly and are as noisy as each other, they have nothing in common, and their
        likelihoods are that of the whole.
        """
        precise = 1 / np.sqrt(self.tables.noise / self.tables.seeds)
        across = precise[:, None] * np.concatenate([self._across, np.eye(len(precise))[None]]) * precise
        generic = np.tensordot(1 / np.arange(1, len(across) + 1) ** 0.5, across, axes=1)
        basis = np.linalg.eigh(generic)[1]
        shares = np.einsum("ji,gjk,ki->ig", basis, across, basis).round(4)
        kinds, places = np.unique(shares, axis=0, return_inverse=True)
        rows = basis.T @ (precise[:, None] * self.tables.values)
        squares = np.zeros((len(kinds), rows.shape[1], rows.shape[1]))
        np.add.at(squares, places.reshape(-1), rows[:, :, None] * rows[:, None, :])
        return kinds, squares, np.bincount(places.reshape(-1)).astype(float)

    def likeliest(self) -> Array:
        """The hyperparameters, climbed to from the middle of their prior (Adam: Kingma and Ba 2015)."""
        theta, first, second = self._means.copy(), np.zeros_like(self._means), np.zeros_like(self._means)
        for step in range(1, STEPS + 1):
            gradient = self.slope(theta)[1]
            first = 0.9 * first + 0.1 * gradient
            second = 0.98 * second + 0.02 * gradient**2
            rate = RATE * (1 - (step - 1) / STEPS) ** 0.5
            theta = theta - rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.98**step)) + 1e-12)
        return np.asarray(theta)

    def slope(self, theta: Array) -> tuple[float, Array]:
        """The negative log posterior but for a constant, and its gradient."""
        sizes, (luck, course, noise) = self._sizes(theta), np.exp(theta[-5:-2])
        shape, *bent = self._shapes(theta)
        by_run = self._by_run(theta, shape)
        shares, levels = self._shares[:, :-1], self._shares[:, -1:, None]
        weights = shares @ sizes
        covariances = np.tensordot(weights, shape.pieces, axes=1) + LEVEL * levels + by_run
        loss, toward = _likelihood(covariances, self._squares, self._counts)
        loss_runs, toward_runs = _likelihood(
            by_run[None], self.tables.scatter[None], np.array([float(self.tables.contrasts)])
        )
        runs = toward_runs[0] + toward.sum(axis=0)
        by_piece = np.einsum("rij,pij->rp", toward, shape.pieces)
        lengths = [
            float((weights * np.einsum("rij,pij->rp", toward, part.pieces)).sum() + course * (runs * part.seed).sum())
            for part in bent
        ]
        off = (theta - self._means) / self._doubts
        others = [luck * runs.sum(), course * (runs * shape.seed).sum(), noise * runs.trace(), *lengths]
        gradient = np.concatenate([(sizes * (shares.T @ by_piece)).ravel(), others])
        return loss + loss_runs + 0.5 * float((off**2).sum()), gradient + off / self._doubts

    def draws(self, theta: Array, rng: np.random.Generator) -> Array:
        """Draws [DRAWS, jobs, q] of the mean quality over seeds, in the tables' units.

        Draws of the prior, moved by what the tables say beside what they would have said of these (Matheron's rule).
        """
        jobs, places = self.tables.values.shape
        sizes, shape = self._sizes(theta), self._shapes(theta)[0]
        prior = math.sqrt(LEVEL) * rng.standard_normal((DRAWS, jobs, 1))
        for columns, of_group in zip(self._features.values(), sizes, strict=True):
            root = root_of(np.tensordot(of_group, shape.pieces, axes=1))
            prior = prior + columns @ (rng.standard_normal((DRAWS, columns.shape[1], places)) @ root.T)
        across = np.tensordot(sizes.T, self._across, axes=1)  # [pieces, jobs, jobs]
        typical = np.tensordot(np.einsum("pjj->p", across) / jobs, shape.pieces, axes=1) + LEVEL
        directions = _directions(self._by_run(theta, shape), typical, HARDLY / self.tables.seeds.max())
        level = np.eye(jobs), np.full((places, places), LEVEL)
        parts = [*zip(across, shape.pieces, strict=True), level]
        noise = np.repeat(self.tables.noise / self.tables.seeds, directions.shape[1])
        covariance = sum(np.kron(of_jobs, directions.T @ piece @ directions) for of_jobs, piece in parts)
        chance = np.sqrt(noise) * rng.standard_normal((DRAWS, len(noise)))
        off = ((self.tables.values - prior) @ directions).reshape(DRAWS, -1) - chance
        pull = np.linalg.solve(covariance + np.diag(noise), off.T).T.reshape(DRAWS, jobs, -1)
        return np.asarray(prior + sum((of_jobs @ pull) @ (directions.T @ piece) for of_jobs, piece in parts))

    def _sizes(self, theta: Array) -> Array:
        """The variances [groups, PIECES]."""
        return np.exp(theta[: -len(RUN_PRIORS)]).reshape(-1, PIECES)

    def _by_run(self, theta: Array, shape: _Shape) -> Array:
        """The covariance [q, q] of one seed's runs about the mean over seeds."""
        luck, course, noise = np.exp(theta[-5:-2])
        return np.asarray(luck + course * shape.seed + (noise + _JITTER) * np.eye(len(shape.seed)))

    def _shapes(self, theta: Array) -> tuple[_Shape, _Shape, _Shape]:
        """The pieces, and their derivatives by the logarithms of T's length and of the settings'."""
        over_t, over_t_bent = _matern(self._octaves / math.exp(theta[-2]))
        over_settings, over_settings_bent = _matern(self._settings / math.exp(theta[-1]))
        nought = np.zeros_like(over_t)

        def shape(settings: Array, temperature: Array, both: Array, labels: Array, of_labels: Array) -> _Shape:
            pieces = [settings, self._distils * temperature, self._distils * both + self._alone * of_labels, labels]
            return _Shape(np.array(pieces), self._distils * both + self._alone * of_labels)

        return (
            shape(over_settings, over_t, over_t * over_settings, self._alone, over_settings),
            shape(nought, over_t_bent, over_t_bent * over_settings, nought, nought),
            shape(over_settings_bent, nought, over_t * over_settings_bent, nought, over_settings_bent),
        )


def _features(design: Design, points: Sequence[Point]) -> dict[str, Array]:
    """By group of deviations, their columns [jobs, c]."""
    columns, groups = design.features(points), design.groups()
    counts = {"all": 1, "levels": len(design.levels), "pairs": len(design.pairs), "repeats": len(design.blocks)}
    parts, first = {}, 0
    for name, count in counts.items():
        if count:
            parts[name] = columns[:, groups[first].first : groups[first + count - 1].last]
        first += count
    return {**parts, "jobs": np.eye(len(points))}


def _matern(distance: Array) -> tuple[Array, Array]:
    """Matern 5/2 at distances in lengths, and its derivative by the logarithm of the length."""
    r = _ROOT_5 * distance
    fall = np.exp(-r)
    return np.asarray((1 + r + r**2 / 3) * fall), np.asarray(r**2 * (1 + r) / 3 * fall)


def _likelihood(covariances: Array, squares: Array, counts: Array) -> tuple[float, Array]:
    """The negative log likelihood of rows whose products have these sums, and its derivative by each covariance."""
    inverses = np.linalg.inv(covariances + _JITTER * np.eye(covariances.shape[-1]))
    determinants = -np.linalg.slogdet(inverses)[1]
    pulled = inverses @ squares
    loss = 0.5 * float(counts @ determinants + np.einsum("rii->", pulled))
    return loss, 0.5 * (counts[:, None, None] * inverses - pulled @ inverses)


def _directions(noise: Array, signal: Array, least: float) -> Array:
    """Directions [q, r] in which a table's noise has variance 1 and is apart, and its signal at least so much."""
    inverse = np.linalg.inv(np.linalg.cholesky(noise))
    values, vectors = np.linalg.eigh(inverse @ signal @ inverse.T)
    return np.asarray(inverse.T @ vectors[:, values > least])
