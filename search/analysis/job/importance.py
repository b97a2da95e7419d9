"""Importances of settings by conditional PED-ANOVA (Optuna's), over the trials of the joint search."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from search import configurations
from search.records import Trial
from search.spec.job import JobSpec
from search.states import Arm, Stage, TrialState
from search.surrogate.axes import Axis, axes, temperature_axis
from thermowell.api.answers import Importances

ENOUGH = 10
"""Trials below which no importance is said: the top tenth of fewer is one lucky seed."""


def importances(job_id: str, spec: JobSpec, trials: Sequence[Trial], now: datetime) -> Importances:
    """How much each searched setting decided whether a trial came into the best part of the search.

    The best part is the best tenth, or the best five where a tenth is fewer. Settings that belong to one optimizer
    count in its trials alone and are weighted by how often it is among the best (Watanabe et al. 2023,
    arXiv:2304.10255; conditional settings: arXiv:2601.20800); of one with a single trial they count nothing. Completed
    trials of the joint search alone: baselines and confirmation are no draws from its space. Empty where fewer than ten
    have completed.
    """
    completed = [trial for trial in trials if _counts(trial)]
    if len(completed) < ENOUGH:
        evaluator, shares = "too few trials", dict[str, float]()
    elif not _values_differ(spec, completed, share := max(0.1, 5 / len(completed))):
        evaluator, shares = "too many trials are equally good", {}
    else:
        evaluator = f"conditional PED-ANOVA, best {share:.0%} of {len(completed)} trials"
        shares = _evaluate(spec, completed, share)
    return Importances(job_id=job_id, evaluator=evaluator, importances=shares, computed_at=now.isoformat())


def _counts(trial: Trial) -> bool:
    searched = trial.stage is Stage.SEARCH and trial.arm is Arm.JOINT
    return searched and trial.state is TrialState.COMPLETED and trial.value is not None and bool(trial.configuration)


def _values_differ(spec: JobSpec, trials: Sequence[Trial], share: float) -> bool:
    """Whether some trial is worse than the last of the best part: where all are as good as it, nothing decided."""
    ranked = sorted((trial.value or 0.0 for trial in trials), reverse=spec.objective.direction == "maximize")
    return ranked[-1] != ranked[math.ceil(share * len(ranked)) - 1]


def _evaluate(spec: JobSpec, trials: Sequence[Trial], share: float) -> dict[str, float]:
    storage = optuna.storages.InMemoryStorage()
    direction = optuna.study.StudyDirection[spec.objective.direction.upper()]
    storage.create_new_study([direction], "importance")
    study = optuna.load_study(study_name="importance", storage=storage)
    study.add_trials([_frozen(spec, trial) for trial in trials])
    if not any(trial.params for trial in study.get_trials(deepcopy=False)):
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=share)
    with warnings.catch_warnings():
        # Of an optimizer with a single trial: its settings are left out, as the docstring says.
        warnings.filterwarnings("ignore", "Some regimes for parameter", UserWarning)
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in shares.items()}


def _frozen(spec: JobSpec, trial: Trial) -> optuna.trial.FrozenTrial:
    """The trial as Optuna would have recorded it: only what was searched."""
    configuration = trial.configuration or {}
    optimizer = configurations.optimizer_name(configuration)
    searched: list[Axis] = axes(spec.space, optimizer)
    temperature = temperature_axis(spec.space)
    if temperature is not None:
        searched = [temperature, *searched]
    # as shares of each range: neither its scale nor its size can then come to an end of what numbers hold
    values: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    for axis in searched:
        value = axis.value(configuration)
        if axis.choices:
            values[axis.name], distributions[axis.name] = value, CategoricalDistribution(axis.choices)
        else:
            values[axis.name] = min(max(axis.unit(value), 0.0), 1.0)
            distributions[axis.name] = FloatDistribution(0.0, 1.0)
    choices = list(spec.space.optimizers())
    if len(choices) > 1:
        values["optimizer"], distributions["optimizer"] = optimizer, CategoricalDistribution(choices)
    return optuna.trial.create_trial(params=values, distributions=distributions, value=trial.value)
