"""Worlds in which every configuration's true accuracy is known: eight kinds by formula, and the table's contexts.

Formulas are in points. Weight decay hardly matters, the learning rate has a best place and a cliff above it, and the
distillation term acts in proportion to its weight, so that without it T cannot matter.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from benchmarks.searching.cost.ground import Ground, open_ground
from trainers.spec import Configuration, Optimizer

SHARED = 0.1
"""Of a run's variance, what a seed does to all configurations alike (3 to 15 % on the table)."""
Profile = Callable[[float], float]
"""Points that distillation gains at this T with its best weight, all else at its best."""


class World(Protocol):
    """What jobs are simulated on. Accuracies from 0 to 1."""

    @property
    def name(self) -> str:
        """In tables and results."""

    @property
    def space(self) -> Mapping[str, Any]:
        """The job's space, as a spec has it."""

    def truth(self, configuration: Configuration) -> float:
        """The mean over seeds."""

    def value(self, configuration: Configuration, seed: int) -> float:
        """What one training reaches."""

    def best(self) -> float:
        """The highest truth of the space, and of label-only training."""

    def best_at(self, temperature: float) -> float:
        """The highest truth with this T, all else free."""

    def best_distilled(self) -> float:
        """The highest truth of the space."""

    @property
    def temperatures(self) -> Sequence[float]:
        """Those that stand for the searched range."""


@dataclass(frozen=True)
class Formula:
    """A world by formula. `profile` in points over labels alone; `noise` of one run, in points; `tilt` is by how much
    the logarithm of the best learning rate falls per decade of T.
    """

    name: str
    profile: Profile
    noise: float = 0.8
    tilt: float = 0.5
    kd_weight: tuple[float, float] = (0.0, 1.0)
    acts_by_weight: bool = True
    space: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        low, high = self.kd_weight
        object.__setattr__(self, "space", {"kd_weight": {"low": low, "high": high}})

    def truth(self, configuration: Configuration) -> float:
        """In closed form."""
        weight, optimizer = configuration.kd_weight, configuration.optimizer
        if optimizer is None:
            raise ValueError("a formula has a learning rate")
        if self.acts_by_weight:
            gained = self.profile(configuration.temperature) * _share(weight)
        else:
            gained = self.profile(configuration.temperature) - 2 * (weight - 0.7) ** 2
        return (_LABELS + gained - self._cost(optimizer, configuration.temperature, weight)) / 100

    def value(self, configuration: Configuration, seed: int) -> float:
        """The truth and a seed's luck, of which a part moves all configurations alike."""
        own = hashlib.sha256(repr((configuration, seed)).encode()).digest()
        luck = math.sqrt(1 - SHARED) * _normal(own) + math.sqrt(SHARED) * _normal(f"{self.name}/{seed}".encode())
        return min(1.0, max(0.0, self.truth(configuration) + self.noise / 100 * luck))

    @cached_property
    def temperatures(self) -> list[float]:
        return [float(t) for t in np.exp(np.linspace(0, math.log(40), 400))]

    def best(self) -> float:
        """At the best T and weight, or of labels alone."""
        return max(_LABELS / 100, self.best_distilled())

    def best_distilled(self) -> float:
        """At the best T and weight."""
        return max(map(self.best_at, self.temperatures))

    def best_at(self, temperature: float) -> float:
        """With the best weight; all else has its best place at every T."""
        gained = self.profile(temperature)
        if self.acts_by_weight:
            low, high = self.kd_weight
            gained = max(gained * _share(weight) for weight in (low, min(max(0.7, low), high), high))
        return (_LABELS + gained) / 100

    def _cost(self, optimizer: Optimizer, temperature: float, weight: float) -> float:
        middle = -2.3 if optimizer.name == "adamw" else -1.1
        off = math.log10(optimizer.learning_rate) - middle + self.tilt * weight * (math.log10(temperature) - 0.4)
        cliff = 50 / (1 + math.exp(-12 * (off - 0.8))) - 50 / (1 + math.exp(12 * 0.8))
        behind = 1.0 if optimizer.name == "adamw" else 0.0
        return behind + 5 * off**2 + max(0.0, cliff)


_LABELS = 88.0


def _share(weight: float) -> float:
    """Of what distillation gains, at this weight: nothing at 0, all at 0.7, less beyond."""
    return 1 - ((weight - 0.7) / 0.7) ** 2


def _normal(key: bytes) -> float:
    """A standard normal number that depends on the key alone (Box and Muller 1958)."""
    digest = hashlib.sha256(key).digest()
    first, second = (int.from_bytes(digest[i : i + 8]) / 2**64 for i in (0, 8))
    return math.sqrt(-2 * math.log(1 - first)) * math.cos(2 * math.pi * second)


def _bent(best: float, left: float, right: float, knee: float = 0.6) -> Profile:
    """Points below the top: about left or right times the square of log T's distance, linear beyond the knee."""

    def fall(temperature: float) -> float:
        off = math.log(temperature / best)
        steep = left if off < 0 else right
        return -2 * steep * knee**2 * (math.sqrt(1 + (off / knee) ** 2) - 1)

    return fall


def _over(top: float, profile: Profile) -> Profile:
    return lambda temperature: top + profile(temperature)


RIDGE = Formula("ridge", _over(0.6, _bent(1.6, 2.1, 1.65)), noise=0.5, kd_weight=(0.1, 1.0), acts_by_weight=False)
"""The best T, 1.6, lies near an end: T = 1 is 0.4 points below, and from 1.2 to 2.3 all are within 0.2."""
KINDS: Mapping[str, Formula] = {
    world.name: world
    for world in (
        Formula("ridge-weight", _over(0.6, _bent(1.6, 2.1, 1.65))),
        Formula("flat", lambda _: 0.5),
        Formula("useless", lambda _: -1.0, tilt=0.2),
        Formula("one-end", lambda t: 0.8 - 3.0 / (1 + (12 / t) ** 3)),
        Formula("four-best", _over(1.5, _bent(4.0, 1.2, 1.2))),
        Formula("weak-teacher", _over(-0.5, _bent(1.0, 0.5, 0.8))),
        Formula("noisy", _over(1.0, _bent(8.0, 0.6, 1.0)), noise=2.0),
        Formula("high", _over(2.0, _bent(16.0, 0.8, 0.8))),
    )
}


class Recorded:
    """A context of the table: its cells alone can be asked for."""

    def __init__(self, name: str) -> None:
        self.name, self._ground = name, open_ground(name)

    @property
    def ground(self) -> Ground:
        """The context."""
        return self._ground

    @cached_property
    def space(self) -> Mapping[str, Any]:
        """All that was recorded."""
        from benchmarks.table.spec import searched

        return searched(self._ground.grid)

    def truth(self, configuration: Configuration) -> float:
        """The cell's smoothed mean over all its recorded seeds."""
        return float(self._ground.final[self._ground.grid.index(configuration)])

    def value(self, configuration: Configuration, seed: int) -> float:
        """A run of the cell's world."""
        return float(self._ground.curve(self._ground.grid.index(configuration), seed)[-1])

    def best(self) -> float:
        """Labels alone included."""
        return float(self._ground.final.max())

    def best_distilled(self) -> float:
        """The best cell that distils."""
        return self._ground.best

    @property
    def temperatures(self) -> Sequence[float]:
        """Those of the grid."""
        return self._ground.grid.temperatures

    def best_at(self, temperature: float) -> float:
        """The best cell with this T."""
        return self._ground.best_at(temperature)


class Noiseless(Recorded):
    """A context whose runs all reach their cell's truth, whatever their seed."""

    def value(self, configuration: Configuration, seed: int) -> float:
        """The truth."""
        return self.truth(configuration)


def world(name: str) -> World:
    """By its name: a kind, ridge, or an open context."""
    return RIDGE if name == RIDGE.name else KINDS.get(name) or Recorded(name)
