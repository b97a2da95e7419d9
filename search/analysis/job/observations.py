"""Observed values of trials, without a model. Light: the service may ask, which has no numerics."""

from __future__ import annotations

import math
from collections.abc import Sequence

from search import configurations
from search.records import Trial
from search.states import Arm, TrialState
from thermowell.api.answers import Observation


def observations(trials: Sequence[Trial]) -> list[Observation]:
    """Everything with a temperature and a value, pruned trials too."""
    return [
        Observation(
            trial=trial.number,
            temperature=float(trial.configuration["temperature"]),
            optimizer=configurations.optimizer_name(trial.configuration),
            value=trial.value,
            stage=trial.stage.value,
            state=trial.state.value,
        )
        for trial in trials
        if trial.configuration is not None
        and trial.arm is not Arm.LABEL_ONLY
        and trial.state in (TrialState.COMPLETED, TrialState.PRUNED)
        and trial.value is not None
        and math.isfinite(trial.value)
    ]


def softness_seen(trials: Sequence[Trial]) -> list[tuple[float, float]]:
    """(T, mean entropy of the teacher's softmax in nats) at the temperatures that trials were trained at, rising.

    Each epoch of a trial measures it on the validation part at the trial's own T: the curve is known at as many
    points as there are trials long before the job is closed.
    """
    entropies = {
        float(trial.configuration["temperature"]): float((trial.metrics or {})["teacher_entropy"])
        for trial in trials
        if trial.configuration is not None
        and "teacher_entropy" in (trial.metrics or {})
        and trial.arm is not Arm.LABEL_ONLY
    }
    return sorted(entropies.items())
