"""Axes of the surface: the searched settings of one optimizer, each scaled to 0..1, and the unordered parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.scales import share_of, value_at
from search.spec.fields import Choices, Ranged
from search.spec.job import SpaceSpec
from search.spec.parameters import Parameter, ParameterChoices, ParameterRange, Value

_TEMPERATURES = ("final_temperature", "student_temperature")
_MIDDLE = 0.5


_LISTED_WHOLE = 64
"""Whole numbers of a range up to which it is taken as the list of them."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One searched setting. `name` is the sampler's name of it: temperature, OPTIMIZER.learning_rate, or a parameter's.

    `listed` are the values that it may have alone: of a list its numbers, of an unordered parameter all of its
    `choices`, each of which then has an equal part of 0..1. A parameter's values lie in a configuration's `parameters`.
    """

    name: str
    low: float
    high: float
    log: bool
    listed: tuple[Value, ...] = ()
    choices: tuple[Value, ...] = ()
    integer: bool = False
    parameter: bool = False

    @classmethod
    def of(cls, name: str, part: Ranged | ParameterChoices, parameter: bool = False) -> Axis:
        """The axis of a part of the space."""
        if isinstance(part, ParameterChoices):
            return cls(name, 0.0, len(part.choices) - 1.0, False, part.choices, part.choices, parameter=True)
        integer = parameter and part.integer  # type: ignore[union-attr]
        listed: tuple[Value, ...] = part.values if isinstance(part, Choices) else ()
        if integer and isinstance(part, ParameterRange) and part.high - part.low < _LISTED_WHOLE:
            listed = tuple(range(round(part.low), round(part.high) + 1))
        if integer:
            listed = tuple(round(float(value)) for value in listed)
        return cls(name, part.low, part.high, part.log, listed, integer=integer, parameter=parameter)

    def value(self, configuration: Mapping[str, Any]) -> Any:
        """This setting's value in a stored configuration; the middle one where a baseline has none of it."""
        if self.parameter:
            parameters = configuration.get("parameters") or {}
            return parameters[self.name] if self.name in parameters else self.at(_MIDDLE)
        owner, _, setting = self.name.rpartition(".")
        if setting in _TEMPERATURES and configuration.get(setting) is None:
            setting = "temperature"  # a baseline has one for all
        return float(configuration["optimizer"][setting] if owner else configuration[setting])

    def number(self, configuration: Mapping[str, Any]) -> float:
        """The same as a number: of an unordered parameter the place of its value among the choices, from 0."""
        value = self.value(configuration)
        return float(self.choices.index(value)) if self.choices else float(value)

    def unit(self, value: Any) -> float:
        """Where a value lies between the ends (0 and 1) on this setting's scale; others lie outside of 0..1."""
        if self.choices:
            return (self.choices.index(value) + 0.5) / len(self.choices)
        return share_of(float(value), self.low, self.high, self.log)

    def at(self, unit: float) -> Any:
        """The value at a place of 0..1; never beyond the ends, whatever is rounded."""
        if self.choices:
            return self.choices[self.place(unit)]
        value = value_at(unit, self.low, self.high, self.log)
        return round(value) if self.integer else value

    def place(self, unit: float) -> int:
        """Which of the choices has its part of 0..1 here."""
        return min(max(int(unit * len(self.choices)), 0), len(self.choices) - 1)


def parameter_axes(parameters: Mapping[str, Parameter]) -> list[Axis]:
    """The searched ones of the named parameters, in their order."""
    searched = ((name, part) for name, part in parameters.items() if isinstance(part, Ranged | ParameterChoices))
    return [Axis.of(name, part, parameter=True) for name, part in searched]


def axes(space: SpaceSpec, optimizer: str, parameters: Mapping[str, Parameter] | None = None) -> list[Axis]:
    """The searched settings of this optimizer's trials, without temperature; fixed ones vary nowhere.

    `parameters` are the space's, or what an arm searches of them.
    """
    settings = space.optimizers()[optimizer]
    candidates: list[tuple[str, Any]] = [(name, getattr(space, name)) for name in _TEMPERATURES]
    candidates += [("kd_weight", space.kd_weight), ("label_weight", space.label_weight)]
    parts = [(f"{optimizer}.{name}", getattr(settings, name)) for name in type(settings).model_fields]
    return [
        *(Axis.of(name, part) for name, part in candidates if isinstance(part, Ranged)),
        *parameter_axes(space.parameters if parameters is None else parameters),
        *(Axis.of(name, part) for name, part in parts if isinstance(part, Ranged)),
    ]


def temperature_axis(space: SpaceSpec) -> Axis | None:
    """The searched range of T, always on a logarithmic scale; None where T is fixed."""
    if not isinstance(space.temperature, Ranged):
        return None
    listed = space.temperature.values if isinstance(space.temperature, Choices) else ()
    return Axis("temperature", space.temperature.low, space.temperature.high, log=True, listed=listed)
