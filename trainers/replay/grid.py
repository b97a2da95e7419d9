"""The ordinal grid of configurations of a table of learning curves, the same for every method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

from trainers.errors import OffGrid
from trainers.spec import Configuration, Optimizer, OptimizerName

CLOSE = 1e-6  # relative: a number that was written as text and read again is the same number


@dataclass(frozen=True, slots=True)
class Settings:
    """What one optimizer was run with; `momentum` is fixed."""

    learning_rates: tuple[float, ...]
    weight_decays: tuple[float, ...]
    momentum: float = 0.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the grid. A label-only cell has kd_weight 0 and no temperature: nothing depends on it."""

    temperature: float | None
    kd_weight: float
    optimizer: OptimizerName
    learning_rate: float
    weight_decay: float
    momentum: float = 0.0

    @property
    def label_only(self) -> bool:
        """Whether nothing is distilled."""
        return self.kd_weight == 0

    def configuration(self) -> Configuration:
        """As the trainers speak of it; the label term weighs what is left of 1."""
        optimizer = Optimizer(self.optimizer, self.learning_rate, self.weight_decay, self.momentum)
        return Configuration(
            temperature=self.temperature or 1.0,
            kd_weight=self.kd_weight,
            label_weight=1.0 - self.kd_weight,
            optimizer=optimizer,
        )


@dataclass(frozen=True)
class Grid:
    """Every combination of the values below, and a label-only cell for each of the optimizers' settings. All values
    ascend.
    """

    temperatures: tuple[float, ...]
    kd_weights: tuple[float, ...]
    optimizers: Mapping[OptimizerName, Settings] = field(hash=False)

    def cells(self) -> tuple[Cell, ...]:
        """All of them, in a fixed order: optimizer, temperature, kd_weight, learning rate, weight decay (the last
        fastest); label-only cells last.
        """
        return self._cells

    def coordinates(self, cell: int) -> tuple[int, int, int, int]:
        """Places of a cell's temperature, kd_weight, learning rate and weight decay among the grid's values; the first
        two are -1 for a label-only cell.
        """
        entry = self._cells[cell]
        settings = self.optimizers[entry.optimizer]
        rate, decay = (
            settings.learning_rates.index(entry.learning_rate),
            settings.weight_decays.index(entry.weight_decay),
        )
        if entry.temperature is None:
            return -1, -1, rate, decay
        return self.temperatures.index(entry.temperature), self.kd_weights.index(entry.kd_weight), rate, decay

    def index(self, configuration: Configuration) -> int:
        """The number of the configuration's cell. OffGrid, naming the allowed values, where it has none."""
        optimizer = configuration.optimizer
        if optimizer is None or configuration.parameters:
            raise OffGrid(
                f"the table has runs of {', '.join(self.optimizers)} without further parameters: name these in "
                "space.optimizer, and leave space.parameters out"
            )
        settings = self.optimizers.get(optimizer.name)
        if settings is None:
            raise OffGrid(f"the table has no optimizer {optimizer.name}: there are {', '.join(self.optimizers)}")
        student_temperature = configuration.student_temperature
        if student_temperature is not None and not math.isclose(
            student_temperature, configuration.temperature, rel_tol=CLOSE
        ):
            raise OffGrid("the table knows no student_temperature of its own: leave it out")
        rate = _nearest(f"{optimizer.name} learning_rate", optimizer.learning_rate, settings.learning_rates)
        decay = _nearest(f"{optimizer.name} weight_decay", optimizer.weight_decay, settings.weight_decays)
        _nearest(f"{optimizer.name} momentum", optimizer.momentum, (settings.momentum,))
        if optimizer.nesterov:
            raise OffGrid("the table knows no nesterov momentum: leave it out")
        kd_weight = 0.0
        if configuration.kd_weight != 0:
            kd_weight = _nearest("kd_weight", configuration.kd_weight, self.kd_weights)
        _nearest("label_weight", configuration.label_weight, (1.0 - kd_weight,))
        temperature = None if kd_weight == 0 else _nearest("temperature", configuration.temperature, self.temperatures)
        return self._numbers[Cell(temperature, kd_weight, optimizer.name, rate, decay, settings.momentum)]

    @cached_property
    def _cells(self) -> tuple[Cell, ...]:
        soft = [
            Cell(temperature, kd_weight, name, rate, decay, settings.momentum)
            for name, settings in self.optimizers.items()
            for temperature, kd_weight, rate, decay in product(
                self.temperatures, self.kd_weights, settings.learning_rates, settings.weight_decays
            )
        ]
        hard = [
            Cell(None, 0.0, name, rate, decay, settings.momentum)
            for name, settings in self.optimizers.items()
            for rate, decay in product(settings.learning_rates, settings.weight_decays)
        ]
        return (*soft, *hard)

    @cached_property
    def _numbers(self) -> Mapping[Cell, int]:
        return {cell: number for number, cell in enumerate(self._cells)}


def _nearest(name: str, value: float, allowed: Sequence[float]) -> float:
    """The allowed value that `value` is; OffGrid where it is none."""
    for candidate in allowed:
        if math.isclose(value, candidate, rel_tol=CLOSE, abs_tol=CLOSE * CLOSE):
            return candidate
    raise OffGrid(
        f"{name} {value:g} is not on the table's grid: it must be one of {', '.join(map('{:g}'.format, allowed))}"
    )
