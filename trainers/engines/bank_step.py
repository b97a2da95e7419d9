"""One training step of many stacked students as one program: forward, backward and the optimizer's update, per lane.

Every tensor's first dimension is the lane. A lane that is not active is computed along but never written, so that it
neither moves nor spoils its neighbours with numbers that are not finite.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from trainers.engines import learned
from trainers.engines.bank_stack import Layout
from trainers.spec import Configuration
from trainers.teaching.prepared import Prepared
from trainers.training import losses, methods, optim, temperature
from trainers.training.epoch import at_least_float32, autocast

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # as `optim.make`
# What a lane's settings are: the rows of the table [rows, lanes].
_ROWS = (
    "kd_weight",
    "label_weight",
    "coupled_decay",
    "decoupled_decay",
    "keep",  # first moment = keep * first moment + take * gradient
    "take",
    "gradient_share",  # sgd's direction = gradient_share * gradient + moment_share * first moment
    "moment_share",
    "adaptive",  # 1 for adam and adamw
    "plain",  # 1 where the term is plain KL, whatever the problem's
)


_PLAIN = _ROWS.index("plain")


def column(configuration: Configuration) -> list[float]:
    """The settings of one student in the order of the table's rows; sgd and adam by the same four coefficients.

    sgd's first step in torch takes the gradient for its momentum, as zero moments and take = 1 do.
    """
    optimizer = configuration.optimizer
    adaptive = optimizer.name != "sgd"
    decay = optimizer.weight_decay
    momentum = 0.0 if adaptive else optimizer.momentum
    values = {
        "kd_weight": configuration.kd_weight,
        "label_weight": configuration.label_weight,
        "coupled_decay": 0.0 if optimizer.name == "adamw" else decay,
        "decoupled_decay": decay if optimizer.name == "adamw" else 0.0,
        "keep": _BETA1 if adaptive else momentum,
        "take": 1 - _BETA1 if adaptive else 1.0,
        "gradient_share": 1.0 if optimizer.nesterov and not adaptive else 0.0,
        "moment_share": momentum if optimizer.nesterov and not adaptive else 1.0,
        "adaptive": float(adaptive),
        "plain": float(configuration.method == "kl"),
    }
    return [values[name] for name in _ROWS]


def idle() -> list[float]:
    """Settings of a lane without a student: harmless numbers."""
    return [0.0] * len(_ROWS)


def _told(configuration: Configuration, epochs: int) -> tuple[float, float, float, float]:
    """The base learning rate, T's first and last value, and the student's own, 0 where it has none."""
    first, last = temperature.ends(configuration)
    return configuration.optimizer.learning_rate, first, last, configuration.student_temperature or 0.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """In each step of a whole training, [steps of all epochs] (float64): the learning rate's factor, and how much of
    its way the temperature has gone.
    """

    factors: Tensor
    gone: Tensor
    per_epoch: int

    @classmethod
    def of(cls, prepared: Prepared, per_epoch: int) -> Schedule:
        """The problem's."""
        training = prepared.problem.training
        total = training.epochs * per_epoch
        factors = [optim.factor(step, per_epoch, training) for step in range(total)]
        gone = [temperature.share(prepared.problem.distillation, step, total) for step in range(total)]
        return cls(torch.tensor(factors, dtype=torch.float64), torch.tensor(gone, dtype=torch.float64), per_epoch)

    def scalars(self, lanes: Sequence[tuple[Configuration, int] | None]) -> Tensor:
        """For lanes of these configurations with so many epochs behind them, [steps of one epoch, 6, lanes] (float64):
        the learning rate, the reciprocals of Adam's two bias corrections (arXiv:1412.6980, algorithm 1), the teacher's
        and the student's temperature, and how strongly the gradient of a learned one is reversed. Of a lane that is
        None the learning rate is 0, and the temperatures are 1.
        """
        epochs = torch.tensor([0 if lane is None else lane[1] for lane in lanes])
        steps = epochs[None, :] * self.per_epoch + torch.arange(self.per_epoch)[:, None]
        count = steps.double() + 1
        told = [(0.0, 1.0, 1.0, 0.0) if lane is None else _told(*lane) for lane in lanes]
        base, first, last, own = torch.tensor(told, dtype=torch.float64).T
        teacher = first + self.gone[steps] * (last - first)
        student = torch.where(own > 0, own.expand_as(teacher), teacher)
        reversal = torch.tensor([methods.reversal(epoch + 1) for epoch in epochs.tolist()], dtype=torch.float64)
        rows = (self.factors[steps] * base, 1 / (1 - _BETA1**count), 1 / (1 - _BETA2**count).sqrt())
        return torch.stack((*rows, teacher, student, reversal.expand_as(teacher)), dim=1)


Step = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""From a stack's tensors (changed in place), images' numbers [lanes, b], views [lanes], dropout's keys [lanes],
settings [rows, lanes], the step's scalars [6, lanes] and the active lanes [lanes] (bool): each lane's loss [lanes]."""
Predict = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""From a stack's weights, statistics and counts and normalised images [n, C, H, W]: logits [lanes, n, classes]."""
Program = TypeVar("Program", bound=Callable[..., Tensor])


def _make_one(model: nn.Module, layout: Layout, prepared: Prepared) -> Callable[..., tuple[Tensor, ...]]:
    """One lane's gradient, loss, statistics and counts after a batch; the first and the last two as rows."""
    precision, rule = prepared.problem.precision, prepared.problem.distillation

    def loss(
        parameters: dict[str, Tensor],
        buffers: dict[str, Tensor],
        images: Tensor,
        said: Tensor,
        targets: losses.Targets,
        settings: Tensor,
        scalars: Tensor,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with autocast(prepared.device, precision):
            logits = functional_call(model, (parameters, buffers), (images,))
        at = scalars[3], scalars[4]
        plain = None if rule.method == "kl" else settings[_PLAIN]
        if plain is not None and rule.method == "ctkd":
            own = methods.learned_temperature(parameters[learned.NAME], scalars[5])
            at = torch.where(plain != 0, at[0], own), torch.where(plain != 0, at[1], own)
        value = losses.student_loss(
            at_least_float32(logits),
            said,
            targets,
            teacher_temperature=at[0],
            student_temperature=at[1],
            kd_weight=settings[0],
            label_weight=settings[1],
            rule=rule,
            plain=plain,
        )
        return value, buffers

    def one(
        weights: Tensor,
        statistics: Tensor,
        counts: Tensor,
        key: Tensor,
        images: Tensor,
        said: Tensor,
        targets: losses.Targets,
        settings: Tensor,
        scalars: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # norms write into theirs; torch's own loses what it writes into a part of a wider row, so each gets a copy
        views = layout.buffers(statistics, counts, key)
        buffers = {name: view.clone(memory_format=torch.contiguous_format) for name, view in views.items()}
        gradients, (value, after) = grad_and_value(loss, has_aux=True)(
            layout.parameters.split(weights), buffers, images, said, targets, settings, scalars
        )
        return layout.parameters.join(gradients), value, layout.statistics.join(after), layout.counts.join(after)

    return one


def make(model: nn.Module, layout: Layout, prepared: Prepared) -> Step:
    """The step of students like `model`, which must be in training mode."""
    every = vmap(_make_one(model, layout, prepared), in_dims=(0, 0, 0, 0, 0, 0, 0, 1, 1))

    def step(
        weights: Tensor,
        first: Tensor,
        second: Tensor,
        statistics: Tensor,
        counts: Tensor,
        numbers: Tensor,
        view: Tensor,
        keys: Tensor,
        settings: Tensor,
        scalars: Tensor,
        active: Tensor,
    ) -> Tensor:
        images = prepared.views.batch(view[:, None].expand_as(numbers), numbers)
        said = prepared.train_logits[view[:, None], numbers]
        targets = prepared.views.targets(prepared.train_labels, view[:, None], numbers)
        gradient, values, new_statistics, new_counts = every(
            weights, statistics, counts, keys, images, said, targets, settings, scalars
        )
        written = active[:, None]
        changed = _update(weights, first, second, gradient, settings, scalars)
        for tensor, value in zip(
            (weights, first, second, statistics, counts), (*changed, new_statistics, new_counts), strict=True
        ):
            tensor.copy_(torch.where(written, value, tensor))
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

    def predict(weights: Tensor, statistics: Tensor, counts: Tensor, images: Tensor) -> Tensor:
        answer: Tensor = every(weights, statistics, counts, images)
        return answer

    return predict


def compile_apart(function: Program) -> Program:
    """The function, compiled the first time it is called, whatever other programs of its kind there are.

    torch counts how often one piece of code is compiled and gives up after eight: each program gets its own.
    """
    own = types.FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    return cast(Program, torch.compile(own, fullgraph=True, dynamic=False))


def _update(
    weight: Tensor, first: Tensor, second: Tensor, gradient: Tensor, settings: Tensor, scalars: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """torch.optim's SGD (Sutskever et al. 2013), Adam (arXiv:1412.6980) or AdamW (arXiv:1711.05101), each lane its:
    the new weights and moments, [lanes, n] each.
    """
    row = {key: settings[i][:, None] for i, key in enumerate(_ROWS)}
    rate, first_correction, second_correction = (scalars[i][:, None] for i in range(3))
    gradient = gradient + row["coupled_decay"] * weight
    new_first = row["keep"] * first + row["take"] * gradient
    new_second = _BETA2 * second + (1 - _BETA2) * gradient * gradient
    adam = new_first * first_correction / (new_second.sqrt() * second_correction + _EPSILON)
    sgd = row["gradient_share"] * gradient + row["moment_share"] * new_first
    direction = torch.where(row["adaptive"] > 0, adam, sgd)
    return weight * (1 - rate * row["decoupled_decay"]) - rate * direction, new_first, new_second
