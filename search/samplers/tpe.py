"""TPE for thousands of trials: cached columns and densities as matrix products, with the proposals of Optuna's own TPE.

Optuna goes through all trials in Python, several times for each proposal: at 10,000 trials that takes longer than
everything else that is done for a trial.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers._tpe._truncnorm import _ndtr
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
from optuna.samplers._tpe.probability_distributions import _BatchedCategoricalDistributions
from optuna.samplers._tpe.sampler import default_gamma
from optuna.search_space.group_decomposed import _SearchSpaceGroup
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

_LEARNT = (OptunaState.COMPLETE, OptunaState.PRUNED)
_FAR = 8.5  # standard deviations beyond which a Gaussian's tail is nothing in double precision


class Columns:
    """A study's trials as columns, by number: what has ended is read once, what has not at each `update`."""

    def __init__(self) -> None:
        self.running: list[FrozenTrial] = []
        self._open: set[int] = set()
        self._count = 0
        self._state = np.zeros(0, np.int8)  # 1 complete, 2 pruned, 0 all others
        self._value = np.zeros(0)
        self._step = np.zeros(0)  # the last one of a pruned trial
        self._inner: dict[str, np.ndarray] = {}  # parameters in Optuna's inner form, NaN where a trial has none
        self._spaces: dict[frozenset[str], tuple[int, dict[str, BaseDistribution]]] = {}
        self._parted: tuple[np.ndarray, np.ndarray] | None = None

    def update(self, trials: Sequence[FrozenTrial]) -> None:
        """Takes in all trials of the study, in the order of their numbers, which have no gaps."""
        self._grow(len(trials))
        fresh = [*sorted(self._open), *range(self._count, len(trials))]
        self._open, self._count, self.running, self._parted = set(), len(trials), [], None
        for number in fresh:
            trial = trials[number]
            if not trial.state.is_finished():
                self._open.add(number)
                if trial.state is OptunaState.RUNNING:
                    self.running.append(trial)
            elif trial.state in _LEARNT:
                self._learn(trial)

    def learnt(self) -> int:
        """How many trials there are to learn from."""
        return int(np.count_nonzero(self._state))

    def groups(self) -> list[dict[str, BaseDistribution]]:
        """The parameters that occur together, as Optuna's `group=True` divides them."""
        group = _SearchSpaceGroup()
        for _, distributions in sorted(self._spaces.values(), key=lambda entry: entry[0]):
            group.add_distributions(distributions)
        return group.search_spaces

    def parted(self, maximize: bool) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the good trials and of all others, each rising, as Optuna divides them."""
        if self._parted is None:
            self._parted = self._part(maximize)
        return self._parted

    def _part(self, maximize: bool) -> tuple[np.ndarray, np.ndarray]:
        sign = -1.0 if maximize else 1.0
        complete, pruned = np.flatnonzero(self._state == 1), np.flatnonzero(self._state == 2)
        complete = complete[np.argsort(sign * self._value[complete], kind="stable")]
        score = sign * self._value[pruned]
        score = np.where(self._step[pruned] < 0, 0.0, np.where(np.isnan(score), np.inf, score))
        pruned = pruned[np.lexsort((score, -self._step[pruned]))]  # stable, and those that went farther first
        ordered = np.concatenate([complete, pruned])
        below = default_gamma(len(ordered))
        return np.sort(ordered[:below]), np.sort(ordered[below:])

    def inner(self, numbers: np.ndarray, space: Mapping[str, BaseDistribution]) -> tuple[np.ndarray, np.ndarray]:
        """Those of the trials that have all parameters of a space, and these in their inner form: (trials, names)."""
        nowhere = np.full(self._count, np.nan)
        values = np.stack([self._inner.get(name, nowhere)[numbers] for name in space], axis=1)
        whole = ~np.isnan(values).any(axis=1)
        return numbers[whole], values[whole]

    def _learn(self, trial: FrozenTrial) -> None:
        number = trial.number
        self._state[number] = 1 if trial.state is OptunaState.COMPLETE else 2
        if trial.state is OptunaState.COMPLETE:
            self._value[number] = trial.value
        elif trial.intermediate_values:
            self._step[number], self._value[number] = max(trial.intermediate_values.items())
        else:
            self._step[number] = -1
        for name, value in trial.params.items():
            if name not in self._inner:
                self._inner[name] = np.full(len(self._state), np.nan)
            self._inner[name][number] = trial.distributions[name].to_internal_repr(value)
        names = frozenset(trial.distributions)
        if names not in self._spaces or number < self._spaces[names][0]:
            self._spaces[names] = (number, trial.distributions)

    def _grow(self, size: int) -> None:
        if size > len(self._state):
            more = max(size, 2 * len(self._state)) - len(self._state)
            self._state = np.append(self._state, np.zeros(more, np.int8))
            self._value, self._step = (np.append(column, np.zeros(more)) for column in (self._value, self._step))
            self._inner = {name: np.append(column, np.full(more, np.nan)) for name, column in self._inner.items()}


class Kernels(_ParzenEstimator):
    """Optuna's estimator of a density, whose truncated Gaussian kernels are evaluated all at once.

    With precision w = 1 / sigma^2, sum over parameters of -w (x - mu)^2 / 2 is a product of [x^2, x, 1] with
    [-w / 2, w mu, -w mu^2 / 2]. A kernel's centre lies within its bounds, so that its mass loses no digits.
    """

    def log_pdf(self, samples_dict: dict[str, np.ndarray]) -> np.ndarray:
        mixture = self._mixture_distribution
        samples = self._transform(samples_dict)
        logs = np.broadcast_to(np.log(mixture.weights), (len(samples), len(mixture.weights))).copy()
        left, right, constant = [], [], np.zeros(len(mixture.weights))
        for column, kernel in zip(samples.T, mixture.distributions, strict=True):
            if isinstance(kernel, _BatchedCategoricalDistributions):
                logs += np.log(kernel.weights)[:, column.astype(np.int64)].T
                continue
            if kernel.step:
                plain: np.ndarray = super().log_pdf(samples_dict)
                return plain
            x = np.log(column) if kernel.is_log else column
            low, high = kernel.adapted_low, kernel.adapted_high
            middle = 0.5 * (low + high)  # about which squares are taken, so that little cancels
            x, mu, width = x - middle, kernel.mu - middle, kernel.sigma
            precision = width**-2.0
            left += [x * x, x]
            right += [-0.5 * precision, precision * mu]
            mass = _mass((low - middle - mu) / width, (high - middle - mu) / width)
            constant += -0.5 * precision * mu * mu - np.log(width * mass) - 0.5 * np.log(2 * np.pi)
        if left:
            logs += np.stack(left, axis=1) @ np.stack(right) + constant
        largest = logs.max(axis=1, keepdims=True)
        density: np.ndarray = np.log(np.exp(logs - largest).sum(axis=1)) + largest[:, 0]
        return density


def _mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """What standard Gaussians have between bounds on either side of 0; most kernels are far from both."""
    mass = np.ones_like(low)
    near = (low > -_FAR) | (high < _FAR)
    mass[near] = _ndtr(high[near]) - _ndtr(low[near])
    return mass


class ColumnsTPESampler(optuna.samplers.TPESampler):
    """Optuna's multivariate, grouped TPE with a constant liar, for one proposal, over columns that were brought up to
    date for it. Nothing is noted with the trial: it is written whole.
    """

    def __init__(self, columns: Columns, startup_trials: int, seed: int) -> None:
        super().__init__(
            n_startup_trials=startup_trials, multivariate=True, group=True, constant_liar=True, seed=seed
        )  # fmt: skip
        self._columns = columns
        self._parzen_estimator_cls = Kernels

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        groups = [dict(sorted(group.items())) for group in self._columns.groups()]
        return {
            name: distribution for group in groups for name, distribution in group.items() if not distribution.single()
        }

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if self._columns.learnt() < self._n_startup_trials:
            return {}
        drawn: dict[str, Any] = {}
        for group in self._columns.groups():
            space = {name: search_space[name] for name in sorted(group) if name in search_space}
            if space:
                drawn |= self._sample(study, trial, space)
        return drawn

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        if self._columns.learnt() < self._n_startup_trials:
            return self._random_sampler.sample_independent(study, trial, param_name, param_distribution)
        return self._sample(study, trial, {param_name: param_distribution})[param_name]

    def _sample(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        columns = self._columns
        good, rest = columns.parted(study.direction is StudyDirection.MAXIMIZE)
        below = self._kernels(search_space, columns.inner(good, search_space)[1])
        numbers, values = columns.inner(rest, search_space)
        for running in columns.running:
            if search_space.keys() <= running.params.keys() and running.number != trial.number:
                position = int(np.searchsorted(numbers, running.number))
                row = [
                    distribution.to_internal_repr(running.params[name]) for name, distribution in search_space.items()
                ]
                numbers, values = np.insert(numbers, position, running.number), np.insert(values, position, row, axis=0)
        above = self._kernels(search_space, values)
        candidates = below.sample(self._rng.rng, self._n_ei_candidates)
        best = self._compare(candidates, self._compute_acquisition_func(candidates, below, above))
        return {name: distribution.to_external_repr(best[name]) for name, distribution in search_space.items()}

    def _kernels(self, space: dict[str, BaseDistribution], values: np.ndarray) -> _ParzenEstimator:
        by_name = {name: values[:, i] for i, name in enumerate(space)}
        return self._parzen_estimator_cls(by_name, space, self._parzen_estimator_parameters)
