"""Draft trials: kept in memory beside the study's other trials until they are whole.

Optuna writes each parameter into its storage as soon as it is drawn. A draft gathers them, so that the trial can be
written in one transaction; other samplers see it from then on.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial
from optuna.trial import TrialState as OptunaState

_DRAFT = -1  # the id of a trial that no storage knows


class Draft(optuna.storages.BaseStorage):
    """Another storage as one proposal sees it: one study, its trials as they were read, and the one being thought up.

    What samplers note of the study (qmc its place in the sequence) goes to that storage; what they note of the trial
    stays with it.
    """

    def __init__(
        self,
        storage: optuna.storages.BaseStorage,
        study_id: int,
        directions: Sequence[StudyDirection],
        trials: Sequence[FrozenTrial],
        user_attrs: dict[str, Any],
    ) -> None:
        self._storage, self._study_id, self._directions = storage, study_id, list(directions)
        self.trial = optuna.trial.create_trial(state=OptunaState.RUNNING, user_attrs=user_attrs)
        self.trial.number, self.trial._trial_id = len(trials), _DRAFT
        self._trials, self._name = [*trials, self.trial], ""

    def begin(self, name: str, sampler: optuna.samplers.BaseSampler) -> Trial:
        """The trial, as `Study.ask` would give it."""
        self._name = name
        study = optuna.load_study(study_name=name, storage=self, sampler=sampler)
        return Trial(study, _DRAFT)

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._study_id

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._storage.get_study_user_attrs(study_id)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._storage.get_study_system_attrs(study_id)

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._storage.set_study_user_attr(study_id, key, value)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._storage.set_study_system_attr(study_id, key, value)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return self.trial if trial_id == _DRAFT else self._storage.get_trial(trial_id)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[OptunaState] | None = None
    ) -> list[FrozenTrial]:
        trials = [trial for trial in self._trials if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        trial = self._mine(trial_id)
        trial.distributions[param_name] = distribution
        trial.params[param_name] = distribution.to_external_repr(param_value_internal)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._mine(trial_id).user_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._mine(trial_id).system_attrs[key] = value

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        self._mine(trial_id).intermediate_values[step] = intermediate_value

    def set_trial_state_values(self, trial_id: int, state: OptunaState, values: Sequence[float] | None = None) -> bool:
        raise NotImplementedError("a draft does not end")

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        raise NotImplementedError("a draft is one trial")

    def create_new_study(self, directions: Sequence[StudyDirection], study_name: str | None = None) -> int:
        raise NotImplementedError("a draft belongs to a study that exists")

    def delete_study(self, study_id: int) -> None:
        raise NotImplementedError("a draft deletes nothing")

    def get_all_studies(self) -> list[Any]:
        return self._storage.get_all_studies()

    def _mine(self, trial_id: int) -> FrozenTrial:
        if trial_id != _DRAFT:
            raise NotImplementedError("a sampler notes nothing of other trials")
        return self.trial
