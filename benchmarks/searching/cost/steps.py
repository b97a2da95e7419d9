"""Steps of a peer's search, what it would answer after each budget, and what our confirmation makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.searching.cost.ground import Ground


@dataclass(frozen=True, slots=True)
class Step:
    """One training, or a part of one: a cell's run was taken from one epoch to another and showed this accuracy."""

    cell: int
    trial: int
    start: int
    end: int
    value: float

    @property
    def epochs(self) -> int:
        """What it cost."""
        return self.end - self.start


def within(steps: Sequence[Step], epochs: int) -> tuple[Sequence[Step], int]:
    """The steps that this many epochs pay for, and what they cost; a step that is begun and not paid is left out."""
    spent = 0
    for count, step in enumerate(steps):
        if spent + step.epochs > epochs:
            return steps[:count], spent
        spent += step.epochs
    return steps, spent


def last_values(steps: Sequence[Step]) -> dict[int, Step]:
    """By trial, the furthest that it came."""
    return {step.trial: step for step in steps}


def as_shipped(steps: Sequence[Step]) -> int:
    """The cell that the peer answers: the best single run among those that were trained furthest."""
    if not steps:
        raise ValueError("nothing was trained, so nothing can be answered")
    furthest = max(step.end for step in steps)
    return max((step for step in steps if step.end == furthest), key=lambda step: step.value).cell


class Tape:
    """Records a search's steps and says when its budget is spent."""

    def __init__(self, ground: Ground, run: int, epochs: int) -> None:
        self.ground, self.run, self.epochs = ground, run, epochs
        self.steps: list[Step] = []
        self.spent = 0

    @property
    def over(self) -> bool:
        """Whether the budget is spent."""
        return self.spent >= self.epochs

    def train(self, cell: int, trial: int, seed: int, start: int, end: int) -> float:
        """Takes a run from one epoch to another and answers its accuracy there."""
        value = self.ground.value(self.ground.curve(cell, seed), end)
        self.steps.append(Step(cell, trial, start, end, value))
        self.spent += end - start
        return value
