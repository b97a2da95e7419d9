"""A prior mean of the sampler's surface: what recorded students on other data say of settings, as one shrunk feature.

Worth is a sum of effects, each piecewise linear in one coordinate and level beyond its ends, fitted to the truths of
tables. Its weight in a surface is decided by a search's own trials together with a prior, is never negative, and falls
to nothing as trials come.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from benchmarks.searching.cost.ground import Ground
from search.samplers import gaussian_process
from search.samplers.advised import parameters
from search.spec.job import JobSpec
from search.states import Arm
from search.surrogate import surface
from search.surrogate.gp import GaussianProcess
from search.surrogate.slices import Slice
from search.surrogate.squeeze import SAME, Squeeze
from trainers.registry import optimizers
from trainers.registry.optimizers import Interval
from trainers.replay.grid import Cell

Floats = NDArray[np.float64]
COORDINATES = ("learning_rate", "weight_decay", "temperature", "kd_weight")
OWN = ("learning_rate", "weight_decay")
"""Coordinates with an effect for each family of optimizers."""
WEIGHT, DOUBT = 0.5, 0.3
"""Prior of the feature's weight where feature and values are standardized: mean and deviation."""
GONE = 32
"""Trials after which nothing of the mean is left."""
_NARROW = 0.5  # deviations of worth below which trials are too much alike to standardize it by them
_RIDGE = 1.0  # of the effects, in cells: it decides what the cells do not


@dataclass(frozen=True, slots=True)
class Effect:
    """What one coordinate is worth: `worth` at the places `at`, rising; of one `family` of optimizers where named.

    Places are logarithms of T, of learning rate and weight decay by the middle of their optimizer's range, and
    kd_weight itself.
    """

    coordinate: str
    at: Sequence[float]
    worth: Sequence[float]
    family: str | None = None

    def __call__(self, cells: Sequence[Cell]) -> Floats:
        """The worth [n] of cells, 0 of another family's."""
        worth: Floats = np.interp(places(cells, self.coordinate), self.at, self.worth)
        return worth * inside(cells, self.family)


def places(cells: Sequence[Cell], coordinate: str) -> Floats:
    """Where cells lie in a coordinate [n]."""
    values = np.array([float(getattr(cell, coordinate)) for cell in cells])
    if coordinate == "kd_weight":
        return values
    middles = [_middle(cell.optimizer, coordinate) if coordinate in OWN else 0.0 for cell in cells]
    return cast(Floats, np.log(values) - np.array(middles))


def inside(cells: Sequence[Cell], family: str | None) -> NDArray[np.bool_]:
    """Which cells have an optimizer of the family [n]; all, where none is named."""
    return np.array([family is None or optimizers.get(cell.optimizer).family == family for cell in cells])


@functools.cache
def _middle(optimizer: str, setting: str) -> float:
    defaults = {record.name: record.default for record in optimizers.get(optimizer).settings}
    interval = defaults[setting]
    assert isinstance(interval, Interval)
    return (math.log(interval.low) + math.log(interval.high)) / 2


def standardized(ground: Ground) -> Floats:
    """The truth of the cells that distil, squeezed as a surface's values are, in its own deviations."""
    truth = ground.final[list(ground.soft)]
    squeezed = Squeeze.of(truth)(truth)
    return cast(Floats, (squeezed - squeezed.mean()) / squeezed.std())


def soft_cells(ground: Ground) -> list[Cell]:
    """The cells that distil."""
    return [ground.cell(number) for number in ground.soft]


def fit(grounds: Sequence[Ground], coordinates: Sequence[str]) -> list[Effect]:
    """The effects that fit the tables' truths best, each table with its own level and as much weight as another."""
    of_table = [soft_cells(ground) for ground in grounds]
    cells = [cell for own in of_table for cell in own]
    empty = [effect for coordinate in coordinates for effect in _knots(cells, coordinate)]
    columns = [
        _hats(places(cells, effect.coordinate), effect.at) * inside(cells, effect.family)[:, None] for effect in empty
    ]
    table = np.repeat(np.arange(len(grounds)), [len(own) for own in of_table])
    shares = np.sqrt(len(cells) / len(grounds) / np.array([len(own) for own in of_table]))[table]
    levels = np.eye(len(grounds))[table]
    design = np.concatenate([*columns, levels], axis=1) * shares[:, None]
    targets = np.concatenate([standardized(ground) for ground in grounds]) * shares
    effects = design.shape[1] - len(grounds)
    ridge = np.diag([_RIDGE] * effects + [1e-6] * len(grounds))
    solution = np.linalg.solve(design.T @ design + ridge, design.T @ targets)[:effects]
    parts = np.split(solution, np.cumsum([len(effect.at) for effect in empty])[:-1])
    return [
        Effect(effect.coordinate, effect.at, part.tolist(), effect.family)
        for effect, part in zip(empty, parts, strict=True)
    ]


def _hats(values: Floats, at: Sequence[float]) -> Floats:
    """Piecewise linear functions [n, knots], each 1 at its own knot and 0 at the others."""
    return np.stack([np.interp(values, at, row) for row in np.eye(len(at))], axis=1)


def _knots(cells: Sequence[Cell], coordinate: str) -> list[Effect]:
    """Effects of no worth, with knots at the tables' own places; of T at every second one."""
    families: list[str | None] = [None]
    if coordinate in OWN:
        families = [*sorted({optimizers.get(cell.optimizer).family for cell in cells})]
    knotted = []
    for family in families:
        chosen = [cell for cell, of in zip(cells, inside(cells, family), strict=True) if of]
        at = sorted({round(float(place), 9) for place in places(chosen, coordinate)})
        at = at[:: 2 if coordinate == "temperature" else 1]
        knotted.append(Effect(coordinate, at, [0.0] * len(at), family))
    return knotted


def worth(effects: Sequence[Effect], cells: Sequence[Cell]) -> Floats:
    """The worth of cells [n]."""
    total: Floats = np.sum([effect(cells) for effect in effects], axis=0)
    return total


def mirrored(effects: Sequence[Effect]) -> list[Effect]:
    """Effects that say the contrary."""
    return [Effect(e.coordinate, e.at, [-value for value in e.worth], e.family) for e in effects]


def weight_of(feature: Floats, targets: Floats) -> float:
    """The weight of a standardized feature [n] in the targets [n]: its posterior mean, with what the prior's weight
    leaves of the targets as noise; never below 0, and faded by the number of trials.
    """
    noise, prior = 1.0 - WEIGHT**2, 1.0 / DOUBT**2
    weight = (prior * WEIGHT + float(feature @ targets) / noise) / (prior + float(feature @ feature) / noise)
    return max(weight, 0.0) * max(0.0, 1.0 - len(targets) / GONE)


class MeanSurface(surface.Surface):
    """The sampler's surface, whose process departs from a mean: of it the sampler asks `standard` and `posterior`."""

    def __init__(
        self,
        points: Floats,
        values: Floats,
        rng: np.random.Generator,
        members: int,
        lengths: Floats,
        fit_on: int,
        worth_at: Callable[[Floats], Floats],
    ) -> None:
        self.squeeze = Squeeze.of(values)
        squeezed = self.squeeze(values)
        spread = float(squeezed.std())
        spread = spread if spread > SAME * float(np.abs(squeezed).max()) else 1.0
        targets = (squeezed - squeezed.mean()) / spread
        here = worth_at(points)
        self._at, self._centre, self._width = worth_at, float(here.mean()), max(float(here.std()), _NARROW)
        self._weight = weight_of((here - self._centre) / self._width, targets)
        targets = targets - self._trend(points)
        subset = np.arange(len(targets)) if len(targets) <= fit_on else rng.choice(len(targets), fit_on, replace=False)
        self.thetas = surface._plausible(points[subset], targets[subset], lengths, rng, members)
        self.members = [GaussianProcess(theta, points, targets) for theta in self.thetas]

    def standard(self, points: Floats) -> tuple[Floats, Floats]:
        """As the surface's, from its mean."""
        mean, deviation = super().standard(points)
        return mean + self._trend(points), deviation

    def posterior(self, points: Floats, assumed: Floats, member: int = 0) -> tuple[Floats, Floats]:
        """As the surface's, from its mean."""
        mean, covariance = super().posterior(points, assumed, member)
        return mean + self._trend(points), covariance

    def _trend(self, points: Floats) -> Floats:
        return self._weight * (self._at(points) - self._centre) / self._width


@contextlib.contextmanager
def departing_from(effects: Sequence[Effect] | None, ground: Ground, spec: JobSpec) -> Iterator[None]:
    """Within it the default sampler's surfaces have this mean; with None the product's own is untouched."""
    if effects is None:
        yield
        return
    cells, joint = soft_cells(ground), Slice(spec.space, Arm.JOINT)
    known = np.array([joint.point(cell.optimizer, parameters(cell.configuration())) for cell in cells])
    values = worth(effects, cells)

    def worth_at(points: Floats) -> Floats:
        """Of the nearest cell: all that is proposed is one."""
        return cast(Floats, values[cdist(points, known).argmin(axis=1)])

    with patch.object(gaussian_process, "Surface", functools.partial(MeanSurface, worth_at=worth_at)):
        yield
