"""Quality along T in one job, with the other settings at their best, as joint draws.

A Gaussian process over T and the settings, with an effect of each seed that is shared by the runs that have it: what
such runs differ by along T is free of the luck that they share. numpy alone, as the service asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from search.analysis.study.gibbs import Array
from search.analysis.study.runs import Runs
from search.surrogate.squeeze import Squeeze

DRAWS = 480
BROAD, ROUNDS, BESTS, NEAR = 48, 4, 6, 5
"""Hyperparameters: so many from their prior, then so many times so many near each of the best ones."""
MEMBERS = 12
"""Plausible hyperparameters that the draws are shared out among, by their posterior."""
MOST = 400
"""Runs that a curve is read off, at most: those that are best and as many of the others."""
FITTED = 240
"""Runs that hyperparameters are found on, at most: of more some seeds, whole."""
SETTINGS = 16
"""Settings at which a curve may be best, at most."""
_ROOT_5 = math.sqrt(5)
_JITTER = 1e-8
_BEYOND = 1e40
"""More than any column's length once it is whitened, which nothing else depends on."""
# Priors of the logarithms (mean, deviation): variances in units of the squeezed values', T's length in octaves.
RUN_PRIORS = np.array(
    [
        (math.log(0.02), 1.5),  # a seed's effect on all
        (math.log(0.02), 1.5),  # a seed's effect that changes along T and settings
        (math.log(0.05), 1.5),  # noise
        (math.log(2.5), 0.6),  # T's length scale
        (0.0, 0.5),  # how much longer the settings' are than their own priors
    ]
)
_PRIORS = np.concatenate(
    [
        np.array(
            [
                (math.log(0.3), 1.2),  # T alone
                (math.log(1.0), 1.0),  # settings alone
                (math.log(0.2), 1.2),  # T with settings
            ]
        ),
        RUN_PRIORS,
    ]
)
_LABELS = 1.0
"""The variance of how far labels alone are from distilling."""


Flags = NDArray[np.bool_]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Curves:
    """Draws of quality along T: `curves` [draws, m] at `along` [m] (log2 T), each with its best settings.

    `labels` [draws] are those of the labels alone, each with its best settings, None where nothing was trained so. What
    is best of many draws errs upwards; `halves` show by how much: each is what the runs of one half say of the settings
    and temperatures that those of the other half found best, which errs downwards.
    """

    along: Array
    curves: Array
    labels: Array | None
    halves: Sequence[Half]
    field: Field


@dataclass(frozen=True, slots=True)
class Half:
    """Quality along T [m] with settings that others chose, where they found `best`; `labels` likewise."""

    curve: Array
    best: int
    labels: float | None


@dataclass(frozen=True, slots=True)
class Field:
    """What a job's process knows of all places of its curves: `draws` [draws, m * k + l] in its own units, at each T
    with each of the `settings` [k, d], then of labels alone with each of the settings `alone` [l, d].

    `noise` [m + 1, m + 1] is what one more run at each T with one setting, and one of labels alone, would have about
    these, all on one fresh seed.
    """

    settings: Array
    alone: Array
    draws: Array
    noise: Array


@dataclass(frozen=True, slots=True)
class _Distances:
    """Between places: of T in octaves, of each setting squared; which share a seed, and which are labels alone."""

    octaves: Array
    settings: Array
    seeds: Array
    labels: tuple[Flags, Flags]

    def covariance(self, theta: Array) -> Array:
        """Of the mean quality over seeds, in the squeezed values' units."""
        over_t, level, together = np.exp(theta[:3])
        distils = np.multiply.outer(~self.labels[0], ~self.labels[1])
        alone = np.multiply.outer(self.labels[0], self.labels[1])
        over_settings = self._over_settings(theta)
        over_octaves = _matern(self.octaves / math.exp(theta[6]))
        shared = 4.0 + level * over_settings
        deviation = over_t * over_octaves + together * over_octaves * over_settings
        return np.asarray(shared + distils * deviation + alone * (_LABELS + together * over_settings))

    def by_seed(self, theta: Array) -> Array:
        """Of what a seed does to its runs."""
        level, over_t = np.exp(theta[3:5])
        alike = np.multiply.outer(self.labels[0], self.labels[1]) | np.multiply.outer(~self.labels[0], ~self.labels[1])
        near = _matern(self.octaves / math.exp(theta[6])) * self._over_settings(theta)
        return np.asarray(self.seeds * (level + over_t * alike * near))

    def of(self, part: Indices) -> _Distances:
        """Those among some of the places."""
        square = np.ix_(part, part)
        labels = self.labels[0][part], self.labels[1][part]
        return _Distances(self.octaves[square], self.settings[square], self.seeds[square], labels)

    def _over_settings(self, theta: Array) -> Array:
        return _matern(np.sqrt(self.settings) / math.exp(theta[7]))


def _matern(distance: Array) -> Array:
    r = _ROOT_5 * distance
    return np.asarray((1 + r + r**2 / 3) * np.exp(-r))


def curves_of(runs: Runs, rng: np.random.Generator) -> Curves | None:
    """The curves of one job; None where its values are all the same. The same runs and rng give the same."""
    runs = _fewer(runs)
    squeeze = Squeeze.of(runs.values, widths=3.0, farthest=20.0)
    targets = squeeze(runs.values)
    centre, spread = float(targets.mean()), float(targets.std())
    if not spread > 1e-12 * max(1.0, abs(centre)):
        return None
    targets = (targets - centre) / spread
    places = runs.octaves, runs.settings
    distances = _between(runs.lengths, places, places, runs.seeds)
    part = _fitted(runs)
    thetas, weights = _plausible(distances.of(part), targets[part], rng)
    settings = _settings(runs)
    alone = _alone(runs)
    queries = _queries(runs.along, settings, alone)
    counts = rng.multinomial(DRAWS, weights)
    draws = np.concatenate(
        [
            _draws(_posterior(distances, places, queries, theta, targets, runs.lengths), int(count), rng)
            for theta, count in zip(thetas, counts, strict=True)
            if count
        ]
    )
    parts = _parts(runs)
    means = [
        squeeze.undo(mean * spread + centre)
        for part in parts
        for mean, _ in [
            _posterior(distances.of(part), _at(places, part), queries, thetas[0], targets[part], runs.lengths)
        ]
    ]
    shared = _in_both(settings, runs, parts, False), _in_both(alone, runs, parts, True)
    field, labels = _split(runs.along, len(settings), squeeze.undo(draws * spread + centre))
    return Curves(
        along=runs.along,
        curves=field.max(axis=2),
        labels=labels.max(axis=1) if labels.size else None,
        halves=[_half(runs.along, len(settings), shared, *pair) for pair in (means, means[::-1])],
        field=Field(settings, alone, draws, _noise(runs, thetas[0])),
    )


def _noise(runs: Runs, theta: Array) -> Array:
    """Of runs at each T, and of labels alone, with the same setting and on the same seed [m + 1, m + 1]."""
    octaves = np.append(runs.along, np.nan)
    places = octaves, np.zeros((len(octaves), runs.settings.shape[1]))
    distances = _between(runs.lengths, places, places, np.zeros(len(octaves), dtype=np.int64))
    return distances.by_seed(theta) + math.exp(theta[5]) * np.eye(len(octaves))


def _split(octaves: Array, settings: int, values: Array) -> tuple[Array, Array]:
    """Values [k, q] at all T x settings [k, m, settings], and those of labels alone behind them [k, settings]."""
    size = len(octaves) * settings
    return values[:, :size].reshape(len(values), len(octaves), settings), values[:, size:]


def _half(octaves: Array, settings: int, among: tuple[Indices, Indices], chooser: Array, teller: Array) -> Half:
    """What one half says of what the other chose `among` some settings, and some of labels alone."""
    (choices,), (choices_alone,) = _split(octaves, settings, chooser[None])
    (field,), (labels,) = _split(octaves, settings, teller[None])
    distilled, alone = among
    picks = distilled[choices[:, distilled].argmax(axis=1)]
    return Half(
        curve=field[np.arange(len(octaves)), picks],
        best=int(choices[:, distilled].max(axis=1).argmax()),
        labels=float(labels[alone[choices_alone[alone].argmax()]]) if len(alone) else None,
    )


def _in_both(settings: Array, runs: Runs, parts: Sequence[Indices], labels: bool) -> Indices:
    """Which of the settings both halves have trained, where seeds are shared; all of them where none is.

    Of a setting that it has not trained a half knows little, and would choose it for that.
    """
    everything = np.arange(len(settings))
    if not runs.paired or not len(settings):
        return everything
    trained = [runs.settings[part][runs.labels[part] == labels].round(9) for part in parts]
    both = [(settings[:, None, :] == of_part).all(axis=2).any(axis=1) for of_part in trained]
    shared = np.flatnonzero(both[0] & both[1])
    return shared if len(shared) else everything


def _parts(runs: Runs) -> list[Indices]:
    """Two halves of the runs that share no seed, if that can be."""
    turn = runs.seeds if runs.seeds.max() else np.arange(len(runs.seeds))
    return [np.flatnonzero(turn % 2 == side) for side in (0, 1)]


def _fewer(runs: Runs) -> Runs:
    """At most MOST of them: the better half, and even ones of the others."""
    count = len(runs.values)
    if count <= MOST:
        return runs
    order = np.argsort(-runs.values, kind="stable")
    rest = order[MOST // 2 :]
    keep = np.sort(np.concatenate([order[: MOST // 2], rest[np.linspace(0, len(rest) - 1, MOST // 2).astype(int)]]))
    arrays = {name: getattr(runs, name)[keep] for name in ("octaves", "settings", "seeds", "values")}
    return replace(runs, **arrays)


def _fitted(runs: Runs) -> Indices:
    """The runs that hyperparameters are found on, chosen without regard to their values: of many those of some seeds,
    two at least, and where these are too many those of some settings.
    """
    seeds, settings = runs.seeds, np.unique(runs.settings.round(9), axis=0, return_inverse=True)[1].reshape(-1)
    among = np.arange(len(seeds))
    for kinds, fewest in ((seeds, 2), (settings, 1)):
        among = among[np.isin(kinds[among], _evenly(kinds[among], fewest))]
    return among


def _evenly(kinds: Indices, fewest: int) -> Indices:
    """So many of the kinds, evenly spread, that no more than FITTED are of these; `fewest` in any case."""
    names, sizes = np.unique(kinds, return_counts=True)
    for count in range(len(names), fewest, -1):
        part = np.linspace(0, len(names) - 1, count).round().astype(int)
        if sizes[part].sum() <= FITTED:
            return np.asarray(names[part])
    return np.asarray(names[np.linspace(0, len(names) - 1, min(fewest, len(names))).round().astype(int)])


Places = tuple[Array, Array]
"""log2 T [n], NaN of labels alone, and settings [n, d]."""


def _at(places: Places, part: Indices) -> Places:
    return places[0][part], places[1][part]


def _between(length_priors: Array, first: Places, second: Places, seeds: NDArray[np.int64] | None = None) -> _Distances:
    lengths = np.exp(length_priors[:, 0])
    apart = (first[1][:, None, :] - second[1][None, :, :]) / lengths
    labels = np.isnan(first[0]), np.isnan(second[0])
    octaves = np.abs(np.nan_to_num(first[0])[:, None] - np.nan_to_num(second[0])[None, :])
    octaves *= np.multiply.outer(~labels[0], ~labels[1])
    shared = np.zeros_like(octaves) if seeds is None else (seeds[:, None] == seeds[None, :]).astype(float)
    return _Distances(octaves, (apart**2).sum(axis=-1), shared, labels)


def _plausible(distances: _Distances, targets: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Hyperparameters [members, k] and their posterior's shares [members]: a population that closes in."""
    thetas = _PRIORS[:, 0] + _PRIORS[:, 1] * rng.standard_normal((BROAD, len(_PRIORS)))
    thetas[0] = _PRIORS[:, 0]
    scores = np.array([_score(distances, targets, theta) for theta in thetas])
    for turn in range(ROUNDS):
        best = thetas[np.argsort(-scores)[:BESTS]]
        steps = rng.standard_normal((BESTS * NEAR, len(_PRIORS))) * _PRIORS[:, 1] * 0.5 ** (turn + 1)
        fresh = np.repeat(best, NEAR, axis=0) + steps
        thetas = np.concatenate([thetas, fresh])
        scores = np.concatenate([scores, [_score(distances, targets, theta) for theta in fresh]])
    order = np.argsort(-scores)[:MEMBERS]
    weights = np.exp(scores[order] - scores[order[0]])
    return thetas[order], weights / weights.sum()


def _score(distances: _Distances, targets: Array, theta: Array) -> float:
    """The log posterior of hyperparameters, but for a constant."""
    try:
        root, whitened = _whiten(_noisy(distances, theta), targets[:, None])
    except np.linalg.LinAlgError:
        return -math.inf
    prior = float((((theta - _PRIORS[:, 0]) / _PRIORS[:, 1]) ** 2).sum())
    return -0.5 * float((whitened**2).sum()) - float(np.log(root.diagonal()).sum()) - 0.5 * prior


def _whiten(covariance: Array, columns: Array) -> tuple[Array, Array]:
    """The root L [n, n] of a covariance and L^-1 of columns [n, q]; LinAlgError where it has no root.

    Both are blocks of the root of one larger matrix. numpy alone has no solver for triangles, and its general one wakes
    threads: of 120 runs that takes 0.1 ms in the place of 15 to 50 on a busy machine.
    """
    size, width = columns.shape
    bordered = np.empty((size + width, size + width))
    bordered[:size, :size] = covariance
    bordered[size:, :size] = columns.T
    bordered[size:, size:] = np.eye(width) * _BEYOND  # numpy reads what is below the diagonal alone
    root = np.linalg.cholesky(bordered)
    return root[:size, :size], root[size:, :size].T


def _noisy(distances: _Distances, theta: Array) -> Array:
    covariance = distances.covariance(theta) + distances.by_seed(theta)
    covariance.flat[:: len(covariance) + 1] += math.exp(theta[5]) + _JITTER
    return covariance


def _posterior(
    distances: _Distances, places: Places, queries: Places, theta: Array, targets: Array, lengths: Array
) -> tuple[Array, Array]:
    """The mean [q] and the covariance [q, q] of the mean quality over seeds at what is queries."""
    columns = np.column_stack([_between(lengths, places, queries).covariance(theta), targets])
    _, whitened = _whiten(_noisy(distances, theta), columns)
    across = whitened[:, :-1]
    return across.T @ whitened[:, -1], _between(lengths, queries, queries).covariance(theta) - across.T @ across


def _draws(posterior: tuple[Array, Array], count: int, rng: np.random.Generator) -> Array:
    mean, covariance = posterior
    return np.asarray(mean + rng.standard_normal((count, len(mean))) @ root_of(covariance).T)


def root_of(covariance: Array) -> Array:
    """A matrix R [n, n] with R R^T = covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _settings(runs: Runs) -> Array:
    """The settings at which a curve may be best: of few all, of many those with the best runs."""
    distilled = ~runs.labels
    settings, places = np.unique(runs.settings[distilled].round(9), axis=0, return_inverse=True)
    if len(settings) <= SETTINGS:
        return np.asarray(settings)
    tops = np.full(len(settings), -np.inf)
    np.maximum.at(tops, places.reshape(-1), runs.values[distilled])
    return np.asarray(settings[np.argsort(-tops, kind="stable")[:SETTINGS]])


def _alone(runs: Runs) -> Array:
    """The settings with which labels alone were trained, the best of many."""
    labels = runs.labels
    order = np.argsort(-runs.values[labels], kind="stable")
    settings = runs.settings[labels][order].round(9)
    _, first = np.unique(settings, axis=0, return_index=True)
    return np.asarray(settings[np.sort(first)[:SETTINGS]])


def _queries(temperatures: Array, settings: Array, alone: Array) -> Places:
    octaves = np.repeat(temperatures, len(settings))
    places = np.tile(settings, (len(temperatures), 1))
    return np.concatenate([octaves, np.full(len(alone), np.nan)]), np.concatenate([places, alone])
