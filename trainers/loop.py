"""Trains students one after the other, plainly: the engine that all others must agree with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trainers import evaluate, losses, models, optim, weights
from trainers.epoch import Loss, Trainee, predict, train_epoch
from trainers.order import batches
from trainers.prepared import Prepared
from trainers.spec import Assignment, EpochReport, LaneFailure


@dataclass(slots=True)
class _Student:
    assignment: Assignment
    trainee: Trainee
    last_finite_loss: float | None = None
    failed: bool = False


class LoopEngine:
    """An `engine.Engine`: one eager training loop per occupied lane, in turn.

    `seed` of an assignment fixes initial weights, order and dropout; on a CPU, with one thread count, the numbers are
    the same to the bit each time.
    """

    def __init__(self, prepared: Prepared, lanes: int = 1) -> None:
        if lanes < 1:
            raise ValueError(f"an engine needs one lane or more, not {lanes}")
        self._prepared = prepared
        self._students: list[_Student | None] = [None] * lanes

    @property
    def lanes(self) -> int:
        """How many students fit."""
        return len(self._students)

    def free(self) -> int:
        """How many lanes are free."""
        return self._students.count(None)

    def admit(self, assignment: Assignment) -> int:
        """Puts a new student into the first free lane and answers its number; RuntimeError when none is free."""
        if None not in self._students:
            raise RuntimeError(f"all {self.lanes} lanes are occupied")
        lane = self._students.index(None)
        ready = self._prepared
        model = models.build(ready.problem.student, ready.channels, ready.size, ready.classes, assignment.seed)
        model.to(ready.device)
        trainee = Trainee.fresh(model, assignment.configuration.optimizer, assignment.seed)
        self._students[lane] = _Student(assignment, trainee)
        return lane

    def step_epoch(self) -> Sequence[EpochReport | LaneFailure]:
        """Trains each occupied lane that is neither finished nor failed for one epoch and evaluates it."""
        total = self._prepared.problem.training.epochs
        return [
            self._step(lane, student)
            for lane, student in enumerate(self._students)
            if student is not None and not student.failed and student.trainee.epochs < total
        ]

    def save_student(self, lane: int, path: Path) -> None:
        """Writes the lane's weights and buffers as safetensors, atomically, names as in `state_dict`."""
        weights.save(self._occupied(lane).trainee.model.state_dict(), path)

    def evict(self, lane: int) -> None:
        """Frees the lane; RuntimeError when it is free already."""
        self._occupied(lane)
        self._students[lane] = None

    def _occupied(self, lane: int) -> _Student:
        student = self._students[lane] if 0 <= lane < self.lanes else None
        if student is None:
            raise RuntimeError(f"lane {lane} is not occupied")
        return student

    def _step(self, lane: int, student: _Student) -> EpochReport | LaneFailure:
        started = time.perf_counter()
        ready, trainee = self._prepared, student.trainee
        problem, images = ready.problem, len(ready.train_labels)
        steps = batches(images, problem.training.batch_size).steps
        first = trainee.epochs * steps
        step_losses = train_epoch(
            trainee, ready.views, images, problem.training, problem.precision, _loss(student.assignment, ready)
        ).cpu()
        bad = torch.nonzero(~torch.isfinite(step_losses)).flatten().tolist()
        last_good = step_losses[: bad[0]] if bad else step_losses
        if len(last_good):
            student.last_finite_loss = float(last_good[-1])
        if bad:
            return self._fail(lane, student, first + bad[0] + 1, "the training loss is no longer finite")
        configuration = student.assignment.configuration
        logits = predict(trainee.model, ready.validation_images, ready.normalise, problem.precision)
        try:
            validation = evaluate.measure(
                logits, ready.validation_labels, ready.validation_logits, configuration.temperature
            )
        except evaluate.NotFinite as error:
            return self._fail(lane, student, first + steps, str(error))
        return EpochReport(
            lane=lane,
            trial=student.assignment.trial,
            epoch=trainee.epochs,
            train_loss=float(step_losses.double().mean()),
            learning_rate=trainee.base_rate * optim.factor(first + steps - 1, steps, problem.training),
            seconds=time.perf_counter() - started,
            validation=validation,
        )

    def _fail(self, lane: int, student: _Student, step: int, reason: str) -> LaneFailure:
        student.failed = True
        return LaneFailure(
            lane=lane,
            trial=student.assignment.trial,
            epoch=student.trainee.epochs,
            step=step,
            last_finite_loss=student.last_finite_loss,
            reason=reason,
        )


def _loss(assignment: Assignment, ready: Prepared) -> Loss:
    configuration = assignment.configuration
    student_temperature = configuration.student_temperature or configuration.temperature

    def loss(logits: Tensor, numbers: Tensor, view: int) -> Tensor:
        return losses.student_loss(
            logits,
            ready.train_logits[view, numbers],
            ready.train_labels[numbers],
            teacher_temperature=configuration.temperature,
            student_temperature=student_temperature,
            kd_weight=configuration.kd_weight,
            label_weight=configuration.label_weight,
        )

    return loss
