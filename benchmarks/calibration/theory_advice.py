"""Advice on T from a teacher's logits alone, judged on tables of other data than those that it was fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.replay.runs import Runs
from trainers.replay.world import World

COPIED = 4.0
"""What most take without searching."""
FACTORS = np.geomspace(0.05, 20.0, 121)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Profile:
    """The true accuracy of each temperature, in points, other settings at their best: one optimizer in one context."""

    context: str
    optimizer: str
    temperatures: Floats
    accuracy: Floats
    teacher: Mapping[str, Any]

    @property
    def data(self) -> str:
        """The data set: contexts of the same one are left out together."""
        return self.context.partition("-")[0]

    def regret(self, temperature: float) -> float:
        """Points lost at a temperature, which is brought to the grid's range; between its values straight in log T."""
        places = np.log(self.temperatures)
        return float(self.accuracy.max() - np.interp(np.log(temperature), places, self.accuracy))


def profiles(runs: Runs, teacher: Mapping[str, Any], held_out: Sequence[int] = ()) -> list[Profile]:
    """A profile of each optimizer, from the smoothed truth."""
    world = World(runs, held_out)
    cells = world.grid.cells()
    made = []
    for optimizer in world.grid.optimizers:
        best = [
            max(
                world.truth[number, -1]
                for number, cell in enumerate(cells)
                if cell.optimizer == optimizer and cell.temperature == temperature
            )
            for temperature in world.grid.temperatures
        ]
        grid = np.asarray(world.grid.temperatures)
        made.append(Profile(runs.context.name, optimizer, grid, 100 * np.asarray(best), teacher))
    return made


Rule = Callable[[Profile], float]
"""The temperature that is advised, from what is known of the teacher."""


def mean_regret(rule: Rule, group: Sequence[Profile]) -> float:
    """Over these profiles, in points."""
    return float(np.mean([profile.regret(rule(profile)) for profile in group]))


def rules(others: Sequence[Profile]) -> dict[str, Rule]:
    """The rules of prediction P16, those that have a number to fit with it fitted on `others`."""

    def scaled(factor: float) -> Rule:
        return lambda profile: factor * float(profile.teacher["half_temperature"])

    def constant(temperature: float) -> Rule:
        return lambda profile: temperature

    factor = min((float(factor) for factor in FACTORS), key=lambda factor: mean_regret(scaled(factor), others))
    best = min(map(float, others[0].temperatures), key=lambda value: mean_regret(constant(value), others))
    return {
        "T_half": scaled(1.0),
        "T_half, scaled": scaled(factor),
        "largest a(T)": lambda profile: float(profile.teacher["largest_start"]),
        "best of other data": constant(best),
    }


def followed(every: Sequence[Profile]) -> list[dict[str, Any]]:
    """For each profile what each rule advises and loses, and the one that was best on the other data."""
    rows = []
    for profile in every:
        others = [other for other in every if other.data != profile.data]
        known = rules(others)
        chosen = min(known, key=lambda name: mean_regret(known[name], others))
        advised = {name: rule(profile) for name, rule in known.items()}
        regrets = {name: profile.regret(temperature) for name, temperature in advised.items()}
        rows.append(
            {
                "context": profile.context,
                "optimizer": profile.optimizer,
                "advised": advised,
                "regret": {**regrets, "chosen": regrets[chosen], "T = 4": profile.regret(COPIED)},
                "chosen": chosen,
            }
        )
    return rows


def ratio(rows: Sequence[Mapping[str, Any]], name: str = "chosen") -> float:
    """The mean regret of a rule as a share of that of T = 4."""
    return float(np.mean([row["regret"][name] for row in rows]) / np.mean([row["regret"]["T = 4"] for row in rows]))
