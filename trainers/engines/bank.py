"""Trains many students at once as one program: an engine whose lanes are rows of one stack, each with its own settings,
epoch and seed. Admission and eviction write into the stack and change no shape.
"""

from __future__ import annotations

import math
import os
import shutil
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from trainers.engines import bank_kernels, bank_step, checkpoints, temperature_weight
from trainers.engines.bank_batched import BatchedProgram
from trainers.engines.bank_layers import make_stackable
from trainers.engines.bank_stack import Layout, Stack
from trainers.engines.bank_step import LaneBatch, LaneHyperparameters, StepScalars
from trainers.engines.lanes import LanedEngine, Student, fail, note_losses, report
from trainers.order import batches, epoch_batches
from trainers.spec import Assignment, Configuration, EpochReport, LaneFailure, Metrics
from trainers.teaching import initial
from trainers.teaching.prepared import Prepared
from trainers.training import evaluate, losses
from trainers.training.epoch import PREDICTION_BATCH, Trainee, pieces
from trainers.zoo import dropout, weights


@dataclass(slots=True)
class _Stacked(Student):
    teacher_entropy: float = field(kw_only=True)
    epochs: int = 0


class BankEngine(LanedEngine[_Stacked]):
    """An `engine.Engine` whose lanes are trained together: eagerly under `torch.func.vmap`, with `compiled` as one
    compiled program per step, which takes some seconds the first time, or with `batched` layer by layer as written out
    in `bank_batched`: ValueError for students that are not. Without a C++ compiler it is not compiled, and warns.

    A student's numbers are the loop's up to the order of floating-point sums. All lanes are computed in each step,
    occupied or not, with `batched` those up to the last that is: open as many as will be kept full. ValueError for data
    that streams: a bank wants it at hand.
    """

    def __init__(self, prepared: Prepared, lanes: int, *, compiled: bool = False, batched: bool = False) -> None:
        super().__init__(lanes)
        if prepared.views.streams:
            raise ValueError("a bank wants its images on the device that trains; these are streamed")
        losses.check(prepared.problem, prepared.classes, prepared.targets)
        self._prepared = prepared
        if compiled and not has_compiler():
            warnings.warn(
                f"the bank is not compiled, which trains more slowly: there is no C++ compiler ({_compiler()}); "
                "install g++, or let CXX name one",
                stacklevel=2,
            )
            compiled = False
        self.compiled = compiled
        trained, judged = self._build(seed=0).train(), self._build(seed=0).eval()
        if compiled:
            trained, judged = make_stackable(trained), make_stackable(judged)
        layout = Layout.of(trained)
        self._stack = Stack.of(layout, lanes, prepared.device)
        dtype = layout.parameters.dtype
        self._settings = torch.tensor([bank_step.idle()] * lanes, dtype=dtype, device=prepared.device).T.contiguous()
        self._hyperparameters = LaneHyperparameters.of(self._settings)
        self._plan = batches(prepared.images, prepared.problem.training.batch_size)
        self._schedule = bank_step.Schedule.of(prepared, self._plan.steps)
        self._trained, self._kernels = trained, [bank_kernels.KERNELS[0]]
        self._per_lane = bank_step.PerLane()
        self._batched = BatchedProgram(trained, layout, self._stack.lanes, prepared) if batched else None
        self._step = self._make_step()
        self._judge = bank_step.make_predict(judged, layout, prepared)
        if compiled:
            self._judge = bank_step.compile_apart(self._judge)
        if self._batched is not None:
            self._judge = self._batched.predict
        for lane in range(lanes):
            self._stack.put(lane, trained, {}, {})

    def admit(self, assignment: Assignment, checkpoint: Path | None = None) -> int:
        """Puts a student into the first free lane; RuntimeError when none is free, CheckpointInvalid, NameUnknown.

        The first student whose optimizer needs a kernel, or whose loss numbers of its own, that the program does not
        have yet makes a new program.
        """
        lane = self._students.first_free()
        settings = bank_step.column(assignment.configuration, self._prepared.problem.distillation)
        ready, configuration = self._prepared, assignment.configuration
        entropy = float(evaluate.entropy(ready.validation_logits, configuration.temperature, ready.targets))
        student = _Stacked(assignment, teacher_entropy=entropy)
        model = self._build(assignment.seed, configuration)
        trainee = Trainee.fresh(model, configuration.known_optimizer, assignment.seed)
        if checkpoint is not None:
            state = checkpoints.read_checkpoint(checkpoint, ready.problem.fingerprint(), assignment)
            checkpoints.into_trainee(trainee, state, state.epochs * self._plan.steps)
            student.epochs, student.last_finite_loss = state.epochs, state.last_finite_loss
        start = checkpoints.of_trainee(trainee, student.last_finite_loss)
        self._stack.put(lane, trainee.model, start.first, start.second)
        self._set(lane, settings)
        kernel = bank_kernels.binding(configuration.known_optimizer.name).kernel
        per_lane = self._per_lane.beside(bank_step.PerLane.of(configuration))
        if kernel not in self._kernels or per_lane != self._per_lane:
            self._kernels += [kernel] if kernel not in self._kernels else []
            self._per_lane = per_lane
            self._step = self._make_step()
        self._students[lane] = student
        return lane

    def step_epoch(self) -> Sequence[EpochReport | LaneFailure]:
        """Trains each occupied lane that is neither finished nor failed for one epoch of its own and evaluates it."""
        started = time.perf_counter()
        busy = dict(self._students.unfinished(self._prepared.problem.training.epochs))
        if not busy:
            return []
        scalars = self._schedule.scalars(self._positions(busy))
        rates = StepScalars.of(scalars[-1]).learning_rate
        step_losses = self._train(busy, scalars)
        measures = self._measure(busy)
        share = (time.perf_counter() - started) / len(busy)
        return [
            self._conclude(lane, student, step_losses[:, lane], measures[lane], float(rates[lane]), share)
            for lane, student in busy.items()
        ]

    def save_lane(self, lane: int, folder: Path) -> None:
        """Writes the lane's checkpoint; RuntimeError where it is free or has failed, FileExistsError."""
        student = self._students.sound(lane)
        first, second = self._stack.moments(lane)
        state = checkpoints.StudentState(
            student.epochs, student.last_finite_loss, self._stack.state(lane), first, second
        )
        checkpoints.write(folder, state, self._prepared.problem.fingerprint(), student.assignment)

    def save_student(self, lane: int, path: Path) -> None:
        """Writes the lane's weights and buffers as safetensors, atomically, names as in `state_dict`."""
        _ = self._students[lane]
        weights.save(temperature_weight.without_temperature(self._stack.state(lane)), path)

    def evict(self, lane: int) -> None:
        """Frees the lane; RuntimeError when it is free already."""
        super().evict(lane)
        self._stack.put(lane, self._build(seed=0), {}, {})  # numbers that are not finite would slow every later step
        self._set(lane, bank_step.idle())

    def _make_step(self) -> bank_step.Step:
        if self._batched is not None:
            self._batched.compute_per_lane(self._per_lane)
            return self._batched.step
        step = bank_step.make(self._trained, self._stack.layout, self._prepared, tuple(self._kernels), self._per_lane)
        return bank_step.compile_apart(step) if self.compiled else step

    def _build(self, seed: int, configuration: Configuration | None = None) -> torch.nn.Module:
        student = initial.student(self._prepared, seed).to(self._prepared.device)
        return temperature_weight.add_temperature(student, self._prepared.problem, configuration)

    def _set(self, lane: int, settings: list[float]) -> None:
        self._settings[:, lane] = torch.tensor(settings, dtype=self._settings.dtype, device=self._settings.device)

    def _positions(self, busy: Mapping[int, _Stacked]) -> list[tuple[Configuration, int] | None]:
        """Each lane's configuration and the epochs behind it; None where it is not busy."""
        students = [busy.get(lane) for lane in range(self._width(busy))]
        return [None if stacked is None else (stacked.assignment.configuration, stacked.epochs) for stacked in students]

    def _train(self, busy: Mapping[int, _Stacked], scalars: Tensor) -> Tensor:
        """One epoch of the busy lanes; each step's loss of each lane that is computed, [steps, width], on the CPU.

        The losses are not looked at before the epoch's end, as in the loop.
        """
        ready, plan = self._prepared, self._plan
        width = self._width(busy)
        numbers = torch.zeros((plan.steps, width, plan.size), dtype=torch.int64)
        keys = torch.zeros((plan.steps, width), dtype=torch.int64)
        view, active = torch.zeros(width, dtype=torch.int64), torch.zeros(width, dtype=torch.bool)
        for lane, student in busy.items():
            seed, first = student.assignment.seed, student.epochs * plan.steps
            numbers[:, lane] = epoch_batches(seed, student.epochs + 1, ready.images, plan.size)
            view[lane], active[lane] = student.epochs % ready.views.count, True
            if self._stack.layout.keys:
                keys[:, lane] = torch.tensor([dropout.step_key(seed, first + i) for i in range(plan.steps)])
            student.epochs += 1
        numbers, keys, view, active = (part.to(ready.device) for part in (numbers, keys, view, active))
        scalars = scalars.to(self._settings.dtype).to(ready.device)
        if self._batched is not None:
            moved = {lane: student.assignment.configuration.known_optimizer.name for lane, student in busy.items()}
            self._batched.plan(moved, self._hyperparameters)
        hyperparameters = LaneHyperparameters.of(self._settings[:, :width])
        values = torch.empty((plan.steps, width), dtype=self._settings.dtype, device=ready.device)
        for i in range(plan.steps):
            batch = LaneBatch(numbers[i], view, keys[i], active)
            values[i] = self._step(self._stack.lanes, batch, hyperparameters, StepScalars.of(scalars[i]))
        return values.cpu()

    def _width(self, busy: Mapping[int, object]) -> int:
        """How many lanes, from the first on, are computed while these are busy."""
        return self.lanes if self._batched is None else max(busy) + 1

    def _measure(self, busy: Mapping[int, _Stacked]) -> dict[int, Metrics | None]:
        """How good each busy lane is on the validation part; None where its logits are not finite."""
        ready, busy_lanes = self._prepared, torch.tensor(list(busy))
        labels, teacher_logits = ready.validation_labels, ready.validation_logits
        logits = self._predict(self._width(busy))
        answer: dict[int, Metrics | None] = dict.fromkeys(busy)
        for lanes in pieces(busy_lanes, max(1, evaluate.MEASURED_NUMBERS // logits[0].numel())):
            metrics = evaluate.measure_lanes(logits[lanes.to(logits.device)], labels, teacher_logits)
            for i, lane in enumerate(lanes.tolist()):
                values = {name: measured[i] for name, measured in metrics.items()}
                if math.isfinite(values["nll"]) and math.isfinite(values["ece"]):
                    answer[lane] = Metrics(**values, teacher_entropy=busy[lane].teacher_entropy)
        return answer

    def _predict(self, width: int) -> Tensor:
        """The first lanes' logits [width, n, classes] on the validation part, in pieces of one size for one program."""
        ready = self._prepared
        images = len(ready.validation_images)
        size = min(images, max(self._plan.size, PREDICTION_BATCH // self.lanes))
        numbers = torch.arange(-(-images // size) * size, device=ready.device).remainder(images).reshape(-1, size)
        shape = width, numbers.numel(), ready.classes
        answer = torch.empty(shape, dtype=self._settings.dtype, device=ready.device)
        with torch.no_grad():
            for i, part in enumerate(numbers):
                batch = ready.normalise(ready.validation_images[part])
                answer[:, i * size : (i + 1) * size] = self._judge(self._stack.lanes, batch)
        return answer[:, :images]

    def _conclude(
        self, lane: int, student: _Stacked, step_losses: Tensor, measures: Metrics | None, rate: float, seconds: float
    ) -> EpochReport | LaneFailure:
        """What the lane has to say of the epoch that it has just trained."""
        failure = note_losses(lane, student, step_losses)
        if failure is not None:
            return failure
        if measures is None:
            return fail(lane, student, student.epochs * len(step_losses), "the student's logits are no longer finite")
        return report(lane, student, step_losses, rate, seconds, measures)


def has_compiler() -> bool:
    """Whether a bank can be compiled here."""
    return shutil.which(_compiler()) is not None


def _compiler() -> str:
    return os.environ.get("CXX") or "g++"  # as torch looks for it
