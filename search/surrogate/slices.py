"""Arms as slices of one cube: a tuned baseline is a pinned T, and no distillation a weight of 0.

What the joint search tells of learning rates is known to the baselines, and what they tell is known to it. The column
of T fades where the distillation term fades, so that the surface is constant in T where nothing is distilled.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from search.configurations import FIXED_TEMPERATURE, parameters_in
from search.scales import log_ratio
from search.spec.fields import Ranged
from search.spec.job import SpaceSpec
from search.spec.parameters import ParameterChoices, temperatures
from search.states import Arm
from search.surrogate.axes import Axis, parameter_axes
from search.surrogate.encoding import Array, Encoding, Values, settings_of
from trainers.registry import losses
from trainers.spec import Method

FADES = 0.3
"""The weight of the distillation term from which on T counts in full; below, in proportion to the weight: where the
teacher is hardly asked, little can hang on how soft its answers are."""
_TEMPERATURE, _WEIGHT = "temperature", "kd_weight"
_MIDDLE = 0.5
_ROUNDED = 1e-9  # a weight that is less is 0, rounded


class Slice:
    """An arm's configurations as points of the cube of all arms, where `Encoding` has those of one arm alone."""

    def __init__(self, space: SpaceSpec, arm: Arm, method: Method = losses.PLAIN) -> None:
        self._own = Encoding.of(space, arm, method)
        self._cube = Encoding({str(name): _settings(space, str(name)) for name in space.optimizers()})
        self._pins = {each_arm: _pins(space, each_arm, method) for each_arm in Arm}
        self._arm = arm
        self.settings, self.dimensions, self.lengths = self._own.settings, self._cube.dimensions, self._cube.lengths
        common = {axis.name: axis for axis in next(iter(self._cube.settings.values()))}
        further = set(temperatures(space.parameters))
        fading = [name for name, axis in common.items() if name in further or _is_temperature(axis)]
        self._fading = [self._cube.column(name) for name in fading]
        self._weight, self._weights = common[_WEIGHT], self._cube.column(_WEIGHT)

    def points(self, optimizer: str, units: Array) -> Array:
        """The points [n, dimensions] of the arm's configurations whose settings lie at `units` [n, settings]."""
        names = [axis.name for axis in self.settings[optimizer]]
        pins = self._pins[self._arm]
        columns = [
            units[:, names.index(axis.name)] if axis.name in names else np.full(len(units), axis.unit(pins[axis.name]))
            for axis in self._cube.settings[optimizer]
        ]
        return self._faded(self._cube.points(optimizer, np.stack(columns, axis=1)))

    def units(self, optimizer: str, points: Array) -> Array:
        """What the arm searches of the configurations at these points [n, dimensions], as units [n, settings]."""
        share = self._share(points)[:, None]
        whole = points.copy()
        faded = _MIDDLE + (points[:, self._fading] - _MIDDLE) / np.where(share > 0, share, 1.0)
        whole[:, self._fading] = faded
        names = [axis.name for axis in self._cube.settings[optimizer]]
        places = [names.index(axis.name) for axis in self.settings[optimizer]]
        units: Array = self._cube.units(optimizer, whole)[:, places]
        return units

    def has(self, optimizer: str, values: Values, arm: Arm | None = None) -> bool:
        """Whether a configuration of this arm, or of another one, with these values has a point."""
        return self._cube.has(optimizer, self._all(values, arm))

    def point(self, optimizer: str, values: Values, arm: Arm | None = None) -> Array:
        """One configuration's point [dimensions]; KeyError where it has none."""
        point: Array = self._faded(self._cube.point(optimizer, self._all(values, arm)).reshape(1, -1))[0]
        return point

    def values(self, optimizer: str, point: Array) -> dict[str, Any]:
        """What the arm searches of an optimizer's configuration at this point [dimensions]; of lists the nearest."""
        units = self.units(optimizer, point[None])
        return self._own.values(optimizer, self._own.points(optimizer, units)[0])

    def read(self, optimizer: str, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """The cube's settings of a stored configuration."""
        return {axis.name: axis.value(configuration) for axis in self._cube.settings[optimizer]}

    def near(self, optimizer: str, units: Array, rng: np.random.Generator) -> Array:
        """As Encoding's of the arm."""
        return self._own.near(optimizer, units, rng)

    def snapped(self, optimizer: str, units: Array) -> Array:
        """As Encoding's of the arm."""
        return self._own.snapped(optimizer, units)

    def grid(self, optimizer: str, most: int) -> Array | None:
        """As Encoding's of the arm."""
        return self._own.grid(optimizer, most)

    def _all(self, values: Values, arm: Arm | None) -> dict[str, Any]:
        return {**values, **self._pins[self._arm if arm is None else arm]}

    def _faded(self, points: Array) -> Array:
        share = self._share(points)[:, None]
        points[:, self._fading] = _MIDDLE + (points[:, self._fading] - _MIDDLE) * share
        return points

    def _share(self, points: Array) -> Array:
        """How much T counts at these points [n]."""
        units, axis = points[:, self._weights], self._weight
        if axis.log:
            weights = np.exp(math.log(axis.low) + units * log_ratio(axis.high, axis.low)) - _nothing(axis)
        else:
            weights = axis.low + units * (axis.high - axis.low)
        share: Array = np.where(weights < _ROUNDED, 0.0, np.minimum(weights / FADES, 1.0))
        return share


def together(arm: Arm, plain: bool) -> Sequence[Arm]:
    """The arms whose trials tell something of this arm's: where the job's method is not `plain`, its T is another."""
    if plain or arm is Arm.LABEL_ONLY:
        return tuple(Arm)
    return (Arm.JOINT, Arm.LABEL_ONLY) if arm is Arm.JOINT else (Arm.LABEL_ONLY, Arm.T1, Arm.T4)


def _settings(space: SpaceSpec, optimizer: str) -> list[Axis]:
    """What is searched of this optimizer's configurations, T and the term's weight in any case."""
    searched = settings_of(space, Arm.JOINT, optimizer)
    names = {axis.name for axis in searched}
    if _WEIGHT not in names:
        searched.insert(0, Axis(_WEIGHT, 0.0, 1.0, log=False))
    if _TEMPERATURE not in names:
        searched.insert(0, Axis(_TEMPERATURE, 1.0, 40.0, log=True))
    return searched


def _is_temperature(axis: Axis) -> bool:
    return not axis.parameter and axis.name.endswith(_TEMPERATURE)


def _pins(space: SpaceSpec, arm: Arm, method: Method) -> dict[str, Any]:
    """What an arm does not search of the cube's settings, by their names."""
    parts = {name: getattr(space, name) for name in (_TEMPERATURE, _WEIGHT)}
    pins: dict[str, Any] = {name: float(part) for name, part in parts.items() if not isinstance(part, Ranged)}
    if arm is Arm.JOINT:
        return pins
    pins |= dict.fromkeys((_TEMPERATURE, "final_temperature", "student_temperature"), FIXED_TEMPERATURE[arm])
    parameters = parameters_in(space, arm, method)
    for axis in parameter_axes(space.parameters):  # what the arm has no use for lies in the middle
        if not isinstance(part := parameters.get(axis.name), Ranged | ParameterChoices):
            pins[axis.name] = axis.at(_MIDDLE) if part is None else part
    if arm is Arm.LABEL_ONLY:
        weight = space.kd_weight
        log = isinstance(weight, Ranged) and weight.log
        pins[_WEIGHT] = _nothing(Axis(_WEIGHT, weight.low, weight.high, log)) if isinstance(weight, Ranged) else 0.0
        pins["label_weight"] = 1.0
    return pins


def _nothing(axis: Axis) -> float:
    """The weight that stands for none: on a logarithmic axis a hundredth of its lower end, or that end if less is 0."""
    return (axis.low / 100 or axis.low) if axis.log else 0.0
