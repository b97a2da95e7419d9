"""The luck that runs of one seed share: at one learning rate of an optimizer, their residuals are one recorded seed's.

For a seed, each learning rate of an optimizer draws a recorded run and a move along each of temperature, kd_weight and
weight decay. A cell's residual curve is that run's in the cell that the moves lead to: its donor. So neighbours have
neighbours for donors, and what recorded runs of one seed have in common along these settings, these runs have in
common: at every epoch, in every metric, and more of it among cells that hardly train than among the best, as recorded.
Fields of fitted lengths do none of these (docs/decisions/056).

Moves lead at most one place away, as they do where donors are drawn for each cell apart. Learning rates and optimizers
share no donors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from trainers.replay.grid import Grid

Donor = tuple[int, int]
Place = tuple[int, int, int]
Move = Sequence[int]
ABSENT: Sequence[Move] = ((-1,),)
"""The moves of a setting that label-only cells do not have: their place is -1, and stays there."""


@dataclass(frozen=True, slots=True)
class Panel:
    """The cells of one optimizer and learning rate, which share their luck, by their places of temperature, kd_weight
    and weight decay; and the moves along each of these.
    """

    number: int
    moves: tuple[Sequence[Move], Sequence[Move], Sequence[Move]]
    cells: dict[Place, int]


class SharedLuck:
    """The donors of a grid's runs, of which each cell has so many `runs`; `key` is the world's."""

    def __init__(self, grid: Grid, runs: int, key: bytes) -> None:
        self._runs, self._key = runs, key
        panels: dict[tuple[bool, str, float], Panel] = {}
        self._places: list[tuple[Panel, Place]] = []
        along = moves(len(grid.temperatures)), moves(len(grid.kd_weights))
        for number, cell in enumerate(grid.cells()):
            temperature, kd_weight, _, decay = grid.coordinates(number)
            decays = moves(len(grid.optimizers[cell.optimizer].weight_decays))
            both = (ABSENT, ABSENT) if cell.label_only else along
            name = (cell.label_only, cell.optimizer, cell.learning_rate)
            panel = panels.setdefault(name, Panel(len(panels), (*both, decays), {}))
            panel.cells[temperature, kd_weight, decay] = number
            self._places.append((panel, (temperature, kd_weight, decay)))

    def donor(self, cell: int, seed: int) -> Donor:
        """The cell and the run among its seeds, counted from 0, whose residual curve this run has."""
        panel, place = self._places[cell]
        number = int.from_bytes(
            blake2b(b"luck,%d,%d" % (panel.number, seed), digest_size=16, key=self._key).digest(), "big"
        )
        number, run = divmod(number, self._runs)
        there = []
        for choices, position in zip(panel.moves, place, strict=True):
            number, choice = divmod(number, len(choices))
            there.append(choices[choice][position])
        temperature, kd_weight, decay = there
        return panel.cells[temperature, kd_weight, decay], run


def moves(count: int) -> list[Move]:
    """Where each of so many values in a row may lead, such that neighbours lead to neighbours: all of them one place
    down, none, or all one place up, turning back at the ends. Of two values each leads to the other or none does; three
    stay, since both ends would lead to the middle.
    """
    last = count - 1
    steps = (0,) if count in (1, 3) else (0, 1) if count == 2 else (-1, 0, 1)
    return [[last - abs(last - abs(place + step)) for place in range(count)] for step in steps]
