"""The distillation part of a spec: the method, and the shape of T along training. T itself is searched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from search.parts import Fraction, LogSearched, Part, Range, Ranged
from trainers import spec as trained
from trainers.spec import Method, TemperatureShape

LEARNED = (1.0, 21.0)  # what CTKD's temperature may come to, ends excluded
_WEIGHTS = {"dkd": {"alpha": 1.0, "beta": 8.0}, "dist": {"beta": 2.0, "gamma": 2.0}}
_TEMPERATURES: dict[str, Any] = {"mse": 1.0, "ctkd": Range(low=1.5, high=20.0, log=True)}  # where none is given
_Weight = float | None


class DistillationSpec(Part):
    """The distillation term of every trial but the baselines', which use plain KL."""

    method: Method = Field("kl", description="ctkd learns T, from space.temperature on; mse has none")
    alpha: _Weight = Field(None, ge=0, le=1e3, description="dkd: of the target class against the rest, 1 unless given")
    beta: _Weight = Field(
        None, ge=0, le=1e3, description="dkd: of the others among themselves, 8; dist: of classes of an image, 2"
    )
    gamma: _Weight = Field(None, ge=0, le=1e3, description="dist: of the images of a class, 2")
    schedule: TemperatureShape = Field(
        "constant", description="T along training, from space.temperature to space.final_temperature"
    )
    step_at: Fraction | None = Field(None, description="step: after which share of the training, half unless given")

    @model_validator(mode="after")
    def _settings(self) -> Self:
        known = _WEIGHTS.get(self.method, {})
        for name in ("alpha", "beta", "gamma"):
            if getattr(self, name) is not None and name not in known:
                owners = " and ".join(method for method, names in _WEIGHTS.items() if name in names)
                raise ValueError(f"{name} belongs to {owners}: {self.method} has none")
        if self.step_at is not None and self.schedule != "step":
            raise ValueError("step_at belongs to the step schedule")
        if self.schedule != "constant" and self.method in _TEMPERATURES:
            why = "learns T itself" if self.method == "ctkd" else "has no temperature"
            raise ValueError(f"schedule must be constant: {self.method} {why}")
        return self

    def to_trained(self) -> trained.Distillation:
        """In the trainers' words, every weight given."""
        given = {name: getattr(self, name) for name in _WEIGHTS.get(self.method, {})}
        weights = {
            name: _WEIGHTS[self.method][name] if value is None else float(value) for name, value in given.items()
        }
        step_at = 0.5 if self.step_at is None else self.step_at
        return trained.Distillation(self.method, **weights, shape=self.schedule, step_at=step_at)


def with_temperature(document: Any) -> Any:
    """A job's document with the temperatures that suit its method, where it gives none."""
    if not isinstance(document, Mapping):
        return document
    rule, space = document.get("distillation"), document.get("space")
    method = rule.get("method") if isinstance(rule, Mapping) else getattr(rule, "method", None)
    if not isinstance(method, str) or method not in _TEMPERATURES:
        return document
    if space is None:
        return {**document, "space": {"temperature": _TEMPERATURES[method]}}
    if isinstance(space, Mapping) and "temperature" not in space:
        return {**document, "space": {**space, "temperature": _TEMPERATURES[method]}}
    return document


def check_distillation(
    rule: DistillationSpec, temperature: LogSearched, final: LogSearched | None, student: LogSearched | None
) -> None:
    """ValueError where the temperatures of the space do not suit the method and the schedule."""
    method = rule.method
    low, high = (temperature.low, temperature.high) if isinstance(temperature, Ranged) else (temperature, temperature)
    if method in _TEMPERATURES and student is not None:
        raise ValueError(f"space.student_temperature must be same: {method} has none of its own")
    if method == "mse" and low < high:
        raise ValueError("space.temperature must be left out, or a number: mse has no temperature to search")
    if method == "ctkd" and not LEARNED[0] < low <= high < LEARNED[1]:
        raise ValueError(
            f"space.temperature must be between {LEARNED[0]:g} and {LEARNED[1]:g}, ends excluded, where ctkd learns it "
            f"from there on, got {low:g}" + (f" to {high:g}" if low < high else "")
        )
    if (final is None) != (rule.schedule == "constant"):
        needed = "is needed" if final is None else "must be left out"
        raise ValueError(f"space.final_temperature {needed} where distillation.schedule is {rule.schedule}")
