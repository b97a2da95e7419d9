"""What every engine that trains students offers, be it one lane (`loop`) or many (`bank`): the contract of the room."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from trainers.spec import Assignment, EpochReport, LaneFailure


class Engine(Protocol):
    """Trains up to `lanes` students of one problem at once, an epoch at a time.

    A lane is occupied from `admit` until `evict`. Engines agree: for the same problem, assignment and device each
    gives the same reports and weights as `loop`, whatever the other lanes do.
    """

    @property
    def lanes(self) -> int:
        """How many students fit."""
        ...

    def free(self) -> int:
        """How many lanes are free."""
        ...

    def admit(self, assignment: Assignment) -> int:
        """Puts a new student into a free lane and answers its number; RuntimeError when none is free."""
        ...

    def step_epoch(self) -> Sequence[EpochReport | LaneFailure]:
        """Trains each occupied, unfinished lane for one epoch of its own and evaluates it on validation."""
        ...

    def save_student(self, lane: int, path: Path) -> None:
        """Writes the lane's weights and buffers as safetensors, atomically, names as in `state_dict`."""
        ...

    def evict(self, lane: int) -> None:
        """Frees the lane; its student is forgotten."""
        ...
