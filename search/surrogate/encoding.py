"""The joint cube: coordinates of a job's configurations, whichever optimizer they have.

An optimizer's own settings lie in the middle where a configuration has another optimizer, and a column of its own for
each optimizer but the first says which one it has: what one optimizer's trials tell of T is known to the others, as far
as the data say that they are alike (imputation of inactive settings: Hutter et al. 2011, SMAC; Bergstra et al. 2011).
An unordered parameter has such columns too, one for each of its choices but the first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search.configurations import parameters_in
from search.spec.job import SpaceSpec
from search.states import Arm
from search.surrogate.axes import Axis, axes, temperature_axis
from trainers.registry import losses
from trainers.spec import Method

Array = NDArray[np.float64]
Values = Mapping[str, Any]
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
_APART = (0.0, 1.0)  # of which optimizer it is, or which choice of an unordered parameter
_LIKELY = 0.2
"""That a setting near another has another choice of an unordered parameter, by chance: near are all of them."""


class Encoding:
    """Configurations as points of one cube. `settings` are those of each optimizer; what has no optimizer's name they
    have in common, in the same order.

    A configuration's units are its settings in 0..1, one for each; of an unordered parameter the middle of its choice's
    part. Its point has a column for each of them, but for an unordered parameter's.
    """

    def __init__(self, settings: Mapping[str, Sequence[Axis]]) -> None:
        self.settings = settings
        self._optimizers = list(self.settings)
        common = [setting for setting in next(iter(self.settings.values())) if not _own(setting)]
        names = [(setting.name, "", place) for setting in common for place in _columns(setting)]
        names += [("", name, 0) for name in self._optimizers[1:]]
        names += [(s.name, name, 0) for name, settings in self.settings.items() for s in settings if _own(s)]
        self._columns = {name: place for place, name in enumerate(names)}

    @classmethod
    def of(cls, space: SpaceSpec, arm: Arm = Arm.JOINT, method: Method = losses.PLAIN) -> Encoding:
        """What is searched in an arm's study, by a job of this method."""
        return cls({str(name): settings_of(space, arm, name, method) for name in space.optimizers()})

    @property
    def dimensions(self) -> int:
        """Of the cube."""
        return len(self._columns)

    @property
    def lengths(self) -> Array:
        """Priors of the columns' logarithmic length scales [dimensions, 2]: mean and deviation."""
        priors = [
            _APART if place or not name else _LENGTHS.get(name.rpartition(".")[2], _LENGTH)
            for name, _, place in self._columns
        ]
        return np.array(priors).reshape(-1, 2)

    def column(self, name: str) -> int:
        """The column of an ordered setting that all optimizers have in common."""
        return self._columns[name, "", 0]

    def points(self, optimizer: str, units: Array) -> Array:
        """The points [n, dimensions] of configurations whose settings lie at `units` [n, settings of the optimizer]."""
        points = np.full((len(units), self.dimensions), _MIDDLE)
        for name in self._optimizers[1:]:
            points[:, self._columns["", name, 0]] = float(name == optimizer)
        for setting, column in zip(self.settings[optimizer], units.T, strict=True):
            columns = self._columns_of(setting, optimizer)
            if setting.choices:
                places = np.clip((column * len(setting.choices)).astype(int), 0, len(setting.choices) - 1)
                points[:, columns] = places[:, None] == np.arange(1, len(setting.choices))
            else:
                points[:, columns[0]] = column
        return points

    def units(self, optimizer: str, points: Array) -> Array:
        """The units [n, settings] of an optimizer's configurations at these points [n, dimensions]."""
        units = np.empty((len(points), len(self.settings[optimizer])))
        for place, setting in enumerate(self.settings[optimizer]):
            columns = self._columns_of(setting, optimizer)
            if setting.choices:
                first = np.full((len(points), 1), _MIDDLE)
                choice = np.concatenate([first, points[:, columns]], axis=1).argmax(axis=1)
                units[:, place] = (choice + _MIDDLE) / len(setting.choices)
            else:
                units[:, place] = points[:, columns[0]]
        return units

    def has(self, optimizer: str, values: Values) -> bool:
        """Whether a configuration with these values has a point: its optimizer is known, and no setting lacks."""
        return optimizer in self.settings and all(setting.name in values for setting in self.settings[optimizer])

    def point(self, optimizer: str, values: Values) -> Array:
        """One configuration's point [dimensions]; KeyError where it has none."""
        units = [setting.unit(values[setting.name]) for setting in self.settings[optimizer]]
        point: Array = self.points(optimizer, np.array(units).reshape(1, -1))[0]
        return point

    def values(self, optimizer: str, point: Array) -> dict[str, Any]:
        """The settings of an optimizer's configuration at this point [dimensions]; of lists the nearest values."""
        units = self.units(optimizer, point[None])[0]
        return {s.name: _nearest(s, float(unit)) for s, unit in zip(self.settings[optimizer], units, strict=True)}

    def near(self, optimizer: str, units: Array, rng: np.random.Generator) -> Array:
        """Units [n, settings] that were moved, of which some now have another choice of each unordered parameter."""
        for place, setting in enumerate(self.settings[optimizer]):
            if setting.choices:
                other_choices = rng.random(len(units)) < _LIKELY
                units[other_choices, place] = rng.random(int(other_choices.sum()))
        return units

    def snapped(self, optimizer: str, units: Array) -> Array:
        """Settings `units` [n, settings] of an optimizer within 0..1, those of lists at their nearest number.

        What lies beyond an end is reflected there: moved to the end, one trial after another would have the same T.
        """
        snapped_units = np.clip(1.0 - np.abs(1.0 - np.abs(units)), 0.0, 1.0)
        for column, setting in enumerate(self.settings[optimizer]):
            if setting.integer and not setting.listed:
                snapped_units[:, column] = [setting.unit(setting.at(float(unit))) for unit in snapped_units[:, column]]
            if setting.listed:
                listed_units = np.array([setting.unit(value) for value in setting.listed])
                snapped_units[:, column] = listed_units[
                    np.abs(snapped_units[:, [column]] - listed_units).argmin(axis=1)
                ]
        return snapped_units

    def grid(self, optimizer: str, most: int) -> Array | None:
        """All settings [n, settings] that an optimizer's configurations may have; None where more than `most`."""
        listed_units = [[s.unit(value) for value in s.listed] for s in self.settings[optimizer]]
        if not all(listed_units) or math.prod(map(len, listed_units)) > most:
            return None
        grid_points: Array = (
            np.stack([axis_values.ravel() for axis_values in np.meshgrid(*listed_units, indexing="ij")], axis=1)
            if listed_units
            else (np.zeros((1, 0)))
        )
        return grid_points

    def _columns_of(self, setting: Axis, optimizer: str) -> list[int]:
        owner = optimizer if _own(setting) else ""
        return [self._columns[setting.name, owner, place] for place in _columns(setting)]


def settings_of(space: SpaceSpec, arm: Arm, optimizer: str, method: Method = losses.PLAIN) -> list[Axis]:
    """What is searched of this optimizer's configurations in an arm's study, in the order in which it is asked for."""
    searched = axes(space, optimizer, parameters_in(space, arm, method))
    if arm is Arm.JOINT:
        temperature = temperature_axis(space)
        return [*([temperature] if temperature else []), *searched]
    if arm is Arm.LABEL_ONLY:
        return [axis for axis in searched if _own(axis) or axis.parameter]
    return [axis for axis in searched if axis.parameter or not axis.name.endswith("temperature")]


def _own(setting: Axis) -> bool:
    return "." in setting.name


def _columns(setting: Axis) -> range:
    """The numbers of a setting's columns: 0, or of an unordered parameter one from 1 for each choice but the first."""
    return range(1, len(setting.choices)) if setting.choices else range(1)


def _nearest(setting: Axis, unit: float) -> Any:
    """The value at this place of 0..1: of a list the nearest one's, never beyond the ends."""
    if setting.listed and not setting.choices:
        return min(setting.listed, key=lambda value: abs(setting.unit(value) - unit))
    return setting.at(unit)
