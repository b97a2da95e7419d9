"""What every engine that trains students offers, be it one lane (`loop`) or many (`bank`): the contract of the room."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from trainers.spec import Assignment, EpochReport, LaneFailure


class Engine(Protocol):
    """Trains up to `lanes` students of one problem at once, an epoch at a time.

    A lane is occupied from `admit` until `evict`. Engines agree: for the same problem, assignment and device each
    gives the same reports and weights as `loop`, whatever the other lanes do, and whether a student was trained in one
    go or went on from a checkpoint, its own or another engine's.
    """

    @property
    def lanes(self) -> int:
        """How many students fit."""
        ...

    def free(self) -> int:
        """How many lanes are free."""
        ...

    def admit(self, assignment: Assignment, checkpoint: Path | None = None) -> int:
        """Puts a student into a free lane and answers its number; RuntimeError when none is free.

        With a checkpoint, the folder that some engine's `save_lane` wrote for this problem and assignment, it goes on
        at the epoch where it stood; CheckpointInvalid where it cannot, and then the lane stays free.
        """
        ...

    def step_epoch(self) -> Sequence[EpochReport | LaneFailure]:
        """Trains each occupied, unfinished lane for one epoch of its own and evaluates it on validation."""
        ...

    def save_lane(self, lane: int, folder: Path) -> None:
        """Writes all that the lane needs to go on elsewhere into a new folder, atomically; between two epochs.

        RuntimeError where the lane is free or its student has failed, FileExistsError where the folder exists.
        """
        ...

    def save_student(self, lane: int, path: Path) -> None:
        """Writes the lane's weights and buffers as safetensors, atomically, names as in `state_dict`."""
        ...

    def evict(self, lane: int) -> None:
        """Frees the lane; its student is forgotten."""
        ...

    def close(self) -> None:
        """Gives back what the engine holds: memory, processes; it is of no use afterwards. Harmless when repeated."""
        ...
