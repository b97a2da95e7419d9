"""The stored form of a configuration, and the configuration of a baseline that is derived from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from search.states import Arm
from trainers.registry import losses
from trainers.spec import Configuration, Method, Optimizer, to_jsonable

FIXED_TEMPERATURE: dict[Arm, float] = {Arm.LABEL_ONLY: 1.0, Arm.T1: 1.0, Arm.T4: 4.0}


def baseline_method(method: Method) -> Method | None:
    """What a baseline's configuration says of the term, where the job's method is this."""
    return None if method == losses.PLAIN else losses.PLAIN


def to_json(configuration: Configuration) -> dict[str, Any]:
    """The configuration as plain JSON, as it stands in the tables."""
    return dict(to_jsonable(configuration))


def from_json(document: Mapping[str, Any]) -> Configuration:
    """The configuration that `to_json` wrote."""
    return Configuration(**{**document, "optimizer": Optimizer(**document["optimizer"])})


def in_arm(configuration: Configuration, arm: Arm, method: Method = losses.PLAIN) -> Configuration:
    """What this configuration becomes in an arm: T is the arm's own, of teacher and student, first and last, and the
    term is plain KL, whatever the job's method; label_only has no distillation term at all.
    """
    if arm is Arm.JOINT:
        return configuration
    at_fixed = dataclasses.replace(
        configuration,
        temperature=FIXED_TEMPERATURE[arm],
        student_temperature=None,
        final_temperature=None,
        method=baseline_method(method),
    )
    if arm is Arm.LABEL_ONLY:
        return dataclasses.replace(at_fixed, kd_weight=0.0, label_weight=1.0)
    return at_fixed
