"""The search space of a job as Optuna's distributions, and the configuration that a trial's parameters mean."""

from __future__ import annotations

from typing import cast

import optuna

from search import configurations
from search.spec import parameters
from search.spec.job import Choices, Ranged, Searched, SpaceSpec
from search.spec.parameters import Parameter, ParameterChoices
from search.states import Arm
from search.surrogate.axes import Axis, parameter_axes
from trainers.registry import losses
from trainers.spec import Configuration, Method, Optimizer, OptimizerName, Value

TEMPERATURES = ("temperature", "final_temperature", "student_temperature")
SLACK = 1e-9
"""Of its end, by which a number may lie outside of its range: logarithms round."""


def suggest(trial: optuna.trial.BaseTrial, space: SpaceSpec, arm: Arm, method: Method = losses.PLAIN) -> Configuration:
    """One configuration of a job with this method, in the order temperatures (the first, the final, the student's),
    kd_weight, label_weight, named parameters, optimizer, its settings.

    Fixed values are no parameters, nor is what the arm fixes: a study's parameters are exactly what it searches.
    An optimizer's settings carry its name: the `learning_rate` of one and that of another are two parameters.
    """
    if arm is Arm.JOINT:
        temperature = _number(trial, "temperature", space.temperature)
        final, student = (
            None if part is None else _number(trial, name, part)
            for name, part in (
                ("final_temperature", space.final_temperature),
                ("student_temperature", space.student_temperature),
            )
        )
    else:
        temperature, final, student = configurations.FIXED_TEMPERATURE[arm], None, None
    if arm is Arm.LABEL_ONLY:
        kd_weight, label_weight = 0.0, 1.0
    else:
        kd_weight = _number(trial, "kd_weight", space.kd_weight)
        searched_label_weight = space.label_weight
        label_weight = (
            1.0 - kd_weight if searched_label_weight is None else _number(trial, "label_weight", searched_label_weight)
        )
    plain = None if arm is Arm.JOINT else configurations.baseline_method(method)
    named = {name: _value(trial, name, part) for name, part in configurations.parameters_in(space, arm, method).items()}
    return Configuration(
        temperature=temperature,
        student_temperature=student,
        final_temperature=final,
        method=plain,
        kd_weight=kd_weight,
        label_weight=label_weight,
        optimizer=_optimizer(trial, space),
        parameters=named,
    )


def checked(configuration: Configuration, space: SpaceSpec, arm: Arm, method: Method = losses.PLAIN) -> Configuration:
    """The configuration as it is. ValueError where a number of it is not finite, or lies outside of the space."""
    optimizer = configuration.optimizer
    pairs: list[tuple[str, Searched | None, float | None]] = []
    if optimizer is not None:
        numbers = space.optimizers()[optimizer.name].numbers()
        pairs += [
            (f"{optimizer.name}.{name}", searched, getattr(optimizer, name)) for name, searched in numbers.items()
        ]
    if arm is not Arm.LABEL_ONLY:
        pairs += [(name, getattr(space, name), getattr(configuration, name)) for name in ("kd_weight", "label_weight")]
    if arm is Arm.JOINT:
        pairs += [(name, getattr(space, name), getattr(configuration, name)) for name in TEMPERATURES]
    for name, searched, value in pairs:
        if searched is None or value is None:
            continue
        low, high = (searched.low, searched.high) if isinstance(searched, Ranged) else (searched, searched)
        slack = SLACK * max(abs(low), abs(high))
        if not low - slack <= value <= high + slack:
            raise ValueError(f"{name} must be from {low!r} to {high!r}, and {value!r} was proposed")
    named = configurations.parameters_in(space, arm, method)
    if named.keys() != configuration.parameters.keys():
        raise ValueError(f"parameters must be {sorted(named)}, and {sorted(configuration.parameters)} were proposed")
    for name, parameter in named.items():
        proposed = configuration.parameters[name]
        if not parameters.inside(parameter, proposed, SLACK):
            raise ValueError(f"{name} must be {parameters.describe(parameter)}, and {proposed!r} was proposed")
    return configuration


def listed_values(space: SpaceSpec) -> dict[str, tuple[float, ...]]:
    """The numbers that each parameter which is a list may have, by the names that `suggest` uses."""
    parts: dict[str, Searched | None] = {
        "temperature": space.temperature,
        "final_temperature": space.final_temperature,
        "student_temperature": space.student_temperature,
        "kd_weight": space.kd_weight,
        "label_weight": space.label_weight,
    }
    for name, settings in space.optimizers().items():
        parts |= {f"{name}.{setting}": number for setting, number in settings.numbers().items()}
    listed = {name: part.values for name, part in parts.items() if isinstance(part, Choices)}
    return listed | {axis.name: _numbers(axis) for axis in parameter_axes(space.parameters) if _numbers(axis)}


def whole(space: SpaceSpec) -> frozenset[str]:
    """The names of the parameters that are whole numbers."""
    return frozenset(axis.name for axis in parameter_axes(space.parameters) if axis.integer)


def _numbers(axis: Axis) -> tuple[float, ...]:
    return () if axis.choices else tuple(float(value) for value in axis.listed)


def _value(trial: optuna.trial.BaseTrial, name: str, part: Parameter) -> Value:
    """What a trial has of a parameter."""
    if isinstance(part, ParameterChoices):
        return cast(Value, trial.suggest_categorical(name, part.choices))
    if isinstance(part, Ranged):
        return parameters.proper(part, trial.suggest_float(name, part.low, part.high, log=part.log))
    return part


def _optimizer(trial: optuna.trial.BaseTrial, space: SpaceSpec) -> Optimizer | None:
    if space.optimizer is None:
        return None
    choices = space.optimizers()
    name: OptimizerName = next(iter(choices))
    if len(choices) > 1:
        name = trial.suggest_categorical("optimizer", list(choices))
    settings = choices[name]
    numbers = {key: _number(trial, f"{name}.{key}", searched) for key, searched in settings.numbers().items()}
    return settings.optimizer(name, numbers)


def _number(trial: optuna.trial.BaseTrial, name: str, searched: Searched) -> float:
    if isinstance(searched, Ranged):
        return trial.suggest_float(name, searched.low, searched.high, log=searched.log)
    return float(searched)
