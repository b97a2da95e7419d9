"""A surface that knows of the luck which runs of one seed share, and a sampler that chooses settings and seeds by it.

The noise of a run is in part its seed's luck, which neighbours in T, kd_weight and weight decay have in common at one
learning rate of an optimizer: so runs of one seed tell differences between neighbours better than their level.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from optuna.study import Study
from optuna.trial import FrozenTrial
from scipy import linalg, optimize
from scipy.spatial.distance import cdist

from benchmarks.searching import luck
from search.samplers.gaussian_process import MEMBERS, GaussianSampler, _by_hope, _Places
from search.surrogate import surface
from search.surrogate.acquisition import knowledge_gradient
from search.surrogate.encoding import Encoding
from search.surrogate.gp import JITTER, GaussianProcess, Likelihood, _matern, solve
from search.surrogate.slices import Slice
from search.surrogate.squeeze import SAME, Squeeze
from search.surrogate.surface import Surface, mixture_moments
from search.surrogate.threads import one_thread
from trainers.replay.world import World

Floats = NDArray[np.float64]
Seeds = NDArray[np.int64]
BEST = 1 / 3
"""The share of the cells, the best, among which luck is looked at: where a search ends."""
_APART = 1e3  # lengths to the range, of learning rates and optimizers: their luck is their own
_SAME = 1e-6  # lengths below which two settings are one
_ASKED = 120  # places whose gain is computed, as the product's
_FOR_SEEDS = 24  # places whose gain is computed seed by seed
_NEVER = -1e9  # the mean of what is no place, so that it is never the best one


@dataclass(frozen=True, slots=True)
class SharedLuck:
    """The correlation of two runs of one seed, at one learning rate of an optimizer: `share` times exp(-d), where d is
    how far they lie apart in ln T, kd_weight and the logarithm of weight decay, each in lengths of its own.
    """

    share: float
    temperature: float
    kd_weight: float
    weight_decay: float

    def rates(self, joint: Encoding | Slice) -> Floats:
        """How many lengths the range of each column of the cube is long."""
        cube = joint._cube if isinstance(joint, Slice) else joint
        rates = np.full(cube.dimensions, _APART)
        for settings in cube.settings.values():
            for axis in settings:
                length = getattr(self, axis.name.rpartition(".")[2], None)
                if length is not None:
                    owner = next((name for name in cube.settings if axis.name.startswith(f"{name}.")), "")
                    span = math.log(axis.high / axis.low) if axis.log else axis.high - axis.low
                    rates[cube._columns[axis.name, owner, 0]] = span / length
        return rates


def fitted(worlds: Sequence[World]) -> SharedLuck:
    """The luck that recorded runs of these worlds share, each world with as much weight as another."""
    distances, products, weights = (np.concatenate(parts) for parts in zip(*map(_pairs, worlds), strict=True))

    def misses(values: Floats) -> Floats:
        share = 1 / (1 + math.exp(-values[0]))
        return np.asarray((share * np.exp(-distances @ np.exp(-values[1:])) - products) * np.sqrt(weights))

    found = optimize.least_squares(misses, np.zeros(4), bounds=(-5, 5)).x
    return SharedLuck(1 / (1 + math.exp(-found[0])), *(math.exp(value) for value in found[1:]))


def _pairs(world: World) -> tuple[Floats, Floats, Floats]:
    """Of pairs of good cells at one learning rate: their distances [n, 3], the mean product of their deviations at the
    last epoch over the seeds, and their weights, which sum to 1.
    """
    deviations, final = luck.recorded(world)[..., -1], world.truth[:, -1]
    cells = world.grid.cells()
    soft = [number for number, cell in enumerate(cells) if not cell.label_only]
    good = [number for number in soft if final[number] >= np.quantile(final[soft], 1 - BEST)]
    panels: dict[tuple[str, float], list[int]] = {}
    for number in good:
        panels.setdefault((cells[number].optimizer, cells[number].learning_rate), []).append(number)
    distances, products = [], []
    for panel in panels.values():
        places = np.array(
            [[math.log(cells[n].temperature or 1), cells[n].kd_weight, math.log(cells[n].weight_decay)] for n in panel]
        )
        first, second = np.triu_indices(len(panel), 1)
        distances.append(np.abs(places[first] - places[second]))
        products.append((deviations[panel] @ deviations[panel].T / deviations.shape[1])[first, second])
    count = sum(map(len, products))
    return np.concatenate(distances), np.concatenate(products), np.full(count, 1 / count)


@dataclass(frozen=True, slots=True)
class Noise:
    """The correlation of the noise of runs, by where they are and by their seeds; `rates` are the luck's in a cube."""

    share: float
    rates: Floats

    @classmethod
    def of(cls, luck: SharedLuck, joint: Encoding | Slice) -> Noise:
        """This luck's in the cube of an encoding."""
        return cls(luck.share, luck.rates(joint))

    def between(self, points: Floats, seeds: Seeds, others: Floats, other_seeds: Seeds) -> Floats:
        """[n, m], between runs at `points` [n, d] and at `others` [m, d]: 1 where both are one run."""
        distance = cdist(points * self.rates, others * self.rates, "cityblock")
        alike = np.where(distance < _SAME, 1.0, self.share * np.exp(-distance))
        correlation: Floats = alike * (seeds[:, None] == other_seeds)
        return correlation


class LuckLikelihood(Likelihood):
    """The marginal likelihood where the noise of runs has a `correlation` [n, n]."""

    def __init__(self, points: Floats, targets: Floats, correlation: Floats) -> None:
        super().__init__(points, targets)
        self._shared = correlation[self._pairs]

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """As Likelihood's."""
        count, (first, second) = len(self._targets), self._pairs
        variance, noise = math.exp(theta[0]), math.exp(theta[-1])
        scaled = 5 * np.exp(-2 * theta[1:-1])
        squared = scaled @ self._squares
        distance = np.sqrt(squared)
        signal, decay = _matern(variance, distance, squared)
        covariance = np.zeros((count, count), order="F")
        covariance[first, second] = signal + noise * self._shared
        covariance.flat[:: count + 1] = variance + noise + JITTER
        solution = solve(covariance, self._targets)
        if solution is None:
            return -math.inf, np.zeros_like(theta)
        value, weights, inverse = solution
        alone = 0.5 * float((weights**2 - inverse.diagonal()).sum())
        pull = weights[first] * weights[second] - inverse[first, second]
        lengths = scaled / 3 * (self._squares @ (pull * decay * (1 + distance)))
        gradient = [float(pull @ signal) + variance * alone, *lengths, noise * (alone + float(pull @ self._shared))]
        return value, np.array(gradient)


class LuckProcess(GaussianProcess):
    """The surface's process, given runs whose noise has a `correlation` [n, n]."""

    def __init__(self, theta: Floats, points: Floats, targets: Floats, correlation: Floats) -> None:
        self.theta, self.points, self.targets = theta, points, targets
        self.noise = math.exp(theta[-1])
        self._variance, self._lengths = math.exp(theta[0]), np.exp(theta[1:-1])
        covariance = self.kernel(points, points) + self.noise * correlation
        covariance.flat[:: len(points) + 1] += JITTER
        self._root = linalg.cholesky(covariance, lower=True, check_finite=False)
        self._weights = linalg.cho_solve((self._root, True), targets, check_finite=False)

    def runs(self, places: Floats, points: Floats, correlation: Floats) -> tuple[Floats, Floats]:
        """The covariance [k, m] of runs at `points` [k, d] with the function at `places` [m, d], and the variance of
        these runs [k]; the `correlation` [k, n] is that of their noise with the known runs'.
        """
        across = self.kernel(points, self.points) + self.noise * correlation
        _, reduction = self._given(places)
        of_runs = linalg.solve_triangular(self._root, across.T, lower=True, check_finite=False)
        variance = self._variance + self.noise - (of_runs**2).sum(axis=0)
        return self.kernel(points, places) - of_runs.T @ reduction, np.maximum(variance, JITTER)


class LuckSurface(Surface):
    """The surface over runs with these `seeds` [n], no two of them the same run."""

    members: list[LuckProcess]  # type: ignore[assignment]

    def __init__(
        self,
        points: Floats,
        values: Floats,
        seeds: Seeds,
        noise: Noise,
        rng: np.random.Generator,
        members: int,
        lengths: Floats,
    ) -> None:
        self.squeeze = Squeeze.of(values)
        squeezed = self.squeeze(values)
        self.worst, self.centre = float(squeezed.min()), float(squeezed.mean())
        spread = float(squeezed.std())
        self.spread = spread if spread > SAME * float(np.abs(squeezed).max()) else 1.0
        targets = (squeezed - self.centre) / self.spread
        correlation = noise.between(points, seeds, points, seeds)
        with patch.object(surface, "Likelihood", functools.partial(LuckLikelihood, correlation=correlation)):
            self.thetas = surface._plausible(points, targets, lengths, rng, members)
        self.members = [LuckProcess(theta, points, targets, correlation) for theta in self.thetas]
        self._points, self._seeds, self._noise = points, seeds, noise

    def gain(
        self, member: int, mean: Floats, deviation: Floats, places: Floats, points: Floats, seeds: Seeds
    ) -> Floats:
        """The knowledge gradient [k] of runs at `points` [k, d] with these seeds, about `places` [m, d] whose mean and
        deviation are known.
        """
        correlation = self._noise.between(points, seeds, self._points, self._seeds)
        covariance, variance = self.members[member].runs(places, points, correlation)
        count, runs = len(places), len(points)
        whole = np.zeros((count + runs, count + runs))
        whole[count:, :count] = covariance
        whole.flat[:: count + runs + 1] = np.concatenate([deviation**2, variance])
        means = np.concatenate([mean, np.full(runs, _NEVER)])
        return knowledge_gradient(means, whole, 0.0, np.arange(count, count + runs))


class LuckSampler(GaussianSampler):
    """The default sampler as `base` is, on a surface that knows of shared luck.

    `seeds` are those of the study's trials, `choices` those that the next trial may have; `seed` is the one that it
    has, once its configuration is known. None of them: a trial of the walk has the first.
    """

    def __init__(self, base: GaussianSampler, luck: SharedLuck, seeds: Sequence[int], choices: Sequence[int]) -> None:
        super().__init__(base._joint, base._startup, base._walk, base._number, base._seed)
        self._noise, self._seeds, self._choices = Noise.of(luck, base._joint), np.array(seeds, dtype=np.int64), choices
        self.seed: int | None = None

    def _propose(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        ended = [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]
        assert self._startup is not None
        if len(ended) < self._startup:
            return self._on_the_walk()
        learnt, _, values = self._learnt([(None, other) for other in ended], 1.0)
        rng = np.random.default_rng(self._seed)
        with one_thread():
            over = LuckSurface(learnt.points, values, self._seeds, self._noise, rng, MEMBERS, self._joint.lengths)
            candidates = self._candidates(over, learnt, rng)
            places = candidates.then(learnt.of(np.unique(learnt.points, axis=0, return_index=True)[1])).points
            moments = [member.standard(places) for member in over.members]
            means, deviations = (np.array(part) for part in zip(*moments, strict=True))
            considered = _by_hope(*mixture_moments(means, deviations**2))
            considered = considered[considered < len(candidates.points)][:_ASKED]
            if len(self._choices) > 1:  # first by what a seed of its own would tell
                fresh = np.full(len(considered), -1)
                gains = _gains(over, means, deviations, places, places[considered], fresh)
                considered = considered[np.argsort(-gains, kind="stable")[:_FOR_SEEDS]]
            runs = self._runs(candidates, considered, learnt)
            points, seeds = places[[place for place, _ in runs]], np.array([seed for _, seed in runs])
            place, self.seed = runs[int(_gains(over, means, deviations, places, points, seeds).argmax())]
        return self._named(str(candidates.optimizers[place]), candidates.points[place])

    def _runs(self, candidates: _Places, considered: NDArray[np.int64], learnt: _Places) -> list[tuple[int, int]]:
        """Places and seeds that nobody has trained together."""
        trained = {(_name(point), int(seed)) for point, seed in zip(learnt.points, self._seeds, strict=True)}
        runs = [
            (int(place), seed)
            for place in considered
            for seed in self._choices
            if (_name(candidates.points[place]), seed) not in trained
        ]
        return runs or [(int(considered[0]), self._choices[0])]


def _gains(
    over: LuckSurface, means: Floats, deviations: Floats, places: Floats, points: Floats, seeds: Seeds
) -> Floats:
    """The knowledge gradient of runs [k], summed over the plausible hyperparameters."""
    gains = np.zeros(len(points))
    for member, (mean, deviation) in enumerate(zip(means, deviations, strict=True)):
        gains += over.gain(member, mean, deviation, places, points, seeds)
    return gains


def _name(point: Floats) -> bytes:
    return np.round(point + 0.0, 6).tobytes()
