"""One surface over all trials of a job, whichever optimizer they have.

Apart, each optimizer's trials would say less: T acts alike on both as far as the data show it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import structlog

from search import configurations
from search.records import Trial
from search.spec.job import JobSpec
from search.states import Arm, TrialState
from search.surrogate.axes import Axis, temperature_axis
from search.surrogate.encoding import Encoding, settings_of
from search.surrogate.surface import MEMBERS, Array, Surface
from search.surrogate.threads import one_thread

_log = structlog.get_logger(__name__)
ENOUGH = 5
"""Different configurations below which no surface is fitted to them."""
AT_MOST = 600
"""Trials that a surface is fitted to: the latest. Never by value: that would fit luck."""
DIVERGED = "diverged"
"""The reason's type of a trial whose loss was no longer finite."""


def answer_surface(spec: JobSpec, trials: Sequence[Trial], members: int = MEMBERS) -> Surface | None:
    """The surface that a job's answer is read off: over all that distils by the job's method, each on a fresh seed too.

    None where too few configurations have completed, or none could be fitted to them. The same trials give the same
    surface, in any order.
    """
    try:
        with one_thread():
            return joint_surface(spec, distilled(trials), False, np.random.default_rng([spec.seed, 0, 4]), members)
    except (ArithmeticError, ValueError) as error:  # LinAlgError among them: an answer is owed in any case
        _log.error("no surface could be fitted: the answer does without", name=spec.name, exc_info=error)
        return None


def distilled(trials: Sequence[Trial]) -> list[Trial]:
    """Those that distil by the job's method: a baseline's plain KL says nothing of another term's T."""
    configured = (trial for trial in trials if trial.configuration is not None and trial.arm is not Arm.LABEL_ONLY)
    return [trial for trial in configured if (trial.configuration or {}).get("method") is None]


def values_of(trials: Sequence[Trial], sign: int) -> dict[int, float]:
    """By number, `sign` times the value of those that completed; the diverged ones have the worst of these."""
    values = {trial.number: sign * trial.value for trial in trials if _completed(trial) and trial.value is not None}
    if values:
        diverged = (t.number for t in trials if t.reason is not None and t.reason.type == DIVERGED)
        values |= dict.fromkeys(diverged, min(values.values()))
    return values


def joint_surface(
    spec: JobSpec, trials: Sequence[Trial], labels: bool, rng: np.random.Generator, members: int
) -> Surface | None:
    """The surface over the label-only trials, or over all others; None where too few configurations have completed.

    A configuration that was trained on several seeds is there as often. Diverged trials count as the worst value seen,
    stopped ones are left out.
    """
    sign = 1 if spec.objective.direction == "maximize" else -1
    choices = spec.space.optimizers()
    group = [
        t
        for t in trials
        if (t.arm is Arm.LABEL_ONLY) == labels and t.configuration and optimizer_of(t.configuration) in choices
    ]
    values = values_of(group, sign)
    if len({repr(t.configuration) for t in group if _completed(t)}) < ENOUGH:
        return None
    fitted = sorted((t for t in group if t.number in values), key=lambda t: -t.number)[:AT_MOST]
    joint = joint_of(spec, labels)
    observed = np.array([values[t.number] for t in fitted])
    points = points_of(joint, [t.configuration or {} for t in fitted])
    return Surface(points, observed, rng, members, joint.lengths)


def joint_of(spec: JobSpec, labels: bool) -> Encoding:
    """Where configurations lie: of label-only trials the optimizer's settings alone; T also where it is not searched,
    since baselines have another one.
    """
    if labels:
        return Encoding.of(spec.space, Arm.LABEL_ONLY, spec.distillation.method)
    settings = {str(name): settings_of(spec.space, Arm.JOINT, name) for name in spec.space.optimizers()}
    if temperature_axis(spec.space) is None:
        temperature = Axis("temperature", 1.0, 40.0, log=True)
        settings = {name: [temperature, *columns] for name, columns in settings.items()}
    return Encoding(settings)


def points_of(joint: Encoding, configurations: Sequence[Mapping[str, Any]]) -> Array:
    """Stored configurations as points [n, d]."""
    points = [
        joint.point(name, {setting.name: setting.value(configuration) for setting in joint.settings[name]})
        for configuration in configurations
        for name in [optimizer_of(configuration)]
    ]
    return np.array(points, dtype=float).reshape(len(configurations), joint.dimensions)


def optimizer_of(configuration: Mapping[str, Any]) -> str:
    """The name of a stored configuration's optimizer."""
    return configurations.optimizer_name(configuration)


def _completed(trial: Trial) -> bool:
    return trial.state is TrialState.COMPLETED and trial.value is not None and math.isfinite(trial.value)
