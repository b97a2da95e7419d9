"""The default sampler: a Gaussian process over all trials of the study, with the knowledge gradient as acquisition.

A Gaussian process over all trials of the study, one for all optimizers, and the knowledge gradient on it: the proposal
is where one more noisy run is expected to raise the best posterior mean most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState
from scipy.stats import qmc

from search.states import Arm
from search.surrogate.acquisition import knowledge_gradient
from search.surrogate.encoding import Encoding
from search.surrogate.slices import Slice
from search.surrogate.surface import Surface, mixture_moments
from search.surrogate.threads import one_thread

Array = NDArray[np.float64]

MOST = 500
"""Ended trials up to which the process learns from all of them; its cost grows with their cube."""
FIT_ON = 150
"""Trials that its hyperparameters are fitted on."""
MEMBERS = 5
"""Plausible hyperparameters that the gain is averaged over: few trials fit several, and the most plausible alone sends
one run after another where it is wrong. More than FIT_ON trials know them well: one is enough.
"""
_GRID = 1500  # places of a space of lists that are looked at one by one
_EVEN = 256  # settings of each optimizer spread evenly over its space
_NEAR = 24  # settings near each promising one,
_STEPS = (0.02, 0.1)  # at about these distances
_PROMISING = 8  # places of each optimizer
_ASKED = 120  # places whose gain is computed: those that may be best
_SEEN = 250  # places among which the best mean is looked for
_OPTIMISTIC = 2.0  # deviations above its mean by which a place may be best
_Pair = tuple[Arm | None, FrozenTrial]
"""A trial, and the arm that it is of; None for the study's own."""
_TELLING = (OptunaState.COMPLETE, OptunaState.PRUNED)


@dataclass(frozen=True, slots=True)
class _Places:
    """Configurations: each one's optimizer [n], and its point [n, d]."""

    optimizers: NDArray[np.str_]
    points: Array

    def of(self, indices: NDArray[Any]) -> _Places:
        """Those that are chosen, by their places or by a mask."""
        return _Places(self.optimizers[indices], self.points[indices])

    def then(self, more: _Places) -> _Places:
        """These, and then others."""
        names = np.concatenate([self.optimizers, more.optimizers])
        return _Places(names, np.concatenate([self.points, more.points]))


class GaussianSampler(optuna.samplers.BaseSampler):
    """Proposes whole configurations of one space: `startup` trials along a scrambled Sobol sequence (the one of `walk`,
    at the place `number`), then those of the highest knowledge gradient.

    Trials that run are taken to come out as expected. Pruned ones count with the value they had, no better than the
    median of those that were trained to the end and no worse than the worst; failed ones do not count. Candidates are
    all configurations where a space is made of lists and not too large, else settings spread evenly and near promising
    ones, by `seed`. Without `startup` every trial is one of the walk. Where `joint` is a slice of the cube of all arms,
    `arm_trials` are trials of other arms, which are learnt from too. The same trials and seeds give the same proposal.
    """

    def __init__(
        self,
        joint: Encoding | Slice,
        startup: int | None,
        walk: int,
        number: int,
        seed: int,
        arm_trials: Sequence[tuple[Arm, FrozenTrial]] = (),
    ) -> None:
        self._joint, self._startup, self._walk, self._number, self._seed = joint, startup, walk, number, seed
        self._arm_trials = arm_trials
        self._proposed: tuple[int, dict[str, Any]] | None = None

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing that Optuna would have to know: a proposal is a whole configuration."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As `infer_relative_search_space` says."""
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The configuration's own value; KeyError where the space has no such setting."""
        if self._proposed is None or self._proposed[0] != trial.number:
            self._proposed = trial.number, self._propose(study, trial)
        return self._proposed[1][param_name]

    def _propose(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        if self._startup is None:
            return self._on_the_walk()
        rivals = [rival for rival in study.get_trials(deepcopy=False) if rival.number != trial.number]
        pairs = [*self._arm_trials, *((None, rival) for rival in rivals)]
        learnt, of_study, values = self._learnt(pairs, 1.0 if study.direction is StudyDirection.MAXIMIZE else -1.0)
        if len(values) < self._startup:
            return self._on_the_walk()
        running = self._placed([pair for pair in pairs if pair[1].state is OptunaState.RUNNING])[0]
        rng = np.random.default_rng(self._seed)
        with one_thread():
            members = MEMBERS if len(values) <= FIT_ON else 1
            surface = Surface(learnt.points, values, rng, members, self._joint.lengths, FIT_ON)
            candidates = self._candidates(surface, learnt.then(running), rng)
            tried = learnt.of(of_study)
            places = candidates.then(tried.of(np.unique(tried.points, axis=0, return_index=True)[1]))
            posteriors = [surface.posterior(places.points, running.points, member) for member in range(members)]
            means, variances = (
                np.array(part) for part in zip(*((m, c.diagonal()) for m, c in posteriors), strict=True)
            )
            considered = _by_hope(*mixture_moments(means, variances))
            considered = considered[considered < len(candidates.points)][:_ASKED]
            gains = np.zeros(len(considered))
            for member, (mean, covariance) in enumerate(posteriors):
                gains += knowledge_gradient(mean, covariance, surface.noise_variance(member), considered)
        best = int(considered[int(gains.argmax())])
        return self._named(str(candidates.optimizers[best]), candidates.points[best])

    def _learnt(self, pairs: Sequence[_Pair], sign: float) -> tuple[_Places, NDArray[np.bool_], Array]:
        """The last MOST trials that tell something, which of them are the arm's own [n], and their values [n], more
        being better.
        """
        placed, placed_pairs = self._placed([pair for pair in pairs if pair[1].state in _TELLING])
        placed, placed_pairs = placed.of(np.arange(len(placed_pairs))[-MOST:]), placed_pairs[-MOST:]
        values = np.array([sign * _value(trial) for _, trial in placed_pairs])
        cut = np.array([trial.state is not OptunaState.COMPLETE for _, trial in placed_pairs], dtype=bool)
        of_study = np.array([arm is None for arm, _ in placed_pairs], dtype=bool)
        if cut.all():
            return placed.of(~cut), of_study[~cut], values[~cut]
        low, high = float(values[~cut].min()), float(np.median(values[~cut]))
        values[cut] = np.clip(np.nan_to_num(values[cut], nan=low), low, high)
        return placed, of_study, values

    def _placed(self, pairs: Sequence[_Pair]) -> tuple[_Places, list[_Pair]]:
        """The trials that have all settings which are searched of their optimizer, and where they are."""
        first = next(iter(self._joint.settings))
        names: list[str] = []
        points: list[Array] = []
        placed: list[_Pair] = []
        for arm, trial in pairs:
            optimizer = trial.params.get("optimizer", first)
            if self._has(optimizer, trial, arm):
                names.append(optimizer)
                points.append(self._point(optimizer, trial, arm))
                placed.append((arm, trial))
        return _Places(np.array(names, dtype=str), np.array(points).reshape(-1, self._joint.dimensions)), placed

    def _has(self, optimizer: str, trial: FrozenTrial, arm: Arm | None) -> bool:
        if isinstance(self._joint, Slice):
            return self._joint.has(optimizer, trial.params, arm)
        return arm is None and self._joint.has(optimizer, trial.params)

    def _point(self, optimizer: str, trial: FrozenTrial, arm: Arm | None) -> Array:
        if isinstance(self._joint, Slice):
            return self._joint.point(optimizer, trial.params, arm)
        return self._joint.point(optimizer, trial.params)

    def _candidates(self, surface: Surface, tried: _Places, rng: np.random.Generator) -> _Places:
        """All that the space has, where that is not too much; else places spread evenly and near promising ones, which
        nobody has tried. Those that may be best.
        """
        candidates = _Places(np.zeros(0, dtype=str), np.zeros((0, self._joint.dimensions)))
        for optimizer in self._joint.settings:
            units = self._joint.grid(optimizer, _GRID // len(self._joint.settings))
            if units is None:
                units = self._spread(optimizer, surface, tried, rng)
            candidates = candidates.then(_Places(np.full(len(units), optimizer), self._joint.points(optimizer, units)))
        return candidates.of(np.sort(_most_promising(surface, candidates.points)[:_SEEN]))

    def _spread(self, optimizer: str, surface: Surface, tried: _Places, rng: np.random.Generator) -> Array:
        count = len(self._joint.settings[optimizer])
        if not count:  # nothing but T or another setting of all would tell its configurations apart
            return np.zeros((1, 0))
        tried_units = np.unique(self._joint.units(optimizer, tried.points[tried.optimizers == optimizer]), axis=0)
        even = self._joint.snapped(optimizer, qmc.Sobol(count, rng=rng).random(_EVEN))
        centres = np.concatenate([even, tried_units])
        centres = centres[_most_promising(surface, self._joint.points(optimizer, centres))[:_PROMISING]]
        steps = np.repeat(_STEPS, _NEAR // len(_STEPS))[:, None]
        near = centres[:, None] + steps * rng.standard_normal((len(centres), _NEAR, count))
        near = self._joint.snapped(optimizer, self._joint.near(optimizer, near.reshape(-1, count), rng))
        candidates = np.unique(np.concatenate([even, near]), axis=0)
        twice = (candidates[:, None] == tried_units[None]).all(axis=2).any(axis=1)
        fresh: Array = candidates[~twice]
        return fresh if len(fresh) else candidates

    def _on_the_walk(self) -> dict[str, Any]:
        """The trial's own place of the study's Sobol sequence (Sobol 1967, scrambled: Owen 1998)."""
        names = list(self._joint.settings)
        most = max(len(settings) for settings in self._joint.settings.values())
        sequence = qmc.Sobol(most + 1, rng=np.random.default_rng(self._walk))
        if self._number:
            sequence.fast_forward(self._number)
        *units, optimizer_unit = sequence.random(1)[0]
        optimizer = names[min(int(optimizer_unit * len(names)), len(names) - 1)]
        coordinates = np.array(units[: len(self._joint.settings[optimizer])]).reshape(1, -1)
        return self._named(optimizer, self._joint.points(optimizer, coordinates)[0])

    def _named(self, optimizer: str, point: Array) -> dict[str, Any]:
        return {"optimizer": optimizer} | self._joint.values(optimizer, point)


def _most_promising(surface: Surface, points: Array) -> NDArray[np.int64]:
    """Places of `points` [n, d] by the best mean that they may have, the best first."""
    return _by_hope(*surface.standard(points))


def _by_hope(mean: Array, deviation: Array) -> NDArray[np.int64]:
    order: NDArray[np.int64] = np.argsort(-(mean + _OPTIMISTIC * deviation), kind="stable")
    return order


def _value(trial: FrozenTrial) -> float:
    """What a trial has come to; where it was stopped, the last that it showed. NaN where it showed nothing."""
    if trial.value is not None and trial.state is OptunaState.COMPLETE:
        return float(trial.value)
    return float(trial.intermediate_values[max(trial.intermediate_values)]) if trial.intermediate_values else math.nan
