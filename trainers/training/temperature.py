"""The temperature of a student in each step of its training."""

from __future__ import annotations

import math

from trainers.errors import NameUnknown
from trainers.registry import lookup
from trainers.registry.schedules import TEMPERATURE_SCHEDULES
from trainers.spec import Configuration, Distillation


def share(rule: Distillation, step: int, steps: int) -> float:
    """How far T has gone from its first to its last value in step `step` (from 0) of `steps`: 0 in the first step, 1 in
    the last one. Linear and cosine are in T itself; a step is made once `step_at` of all steps are behind. NameUnknown.
    """
    if rule.shape not in TEMPERATURE_SCHEDULES:
        raise NameUnknown(lookup.unknown("schedule of the temperature", rule.shape, TEMPERATURE_SCHEDULES))
    if rule.shape == "constant" or steps < 2:
        return 0.0
    if rule.shape == "step":
        return float(step >= rule.step_at * steps)
    fraction = step / (steps - 1)
    if rule.shape == "linear":
        return fraction
    return 0.5 * (1 - math.cos(math.pi * fraction))


def ends(configuration: Configuration) -> tuple[float, float]:
    """The first and the last temperature of the teacher's softmax."""
    first = configuration.temperature
    return first, first if configuration.final_temperature is None else configuration.final_temperature


def temperatures_at(configuration: Configuration, progress: float) -> tuple[float, float]:
    """The teacher's and the student's temperature where so much of the way is gone; the student's is the teacher's
    unless the configuration gives it one, which then stays.
    """
    first, last = ends(configuration)
    ours = first + progress * (last - first)
    return ours, configuration.student_temperature or ours
