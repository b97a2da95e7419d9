"""Axes of the surface: the searched settings of one optimizer, each scaled to 0..1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search.scales import share_of, value_at
from search.spec.job import Ranged, SpaceSpec

_TEMPERATURES = ("final_temperature", "student_temperature")


@dataclass(frozen=True, slots=True)
class Axis:
    """One searched setting. `name` is the sampler's name of it: temperature, or OPTIMIZER.learning_rate"""

    name: str
    low: float
    high: float
    log: bool

    def value(self, configuration: Mapping[str, Any]) -> float:
        """This setting's value in a stored configuration."""
        owner, _, setting = self.name.rpartition(".")
        if setting in _TEMPERATURES and configuration.get(setting) is None:
            setting = "temperature"  # a baseline has one for all
        return float(configuration["optimizer"][setting] if owner else configuration[setting])

    def unit(self, value: float) -> float:
        """Where a value lies between the ends (0 and 1) on this setting's scale; others lie outside of 0..1."""
        return share_of(value, self.low, self.high, self.log)

    def at(self, unit: float) -> float:
        """The value at a place of 0..1; never beyond the ends, whatever is rounded."""
        return value_at(unit, self.low, self.high, self.log)


def axes(space: SpaceSpec, optimizer: str) -> list[Axis]:
    """The searched settings of this optimizer's trials, without temperature; fixed ones vary nowhere."""
    settings = space.optimizer.choices()[optimizer]
    candidates: list[tuple[str, Any]] = [(name, getattr(space, name)) for name in _TEMPERATURES]
    candidates += [("kd_weight", space.kd_weight), ("label_weight", space.label_weight)]
    candidates += [(f"{optimizer}.{name}", getattr(settings, name)) for name in type(settings).model_fields]
    return [Axis(name, part.low, part.high, part.log) for name, part in candidates if isinstance(part, Ranged)]


def temperature_axis(space: SpaceSpec) -> Axis | None:
    """The searched range of T, always on a logarithmic scale; None where T is fixed."""
    if not isinstance(space.temperature, Ranged):
        return None
    return Axis("temperature", space.temperature.low, space.temperature.high, log=True)
