"""One training step of many stacked students as one program: forward, backward and the optimizer's update, per lane.

Every tensor's first dimension is the lane. A lane that is not active is computed along but never written, so that it
neither moves nor spoils its neighbours with numbers that are not finite.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from trainers.engines import bank_kernels, temperature_weight
from trainers.engines.bank_kernels import Coefficients, Kernel
from trainers.engines.bank_stack import LaneState, Layout
from trainers.registry.losses import WEIGHTS
from trainers.spec import Configuration, Distillation, Training
from trainers.teaching.prepared import Prepared
from trainers.training import losses, methods, optim, temperature
from trainers.training.epoch import at_least_float32, autocast


class LossSettings(NamedTuple):
    """Weights of both terms of lanes' losses, [lanes] each; `plain` is 1 where the first is plain KL, whatever the
    problem's. Where students have them as parameters of their own (PerLane): the smoothing of labels, and the weights
    of the problem's method.
    """

    kd_weight: Tensor
    label_weight: Tensor
    plain: Tensor
    label_smoothing: Tensor
    alpha: Tensor
    beta: Tensor
    gamma: Tensor


class PerLane(NamedTuple):
    """Which parts of the loss a program computes for each lane by numbers of its own. Without any it computes what it
    always did.
    """

    smoothing: bool = False
    weights: bool = False

    @classmethod
    def of(cls, configuration: Configuration) -> PerLane:
        """What a student of this configuration needs."""
        return cls(
            "label_smoothing" in configuration.parameters, not configuration.parameters.keys().isdisjoint(WEIGHTS)
        )

    def beside(self, needs: PerLane) -> PerLane:
        """What students of both need."""
        return PerLane(self.smoothing or needs.smoothing, self.weights or needs.weights)


class LaneHyperparameters(NamedTuple):
    """What stays the same along the training of each lane's student."""

    loss: LossSettings
    update: Coefficients

    @classmethod
    def of(cls, table: Tensor) -> LaneHyperparameters:
        """Views of the rows of a table [HYPERPARAMETERS, lanes], whose columns are `column`s."""
        rows = table.unbind()
        split = len(LossSettings._fields)
        return cls(LossSettings(*rows[:split]), Coefficients(*rows[split:]))


HYPERPARAMETERS = (*LossSettings._fields, *Coefficients._fields)
"""The names of a lane's settings, in order."""


class Temperatures(NamedTuple):
    """Temperatures of a step, [lanes] each, and how strongly the gradient of a learned one is reversed."""

    teacher: Tensor
    student: Tensor
    reversal: Tensor


class StepScalars(NamedTuple):
    """What a step has of its place in each lane's training, [lanes] each: the learning rate, the temperatures and the
    corrections of the lane's kernel.
    """

    learning_rate: Tensor
    temperatures: Temperatures
    corrections: tuple[Tensor, ...]

    @classmethod
    def of(cls, table: Tensor) -> StepScalars:
        """Views of a table's rows [SCALARS, lanes], or [..., SCALARS, lanes] for as many steps."""
        rate, teacher, student, reversal, *corrections = table.unbind(-2)
        return cls(rate, Temperatures(teacher, student, reversal), tuple(corrections))


SCALARS = 4 + bank_kernels.CORRECTIONS
"""How many scalars of a lane a step has."""


class LaneBatch(NamedTuple):
    """What each lane is shown in a step: images' numbers [lanes, b], the view and dropout's key [lanes] each. The lanes
    that are not `active` [lanes] (bool) stay as they are.
    """

    numbers: Tensor
    view: Tensor
    key: Tensor
    active: Tensor


def column(configuration: Configuration, rule: Distillation) -> list[float]:
    """The settings of one student, the problem's rule being this, in the order of HYPERPARAMETERS. NameUnknown."""
    values = bank_kernels.coefficients(configuration.known_optimizer) | {
        "kd_weight": configuration.kd_weight,
        "label_weight": configuration.label_weight,
        "plain": float(losses.is_plain(configuration)),
        "label_smoothing": configuration.number("label_smoothing", 0.0),
        **{name: configuration.number(name, getattr(rule, name)) for name in WEIGHTS},
    }
    return [values[name] for name in HYPERPARAMETERS]


def idle() -> list[float]:
    """Settings of a lane without a student: harmless numbers."""
    return [0.0] * len(HYPERPARAMETERS)


def _lane_scalars(configuration: Configuration, epochs: int) -> tuple[float, float, float, float]:
    """The base learning rate, T's first and last value, and the student's own, 0 where it has none."""
    first, last = temperature.ends(configuration)
    return configuration.known_optimizer.learning_rate, first, last, configuration.student_temperature or 0.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rates and temperatures along the training of a problem's lanes, an epoch at a time: what lies behind and
    ahead takes no memory, however long the training is.
    """

    rule: Distillation
    training: Training
    per_epoch: int

    @classmethod
    def of(cls, prepared: Prepared, per_epoch: int) -> Schedule:
        """The problem's."""
        return cls(prepared.problem.distillation, prepared.problem.training, per_epoch)

    def scalars(self, lanes: Sequence[tuple[Configuration, int] | None]) -> Tensor:
        """For lanes of these configurations with so many epochs behind them, a table for `StepScalars`, [steps of one
        epoch, SCALARS, lanes] (float64). Of a lane that is None the learning rate is 0, and the temperatures are 1.
        """
        epochs = torch.tensor([0 if lane is None else lane[1] for lane in lanes])
        steps = epochs[None, :] * self.per_epoch + torch.arange(self.per_epoch)[:, None]
        lane_scalars = [(0.0, 1.0, 1.0, 0.0) if lane is None else _lane_scalars(*lane) for lane in lanes]
        base, first, last, student_temperature = torch.tensor(lane_scalars, dtype=torch.float64).T
        progress = partial(_progress, self.rule, self.training.epochs, self.per_epoch)
        teacher = first + _of_lanes(progress, epochs) * (last - first)
        student = torch.where(student_temperature > 0, student_temperature.expand_as(teacher), teacher)
        reversal = torch.tensor([methods.reversal(epoch + 1) for epoch in epochs.tolist()], dtype=torch.float64)
        factors = _of_lanes(partial(_factors, self.training, self.per_epoch), epochs)
        for place, lane in enumerate(lanes):
            if lane is not None and (own := optim.training_of(self.training, lane[0])) is not self.training:
                factors[:, place] = _factors(own, self.per_epoch, lane[1])
        rows = torch.stack((factors * base, teacher, student, reversal.expand_as(teacher)), dim=1)
        names = [None if lane is None else lane[0].known_optimizer.name for lane in lanes]
        return torch.cat((rows, bank_kernels.corrections(names, steps.double() + 1)), dim=1)


def _of_lanes(of_epoch: Callable[[int], Tensor], epochs: Tensor) -> Tensor:
    """What holds in each step of an epoch, for lanes with so many epochs behind them: [steps of one epoch, lanes]."""
    distinct = {epoch: of_epoch(epoch) for epoch in set(epochs.tolist())}
    return torch.stack([distinct[epoch] for epoch in epochs.tolist()], dim=1)


EPOCHS_REMEMBERED = 1024
"""Of each kind of schedule, by all lanes of a process together: one of 800 steps takes 6 KiB."""


@lru_cache(EPOCHS_REMEMBERED)
def _progress(rule: Distillation, epochs: int, per_epoch: int, epoch: int) -> Tensor:
    """How much of its way the temperature has gone in each step of the next epoch (float64), so many being behind."""
    total, first = epochs * per_epoch, epoch * per_epoch
    return torch.tensor([temperature.share(rule, first + i, total) for i in range(per_epoch)], dtype=torch.float64)


@lru_cache(EPOCHS_REMEMBERED)
def _factors(training: Training, per_epoch: int, epoch: int) -> Tensor:
    """The learning rate's factor in each step of the next epoch (float64), so many being behind."""
    steps = range(epoch * per_epoch, (epoch + 1) * per_epoch)
    return torch.tensor([optim.factor(step, per_epoch, training) for step in steps], dtype=torch.float64)


Step = Callable[[LaneState, LaneBatch, LaneHyperparameters, StepScalars], Tensor]
"""Changes the lanes' state in place and answers each lane's loss [lanes]."""
Predict = Callable[[LaneState, Tensor], Tensor]
"""From the lanes' state and normalized images [n, C, H, W]: logits [lanes, n, classes]."""
Program = TypeVar("Program", bound=Callable[..., Tensor])


def _make_one(
    model: nn.Module, layout: Layout, prepared: Prepared, per_lane: PerLane
) -> Callable[..., tuple[Tensor, ...]]:
    """One lane's gradient, loss, statistics and counts after a batch; the first and the last two as rows."""
    precision, rule = prepared.problem.precision, prepared.problem.distillation

    def loss(
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        images: Tensor,
        teacher_logits: Tensor,
        targets: losses.Targets,
        settings: LossSettings,
        of_step: Temperatures,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with autocast(prepared.device, precision):
            logits = functional_call(model, (parameters, buffers), (images,))
        temperatures = of_step.teacher, of_step.student
        plain = None if rule.method == losses.PLAIN.method else settings.plain
        if plain is not None and rule.method in methods.LEARNING:
            learned_t = methods.learned_temperature(parameters[temperature_weight.NAME], of_step.reversal)
            temperatures = (
                torch.where(plain != 0, temperatures[0], learned_t),
                torch.where(plain != 0, temperatures[1], learned_t),
            )
        value = losses.student_loss(
            at_least_float32(logits),
            teacher_logits,
            targets,
            teacher_temperature=temperatures[0],
            student_temperature=temperatures[1],
            kd_weight=settings.kd_weight,
            label_weight=settings.label_weight,
            rule=losses.weighed(rule, settings.alpha, settings.beta, settings.gamma) if per_lane.weights else rule,
            plain=plain,
            smoothing=settings.label_smoothing if per_lane.smoothing else 0.0,
        )
        return value, buffers

    def one(
        weights: Tensor,
        statistics: Tensor,
        counts: Tensor,
        key: Tensor,
        images: Tensor,
        teacher_logits: Tensor,
        targets: losses.Targets,
        settings: LossSettings,
        of_step: Temperatures,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # norms write into theirs; torch's own loses what it writes into a part of a wider row, so each gets a copy
        views = layout.buffers(statistics, counts, key)
        buffers = {name: view.clone(memory_format=torch.contiguous_format) for name, view in views.items()}
        gradients, (value, after) = grad_and_value(loss, has_aux=True)(
            layout.parameters.split(weights), buffers, images, teacher_logits, targets, settings, of_step
        )
        return layout.parameters.join(gradients), value, layout.statistics.join(after), layout.counts.join(after)

    return one


def make(model: nn.Module, layout: Layout, prepared: Prepared, kernels: Sequence[Kernel], per_lane: PerLane) -> Step:
    """The step of students like `model`, which must be in training mode, whose optimizers need no other kernels, and
    whose losses no other numbers of their own.
    """
    every = vmap(_make_one(model, layout, prepared, per_lane))
    moving = bank_kernels.moves(kernels)

    def step(state: LaneState, batch: LaneBatch, hyperparameters: LaneHyperparameters, scalars: StepScalars) -> Tensor:
        numbers, view = batch.numbers, batch.view[:, None]
        images = prepared.views.batch(view.expand_as(numbers), numbers)
        teacher_logits = prepared.train_logits[view, numbers]
        targets = prepared.views.targets(prepared.train_labels, view, numbers)
        gradient, values, statistics, counts = every(
            state.weights,
            state.statistics,
            state.counts,
            batch.key,
            images,
            teacher_logits,
            targets,
            hyperparameters.loss,
            scalars.temperatures,
        )
        changed = bank_kernels.update(
            moving,
            state.weights,
            state.first,
            state.second,
            gradient,
            Coefficients(*(coefficient[:, None] for coefficient in hyperparameters.update)),
            scalars.learning_rate[:, None],
            [correction[:, None] for correction in scalars.corrections],
        )
        mask = batch.active[:, None]
        for tensor, value in zip(state, (*changed, statistics, counts), strict=True):
            tensor.copy_(torch.where(mask, value, tensor))
        return values

    return step


def make_predict(model: nn.Module, layout: Layout, prepared: Prepared) -> Predict:
    """What students like `model`, which must be in evaluation mode, say."""
    precision = prepared.problem.precision

    def one(weights: Tensor, statistics: Tensor, counts: Tensor, images: Tensor) -> Tensor:
        buffers = layout.buffers(statistics, counts, torch.zeros((), dtype=torch.int64, device=images.device))
        with autocast(prepared.device, precision):
            logits: Tensor = functional_call(model, (layout.parameters.split(weights), buffers), (images,))
        return at_least_float32(logits)

    every = vmap(one, in_dims=(0, 0, 0, None))

    def predict(state: LaneState, images: Tensor) -> Tensor:
        answer: Tensor = every(state.weights, state.statistics, state.counts, images)
        return answer

    return predict


def compile_apart(function: Program) -> Program:
    """The function, compiled the first time it is called, whatever other programs of its kind there are.

    torch counts how often one piece of code is compiled and gives up after eight: each program gets its own.
    """
    copy = types.FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    return cast(Program, torch.compile(copy, fullgraph=True, dynamic=False))
