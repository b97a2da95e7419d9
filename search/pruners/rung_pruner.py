"""Pruners that decide at rungs: after a trial's last report, beside what others reported at the same epoch."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence

import optuna
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial


class RungPruner(optuna.pruners.BasePruner):
    """A pruner that looks at some epochs alone, and stops there whatever is no number."""

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether to stop, after the trial's last report; never between rungs."""
        rung = trial.last_step
        if rung is None or not self.is_rung(rung):
            return False
        return math.isnan(trial.intermediate_values[rung]) or self.stops(study, trial, rung)

    @abstractmethod
    def is_rung(self, epoch: int) -> bool:
        """Whether a trial may be stopped after this epoch."""

    @abstractmethod
    def stops(self, study: Study, trial: FrozenTrial, rung: int) -> bool:
        """Whether to stop a trial that has a value at this rung."""


def rivals_of(study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
    """The study's other trials."""
    return [rival for rival in study.get_trials(deepcopy=False) if rival.number != trial.number]


def sign_of(study: Study) -> float:
    """By what values are multiplied so that more is better."""
    return 1.0 if study.direction is StudyDirection.MAXIMIZE else -1.0


def leads(study: Study, trial: FrozenTrial, rivals: Sequence[FrozenTrial], rung: int) -> bool:
    """Whether none of the rivals that reported at a rung is better there."""
    sign, value = sign_of(study), trial.intermediate_values[rung]
    values = [rival.intermediate_values[rung] for rival in rivals if rung in rival.intermediate_values]
    return all(sign * value >= sign * rival for rival in values)
