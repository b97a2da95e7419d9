"""The joint cube: coordinates of a job's configurations, whichever optimizer they have.

An optimizer's own settings lie in the middle where a configuration has another optimizer, and a column of its own for
each optimizer but the first says which one it has: what one optimizer's trials tell of T is known to the others, as far
as the data say that they are alike (imputation of inactive settings: Hutter et al. 2011, SMAC; Bergstra et al. 2011).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.spec.job import Choices, SpaceSpec
from search.states import Arm
from search.surrogate.axes import Axis, axes, temperature_axis

Array = NDArray[np.float64]
Values = Mapping[str, float]
"""Of the searched settings, by the sampler's names."""

_MIDDLE = 0.5
# Priors of the logarithms of length scales (mean, deviation), relative to the searched range: students change fast with
# the learning rate, slowly with the weight of either term, and hardly with weight decay.
_LENGTHS = {
    "learning_rate": (math.log(0.5), 0.6),
    "weight_decay": (math.log(3.0), 0.8),
    "kd_weight": (math.log(2.0), 0.8),
    "label_weight": (math.log(2.0), 0.8),
}
_LENGTH = (math.log(0.8), 0.8)  # of temperatures, and of all others
_APART = (0.0, 1.0)  # of which optimizer it is


@dataclass(frozen=True, slots=True)
class Setting:
    """A searched setting of one optimizer's configurations, and the numbers that it may have where it is a list."""

    axis: Axis
    listed: tuple[float, ...] = ()

    def at(self, unit: float) -> float:
        """The value at this place of 0..1: of a list the nearest one's, never beyond the ends."""
        if self.listed:
            return min(self.listed, key=lambda value: abs(self.axis.unit(value) - unit))
        return self.axis.at(unit)


class Encoding:
    """Configurations as points of one cube. `settings` are those of each optimizer; what has no optimizer's name they
    have in common, in the same order.
    """

    def __init__(self, settings: Mapping[str, Sequence[Setting]]) -> None:
        self.settings = settings
        self._optimizers = list(self.settings)
        names = [(setting.axis.name, "") for setting in next(iter(self.settings.values())) if not _own(setting)]
        names += [("", name) for name in self._optimizers[1:]]
        names += [(s.axis.name, name) for name, settings in self.settings.items() for s in settings if _own(s)]
        self._columns = {name: place for place, name in enumerate(names)}

    @classmethod
    def of(cls, space: SpaceSpec, arm: Arm = Arm.JOINT) -> Encoding:
        """What is searched in an arm's study."""
        return cls({str(name): settings_of(space, arm, name) for name in space.optimizer.choices()})

    @property
    def dimensions(self) -> int:
        """Of the cube."""
        return len(self._columns)

    @property
    def lengths(self) -> Array:
        """Priors of the columns' logarithmic length scales [dimensions, 2]: mean and deviation."""
        priors = [_LENGTHS.get(name.rpartition(".")[2], _LENGTH) if name else _APART for name, _ in self._columns]
        return np.array(priors).reshape(-1, 2)

    def active(self, optimizer: str) -> list[int]:
        """The columns of an optimizer's settings, in their order."""
        return [self._columns[s.axis.name, optimizer if _own(s) else ""] for s in self.settings[optimizer]]

    def points(self, optimizer: str, units: Array) -> Array:
        """The points [n, dimensions] of configurations whose settings lie at `units` [n, settings of the optimizer]."""
        points = np.full((len(units), self.dimensions), _MIDDLE)
        for name in self._optimizers[1:]:
            points[:, self._columns["", name]] = float(name == optimizer)
        points[:, self.active(optimizer)] = units
        return points

    def has(self, optimizer: str, values: Values) -> bool:
        """Whether a configuration with these values has a point: its optimizer is known, and no setting lacks."""
        return optimizer in self.settings and all(setting.axis.name in values for setting in self.settings[optimizer])

    def point(self, optimizer: str, values: Values) -> Array:
        """One configuration's point [dimensions]; KeyError where it has none."""
        units = [setting.axis.unit(values[setting.axis.name]) for setting in self.settings[optimizer]]
        point: Array = self.points(optimizer, np.array(units).reshape(1, -1))[0]
        return point

    def values(self, optimizer: str, point: Array) -> dict[str, float]:
        """The settings of an optimizer's configuration at this point [dimensions]."""
        units = point[self.active(optimizer)]
        return {s.axis.name: s.at(float(unit)) for s, unit in zip(self.settings[optimizer], units, strict=True)}

    def snapped(self, optimizer: str, units: Array) -> Array:
        """Settings `units` [n, settings] of an optimizer within 0..1, those of lists at their nearest number.

        What lies beyond an end is reflected there: moved to the end, one trial after another would have the same T.
        """
        snapped_units = np.clip(1.0 - np.abs(1.0 - np.abs(units)), 0.0, 1.0)
        for column, setting in enumerate(self.settings[optimizer]):
            if setting.listed:
                listed_units = np.array([setting.axis.unit(value) for value in setting.listed])
                snapped_units[:, column] = listed_units[
                    np.abs(snapped_units[:, [column]] - listed_units).argmin(axis=1)
                ]
        return snapped_units

    def grid(self, optimizer: str, most: int) -> Array | None:
        """All settings [n, settings] that an optimizer's configurations may have; None where more than `most`."""
        listed_units = [[s.axis.unit(value) for value in s.listed] for s in self.settings[optimizer]]
        if not all(listed_units) or math.prod(map(len, listed_units)) > most:
            return None
        grid_points: Array = (
            np.stack([axis_values.ravel() for axis_values in np.meshgrid(*listed_units, indexing="ij")], axis=1)
            if listed_units
            else (np.zeros((1, 0)))
        )
        return grid_points


def settings_of(space: SpaceSpec, arm: Arm, optimizer: str) -> list[Setting]:
    """What is searched of this optimizer's configurations in an arm's study, in the order in which it is asked for."""
    searched = axes(space, optimizer)
    if arm is Arm.JOINT:
        temperature = temperature_axis(space)
        searched = [*([temperature] if temperature else []), *searched]
    elif arm is Arm.LABEL_ONLY:
        searched = [axis for axis in searched if "." in axis.name]
    else:
        searched = [axis for axis in searched if not axis.name.endswith("temperature")]
    return [Setting(axis, _listed(space, optimizer, axis.name)) for axis in searched]


def _own(setting: Setting) -> bool:
    return "." in setting.axis.name


def _listed(space: SpaceSpec, optimizer: str, name: str) -> tuple[float, ...]:
    owner, _, setting = name.rpartition(".")
    part = getattr(space.optimizer.choices()[optimizer] if owner else space, setting)
    return part.values if isinstance(part, Choices) else ()
