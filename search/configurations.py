"""The stored form of a configuration, and the configuration of a baseline that is derived from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from search.spec.job import SpaceSpec
from search.spec.optimizers import OWN
from search.spec.parameters import Parameter, temperatures
from search.states import Arm
from trainers.registry import losses
from trainers.spec import Configuration, Method, Optimizer

FIXED_TEMPERATURE: dict[Arm, float] = {Arm.LABEL_ONLY: 1.0, Arm.T1: 1.0, Arm.T4: 4.0}


def baseline_method(method: Method) -> Method | None:
    """What a baseline's configuration says of the term, where the job's method is this."""
    return None if method == losses.PLAIN else losses.PLAIN


def to_json(configuration: Configuration) -> dict[str, Any]:
    """The configuration as plain JSON, as it stands in the tables."""
    return configuration.stored()


def from_json(document: Mapping[str, Any]) -> Configuration:
    """The configuration that `to_json` wrote."""
    optimizer = document["optimizer"]
    return Configuration(**{**document, "optimizer": None if optimizer is None else Optimizer(**optimizer)})


def optimizer_name(configuration: Mapping[str, Any]) -> str:
    """The name of a stored configuration's optimizer; OWN where the training has one of its own."""
    optimizer = configuration["optimizer"]
    return OWN if optimizer is None else str(optimizer["name"])


def parameters_in(space: SpaceSpec, arm: Arm, method: Method = losses.PLAIN) -> dict[str, Parameter]:
    """The named parameters that an arm's configurations have, as it searches them: in a baseline further temperatures
    are pinned together with T, and what weighs the parts of the job's method is no part of plain KL.
    """
    if arm is Arm.JOINT:
        return dict(space.parameters)
    parameters = {name: part for name, part in space.parameters.items() if name not in _weights(method)}
    return parameters | dict.fromkeys(temperatures(parameters), FIXED_TEMPERATURE[arm])


def _weights(method: Method) -> Collection[str]:
    """The names that a baseline has no use for, where the job's method is this."""
    return () if method == losses.PLAIN else losses.get(method).weights


def in_arm(
    configuration: Configuration, arm: Arm, method: Method = losses.PLAIN, further: Iterable[str] = ()
) -> Configuration:
    """What this configuration becomes in an arm: T is the arm's own, of teacher and student, first and last, and of the
    parameters that are `further` temperatures; the term is plain KL, whatever the job's method, without that method's
    own weights; label_only has no distillation term at all.
    """
    if arm is Arm.JOINT:
        return configuration
    at_fixed = dataclasses.replace(
        configuration,
        temperature=FIXED_TEMPERATURE[arm],
        student_temperature=None,
        final_temperature=None,
        method=baseline_method(method),
        parameters={name: value for name, value in configuration.parameters.items() if name not in _weights(method)}
        | dict.fromkeys(further, FIXED_TEMPERATURE[arm]),
    )
    if arm is Arm.LABEL_ONLY:
        return dataclasses.replace(at_fixed, kd_weight=0.0, label_weight=1.0)
    return at_fixed
