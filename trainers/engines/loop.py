"""Trains students one after the other, plainly: the engine that all others must agree with."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from trainers.engines import checkpoints, temperature_weight
from trainers.engines.lanes import LanedEngine, Student, fail, note_losses, report
from trainers.order import batches
from trainers.spec import Assignment, EpochReport, LaneFailure
from trainers.teaching import initial
from trainers.teaching.prepared import Prepared
from trainers.training import evaluate, losses, methods, optim, temperature
from trainers.training.epoch import Loss, Trainee, place, predict, train_epoch
from trainers.zoo import weights


@dataclass(slots=True)
class _Looped(Student):
    trainee: Trainee = field(kw_only=True)

    @property
    def epochs(self) -> int:
        return self.trainee.epochs


class LoopEngine(LanedEngine[_Looped]):
    """An `engine.Engine`: one eager training loop per occupied lane, in turn.

    `seed` of an assignment fixes initial weights, order and dropout; on a CPU, with one thread count, the numbers are
    the same to the bit each time.
    """

    def __init__(self, prepared: Prepared, lanes: int = 1) -> None:
        super().__init__(lanes)
        losses.check(prepared.problem, prepared.classes, prepared.targets)
        self._prepared = prepared

    def admit(self, assignment: Assignment, checkpoint: Path | None = None) -> int:
        """Puts a student into the first free lane; RuntimeError when none is free, CheckpointInvalid, NameUnknown."""
        lane = self._students.first_free()
        losses.is_plain(assignment.configuration)
        ready = self._prepared
        model = temperature_weight.add_temperature(
            initial.student(ready, assignment.seed), ready.problem, assignment.configuration
        )
        trainee = Trainee.fresh(place(model, ready.device), assignment.configuration.known_optimizer, assignment.seed)
        student = _Looped(assignment, trainee=trainee)
        if checkpoint is not None:
            state = checkpoints.read_checkpoint(checkpoint, ready.problem.fingerprint(), assignment)
            steps = batches(ready.images, ready.problem.training.batch_size).steps
            checkpoints.into_trainee(trainee, state, state.epochs * steps)
            student.last_finite_loss = state.last_finite_loss
        self._students[lane] = student
        return lane

    def step_epoch(self) -> Sequence[EpochReport | LaneFailure]:
        """Trains each occupied lane that is neither finished nor failed for one epoch and evaluates it."""
        total = self._prepared.problem.training.epochs
        return [self._step(lane, student) for lane, student in self._students.unfinished(total)]

    def save_lane(self, lane: int, folder: Path) -> None:
        """Writes the lane's checkpoint; RuntimeError where it is free or has failed, FileExistsError."""
        student = self._students.sound(lane)
        state = checkpoints.of_trainee(student.trainee, student.last_finite_loss)
        checkpoints.write(folder, state, self._prepared.problem.fingerprint(), student.assignment)

    def save_student(self, lane: int, path: Path) -> None:
        """Writes the lane's weights and buffers as safetensors, atomically, names as in `state_dict`."""
        weights.save(temperature_weight.without_temperature(self._students[lane].trainee.model.state_dict()), path)

    def _step(self, lane: int, student: _Looped) -> EpochReport | LaneFailure:
        started = time.perf_counter()
        ready, trainee = self._prepared, student.trainee
        problem = ready.problem
        configuration = student.assignment.configuration
        training = optim.training_of(problem.training, configuration)
        step_losses = train_epoch(
            trainee, ready.views, ready.images, training, problem.precision, _loss(student, ready)
        ).cpu()
        failure = note_losses(lane, student, step_losses)
        if failure is not None:
            return failure
        steps = len(step_losses)
        last = student.epochs * steps
        logits = predict(trainee.model, ready.validation_images, ready.normalise, problem.precision)
        try:
            validation = evaluate.measure(
                logits, ready.validation_labels, ready.validation_logits, configuration.temperature
            )
        except evaluate.NotFinite as error:
            return fail(lane, student, last, str(error))
        rate = trainee.base_rate * optim.factor(last - 1, steps, training)
        return report(lane, student, step_losses, rate, time.perf_counter() - started, validation)


def _loss(student: _Looped, ready: Prepared) -> Loss:
    """The loss of the student's next epoch, to be asked once a step."""
    configuration, problem, trainee = student.assignment.configuration, ready.problem, student.trainee
    per_epoch = batches(ready.images, problem.training.batch_size).steps
    rule = losses.rule_of(problem.distillation, configuration)
    smoothing = configuration.number("label_smoothing", 0.0)
    steps = itertools.count(trainee.epochs * per_epoch)
    reversal = methods.reversal(trainee.epochs + 1)

    def loss(logits: Tensor, numbers: Tensor, view: int) -> Tensor:
        progress = temperature.share(problem.distillation, next(steps), problem.training.epochs * per_epoch)
        temperatures: tuple[methods.Scalar, methods.Scalar] = temperature.temperatures_at(configuration, progress)
        if rule.method in methods.LEARNING:
            learned_t = methods.learned_temperature(trainee.model.get_parameter(temperature_weight.NAME), reversal)
            temperatures = learned_t, learned_t
        return losses.student_loss(
            logits,
            ready.train_logits[view, numbers],
            ready.views.targets(ready.train_labels, view, numbers),
            teacher_temperature=temperatures[0],
            student_temperature=temperatures[1],
            kd_weight=configuration.kd_weight,
            label_weight=configuration.label_weight,
            rule=rule,
            smoothing=smoothing,
        )

    return loss
