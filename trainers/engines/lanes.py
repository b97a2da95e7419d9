"""Lanes of an engine: the students on them, and the report of an epoch, however it was trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from trainers.spec import Assignment, EpochReport, LaneFailure, Metrics


@dataclass(slots=True)
class Student(ABC):
    """One that is being trained."""

    assignment: Assignment
    last_finite_loss: float | None = None
    failed: bool = False

    @property
    @abstractmethod
    def epochs(self) -> int:
        """How many are behind it."""


Occupant = TypeVar("Occupant", bound=Student)


class Lanes(Generic[Occupant]):
    """So many lanes, each free or a student's. ValueError for fewer than one."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"an engine needs one lane or more, not {count}")
        self._students: list[Occupant | None] = [None] * count

    def __len__(self) -> int:
        return len(self._students)

    def __getitem__(self, lane: int) -> Occupant:
        """The student of a lane; RuntimeError where it is free."""
        student = self._students[lane] if 0 <= lane < len(self) else None
        if student is None:
            raise RuntimeError(f"lane {lane} is not occupied")
        return student

    def __setitem__(self, lane: int, student: Occupant) -> None:
        self._students[lane] = student

    def __delitem__(self, lane: int) -> None:
        """Frees the lane; RuntimeError when it is free already."""
        _ = self[lane]
        self._students[lane] = None

    def free(self) -> int:
        """How many are free."""
        return self._students.count(None)

    def first_free(self) -> int:
        """The first of them; RuntimeError when there is none."""
        if None not in self._students:
            raise RuntimeError(f"all {len(self)} lanes are occupied")
        return self._students.index(None)

    def sound(self, lane: int) -> Occupant:
        """The student of a lane that can be gone on with; RuntimeError where there is none, or it has failed."""
        student = self[lane]
        if student.failed:
            raise RuntimeError(f"lane {lane} has failed: there is nothing to go on with")
        return student

    def unfinished(self, epochs: int) -> Iterator[tuple[int, Occupant]]:
        """The lanes whose students have not failed and have fewer than so many epochs behind them."""
        for lane, student in enumerate(self._students):
            if student is not None and not student.failed and student.epochs < epochs:
                yield lane, student

    def clear(self) -> None:
        """Frees them all."""
        self._students = [None] * len(self)


class LanedEngine(Generic[Occupant]):
    """What an `engine.Engine` offers whatever its students are: its lanes, their being freed and forgotten."""

    def __init__(self, lanes: int) -> None:
        self._students = Lanes[Occupant](lanes)

    @property
    def lanes(self) -> int:
        """How many students fit."""
        return len(self._students)

    def free(self) -> int:
        """How many lanes are free."""
        return self._students.free()

    def evict(self, lane: int) -> None:
        """Frees the lane; RuntimeError when it is free already."""
        del self._students[lane]

    def close(self) -> None:
        """Forgets all students."""
        self._students.clear()


def note_losses(lane: int, student: Student, step_losses: Tensor) -> LaneFailure | None:
    """Notes the losses [steps] of a student's last epoch; its failure, where one of them is not finite."""
    bad = torch.nonzero(~torch.isfinite(step_losses)).flatten().tolist()
    last_good = step_losses[: bad[0]] if bad else step_losses
    if len(last_good):
        student.last_finite_loss = float(last_good[-1])
    if not bad:
        return None
    before = (student.epochs - 1) * len(step_losses)
    return fail(lane, student, before + bad[0] + 1, "the training loss is no longer finite")


def fail(lane: int, student: Student, step: int, reason: str) -> LaneFailure:
    """The student has failed at this step of its whole training, from 1."""
    student.failed = True
    return LaneFailure(
        lane=lane,
        trial=student.assignment.trial,
        epoch=student.epochs,
        step=step,
        last_finite_loss=student.last_finite_loss,
        reason=reason,
    )


def report(
    lane: int, student: Student, step_losses: Tensor, learning_rate: float, seconds: float, validation: Metrics
) -> EpochReport:
    """What there is to say of an epoch that went well."""
    return EpochReport(
        lane=lane,
        trial=student.assignment.trial,
        epoch=student.epochs,
        train_loss=float(step_losses.double().mean()),
        learning_rate=learning_rate,
        seconds=seconds,
        validation=validation,
    )
