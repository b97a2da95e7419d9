"""Prediction of a trial's end from its curve so far, its settings, and the job's other trials.

A Bayesian linear model of what is still to be gained after a rung, fitted to the trials that were trained to their end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from search.pruners.rung_pruner import RungPruner, leads, rivals_of

Floats = NDArray[np.float64]
FLOOR = 0.01  # added to errors before the logarithm: a point, about what a seed does to a good student
MOST = 256  # trials that are fitted to, the last ones to be asked for
_STEP = 0.2  # of log error: by how much curves must differ for it to tell how they go on
_PRIOR_DEVIATION = 0.05  # of log error around its prediction, as much known beforehand as from two trials


def quality(value: float, best: float, span: float = 1.0) -> float:
    """An objective as minus the logarithm of its error, in which learning curves are nearly straight over log epochs.

    Power laws (Domhan et al. 2015) are lines there, but for their asymptote. The error is the distance to the `best`
    that the objective can be, 1 of accuracy and 0 of loss and calibration error, as a share of the `span` of what it
    can be, where it is bounded on both sides.
    """
    return -math.log(abs(best - value) / span + FLOOR)


def predict(
    features: Floats, gains: Floats, features_new: Floats, prior_deviation: float = _PRIOR_DEVIATION
) -> tuple[float, float]:
    """Mean and standard deviation of a gain, of trials with these features ([trials, features]), for one more's.

    Normal-inverse-gamma regression (Murphy 2012, section 7.6) on features as wide as 1 or made so, where they are
    wider; a slope's prior deviation is as large as the noise: where few trials have ended, or all are alike, all are
    expected to gain the same. The deviation is that of the Student t of the prediction.
    """
    centre, scale = features.mean(axis=0), np.maximum(features.std(axis=0), 1.0)
    design = np.column_stack([np.ones(len(gains)), (features - centre) / scale])
    point = np.concatenate([[1.0], (features_new - centre) / scale])
    precision = design.T @ design + np.diag([1e-6] + [1.0] * features.shape[1])
    weights = np.linalg.solve(precision, design.T @ gains)
    residuals = gains - design @ weights
    shape = 1.0 + len(gains) / 2
    rate = prior_deviation**2 + 0.5 * float(residuals @ residuals + weights[1:] @ weights[1:])
    spread = 1.0 + float(point @ np.linalg.solve(precision, point))
    return float(point @ weights), math.sqrt(rate / (shape - 1.0) * spread)


def settings(trials: Sequence[FrozenTrial]) -> Floats:
    """Each trial's parameters as numbers, [trials, features]: standardized where a trial has them, 0 where it has not.

    Logarithmic ranges as logarithms, choices among numbers by their place, other choices as an indicator each.
    """
    columns: dict[str, Callable[[FrozenTrial], float]] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            columns |= _columns(name, distribution)
    matrix = np.array([[column(trial) for column in columns.values()] for trial in trials]).reshape(len(trials), -1)
    present = ~np.isnan(matrix)
    count = np.maximum(present.sum(axis=0), 1)
    centred = np.where(present, matrix - np.where(present, matrix, 0.0).sum(axis=0) / count, 0.0)
    scale = np.sqrt((centred**2).sum(axis=0) / count)
    return centred / np.where(scale > 1e-9, scale, 1.0)


def _columns(name: str, distribution: BaseDistribution) -> dict[str, Callable[[FrozenTrial], float]]:
    def number(trial: FrozenTrial) -> float:
        value = float(trial.params.get(name, math.nan))
        return math.log(value) if getattr(distribution, "log", False) else value

    if not isinstance(distribution, CategoricalDistribution):
        return {name: number}
    choices = distribution.choices
    if all(isinstance(choice, (int, float)) for choice in choices):
        return {name: lambda trial: float(choices.index(trial.params[name])) if name in trial.params else math.nan}

    def indicator(choice: object) -> Callable[[FrozenTrial], float]:
        return lambda trial: float(trial.params[name] == choice) if name in trial.params else math.nan

    return {f"{name}={choice}": indicator(choice) for choice in choices[1:]}


class CurvePruner(RungPruner):
    """Stops a trial whose chance to end as one of the `keep` best, as far as they are known, is below `chance`.

    It is asked at the epochs at which trials report, from `min_epochs` on, and stops nobody before `startup_trials`
    have been trained to their end, nor whoever leads at that epoch. What it decides depends on what the storage holds
    of the trials, and on nothing else. `bounds` are what the objective can be: from 0 to 1 unless given.
    """

    def __init__(
        self,
        min_epochs: int,
        startup_trials: int,
        chance: float,
        keep: int,
        bounds: tuple[float, float] | None = None,
    ) -> None:
        if min_epochs < 1:
            raise ValueError(f"min_epochs must be at least 1, got {min_epochs}")
        if not 0 < chance < 0.5:
            raise ValueError(f"chance must be in (0, 0.5), got {chance:g}; 0.05 stops what is unlikely to be of use")
        if keep < 1:
            raise ValueError(f"keep must be at least 1, got {keep}; 1 asks for the best alone")
        self._min_epochs, self._chance, self._keep = min_epochs, chance, keep
        self._startup = max(startup_trials, keep, 3)
        self._bounds = (0.0, 1.0) if bounds is None else bounds

    def is_rung(self, epoch: int) -> bool:
        """Whether it is late enough."""
        return epoch >= self._min_epochs

    def stops(self, study: optuna.study.Study, trial: FrozenTrial, rung: int) -> bool:
        """Whether the trial's chance is below what was asked for."""
        trials = rivals_of(study, trial)
        if leads(study, trial, trials, rung):
            return False
        completed = [
            rival for rival in trials if rival.state is TrialState.COMPLETE and rung in rival.intermediate_values
        ]
        if len(completed) < self._startup:
            return False
        return self._chance_of(trial, completed[-MOST:], rung, study.direction) < self._chance

    def _chance_of(
        self, trial: FrozenTrial, completed: Sequence[FrozenTrial], rung: int, direction: StudyDirection
    ) -> float:
        """The probability that the trial ends at least as good as the `keep`-th best of those that ended."""
        everyone = [*completed, trial]
        earlier = max((step for step in trial.intermediate_values if step < rung), default=rung)
        best = self._bounds[1 if direction is StudyDirection.MAXIMIZE else 0]
        width = self._bounds[1] - self._bounds[0]
        span = width if math.isfinite(width) else 1.0
        values = np.array([quality(past.intermediate_values[rung], best, span) for past in everyone])
        before = np.array([quality(past.intermediate_values.get(earlier, math.nan), best, span) for past in everyone])
        slope = np.nan_to_num(values - before)  # of a trial that did not report there nothing is known
        last = np.array([quality(past.value or 0.0, best, span) for past in completed])
        features = np.column_stack([values / _STEP, slope / _STEP, settings(everyone)])
        gain, deviation = predict(features[:-1], last - values[:-1], features[-1])
        threshold = float(np.sort(last)[-self._keep])
        return 1.0 - NormalDist(float(values[-1]) + gain, deviation).cdf(threshold)
