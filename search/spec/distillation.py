"""The distillation part of a spec: the method, and the shape of T along training. T itself is searched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from pydantic import Field, ValidationInfo, model_validator

from search.spec.fields import Fraction, LogSearched, Part, Range, Ranged, at_door, name_or_plugin
from thermowell.plugin import Targets
from trainers import spec as trained
from trainers.registry import losses
from trainers.registry.losses import LOSSES, PLAIN, WEIGHTS
from trainers.registry.optimizers import Interval
from trainers.registry.plugins import is_plugin
from trainers.spec import Method, TemperatureShape

if TYPE_CHECKING:
    MethodName: TypeAlias = str
else:
    MethodName = name_or_plugin("loss", tuple(LOSSES))
_Weight = float | None
_UNLESS_GIVEN = " unless given"


def _describe_methods() -> str:
    """Which methods take T in another way."""
    words = {"learned": "learns T, from space.temperature on", "none": "has none"}
    by_way = {way: [record.name for record in LOSSES.values() if record.temperature == way] for way in words}
    return "; ".join(f"{' and '.join(names)} {words[way]}" for way, names in by_way.items() if names)


def _describe_weight(name: str, unless_given: str = "") -> str:
    """What a weight weighs in each method that has it, and what it is unless given."""
    owners = {record.name: record.weights[name] for record in LOSSES.values() if name in record.weights}
    parts = [f"{method}: {weight.summary}, {weight.default:g}" for method, weight in owners.items()]
    return "; ".join(parts) + unless_given


class DistillationSpec(Part):
    """The distillation term of every trial but the baselines', which use plain KL."""

    method: MethodName = Field(PLAIN, description=_describe_methods())
    alpha: _Weight = Field(None, ge=0, le=1e3, description=_describe_weight("alpha", _UNLESS_GIVEN))
    beta: _Weight = Field(None, ge=0, le=1e3, description=_describe_weight("beta"))
    gamma: _Weight = Field(None, ge=0, le=1e3, description=_describe_weight("gamma"))
    schedule: TemperatureShape = Field(
        "constant", description="T along training, from space.temperature to space.final_temperature"
    )
    step_at: Fraction | None = Field(None, description="step: after which share of the training, half unless given")

    @model_validator(mode="after")
    def _settings(self, info: ValidationInfo) -> Self:
        record, trusted = losses.get(self.method), is_plugin(self.method) and not at_door(info)
        for name in WEIGHTS:
            if getattr(self, name) is not None and name not in record.weights and not trusted:
                owners = " and ".join(loss.name for loss in LOSSES.values() if name in loss.weights)
                raise ValueError(f"{name} belongs to {owners}: {self.method} has none")
        if self.step_at is not None and self.schedule != "step":
            raise ValueError("step_at belongs to the step schedule")
        if self.schedule != "constant" and record.temperature != "searched":
            why = "learns T itself" if record.temperature == "learned" else "has no temperature"
            raise ValueError(f"schedule must be constant: {self.method} {why}")
        return self

    def to_trained(self, revision: int = 1) -> trained.Distillation:
        """In the trainers' words, every weight given; `revision` is that of the method's record when the job began."""
        weights: dict[str, Any] = {}
        for name, weight in losses.get(self.method).weights.items():
            value = getattr(self, name)
            weights[name] = weight.default if value is None else float(value)
        step_at = 0.5 if self.step_at is None else self.step_at
        return trained.Distillation(self.method, **weights, shape=self.schedule, step_at=step_at, revision=revision)


def with_temperature(document: Any) -> Any:
    """A job's document with the temperatures that suit its method, where it gives none."""
    if not isinstance(document, Mapping):
        return document
    rule, space = document.get("distillation"), document.get("space")
    method = rule.get("method") if isinstance(rule, Mapping) else getattr(rule, "method", None)
    record = LOSSES.get(method) if isinstance(method, str) else None  # a plugin's term has the usual T
    if record is None or record.suited is None:
        return document
    suited: Any = record.suited
    if isinstance(suited, Interval):
        suited = Range(low=suited.low, high=suited.high, log=suited.log)
    if space is None:
        return {**document, "space": {"temperature": suited}}
    if isinstance(space, Mapping) and "temperature" not in space:
        return {**document, "space": {**space, "temperature": suited}}
    return document


def check_labels(method: Method, classes: int | None, targets: Targets | None) -> None:
    """ValueError where the method says nothing with so few classes, or makes no sense with labels of that kind; None is
    for what only the files say.
    """
    if reason := losses.unsuited(method, targets):
        raise ValueError(f"distillation.method: {reason}")
    record = losses.get(method)
    if classes is not None and classes < record.least_classes:
        why = f": {record.few}" if record.few else ""
        raise ValueError(
            f"distillation.method must be another one where there are {classes} classes: {method} needs "
            f"{record.least_classes} or more{why}"
        )


def check_distillation(
    rule: DistillationSpec, temperature: LogSearched, final: LogSearched | None, student: LogSearched | None
) -> None:
    """ValueError where the temperatures of the space do not suit the method and the schedule."""
    method = rule.method
    low, high = (temperature.low, temperature.high) if isinstance(temperature, Ranged) else (temperature, temperature)
    record = losses.get(method)
    if record.temperature != "searched" and student is not None:
        raise ValueError(f"space.student_temperature must be same: {method} has none of its own")
    if record.temperature == "none" and low < high:
        raise ValueError(f"space.temperature must be left out, or a number: {method} has no temperature to search")
    least, most = record.bounds
    if record.temperature == "learned" and not least < low <= high < most:
        raise ValueError(
            f"space.temperature must be between {least:g} and {most:g}, ends excluded, where {method} learns it "
            f"from there on, got {low:g}" + (f" to {high:g}" if low < high else "")
        )
    if (final is None) != (rule.schedule == "constant"):
        needed = "is needed" if final is None else "must be left out"
        raise ValueError(f"space.final_temperature {needed} where distillation.schedule is {rule.schedule}")
