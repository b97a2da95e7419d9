"""One training step of many stacked students layer by layer: a layer's products of all lanes are one call, its backward
pass is written out, and updates happen in place. It needs neither `vmap` nor a compiler.

There is one class for each network that has such a form. Every tensor's first dimension is the lane.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import grad_and_value, vmap

from trainers.data.targets import kind_of
from trainers.engines import bank_kernels
from trainers.engines.bank_kernels import Coefficients
from trainers.engines.bank_stack import LaneState, Layout, Row
from trainers.engines.bank_step import LaneBatch, LaneHyperparameters, LossSettings, PerLane, StepScalars, Temperatures
from trainers.spec import Distillation
from trainers.teaching.prepared import Prepared
from trainers.training import losses, methods
from trainers.zoo import dropout, networks

Named = Mapping[str, Tensor]
"""Tensors of all lanes, [lanes, ...] each, by the names of a model's weights."""
LossOfLogits = Callable[[Tensor, Tensor, losses.Targets, LossSettings, Temperatures], tuple[Tensor, Tensor]]
"""From the students' and the teacher's logits [lanes, b, classes], the targets and what each lane's loss is made of:
its gradient with respect to the students' logits, and each lane's loss [lanes]."""


class BatchedNetwork(Protocol):
    """A network of which all lanes' copies are computed at once."""

    def forward(self, weights: Named, images: Tensor, key: Tensor) -> Tensor:
        """Logits [lanes, b, classes] of images [lanes, b, ...] in training mode, with dropout's keys [lanes]."""
        ...

    def backward(self, weights: Named, gradient: Tensor, into: Named) -> None:
        """Writes the weights' gradients, from the one of the last forward pass's logits; forgets that pass."""
        ...

    def predict(self, weights: Named, images: Tensor) -> Tensor:
        """Logits [lanes, n, classes] of images [n, ...] in evaluation mode."""
        ...


class BatchedMlp:
    """`networks.Mlp`, a `BatchedNetwork`."""

    def __init__(self, model: networks.Mlp) -> None:
        self._hidden = tuple(f"hidden.{i}" for i in range(len(model.hidden)))
        self._dropouts = tuple(part if isinstance(part, dropout.HashedDropout) else None for part in model.drop)
        self._inputs: list[Tensor] = []  # of each layer, the head the last
        self._masks: list[Tensor | None] = []  # by what each hidden layer's activations were multiplied

    def forward(self, weights: Named, images: Tensor, key: Tensor) -> Tensor:
        """Logits [lanes, b, classes] of images [lanes, b, ...] in training mode, with dropout's keys [lanes]."""
        x = images.flatten(2)
        self._inputs, self._masks = [x], []
        for name, dropped in zip(self._hidden, self._dropouts, strict=True):
            x = _linear(weights, name, x).relu_()
            keep = None if dropped is None else _keep(dropped, key, x)
            if keep is not None:
                x = x * keep
            self._inputs.append(x)
            self._masks.append(keep)
        return _linear(weights, "head", x)

    def backward(self, weights: Named, gradient: Tensor, into: Named) -> None:
        """Writes the weights' gradients, from the one of the last forward pass's logits; forgets that pass."""
        names = (*self._hidden, "head")
        for place in reversed(range(len(names))):
            name, x = names[place], self._inputs.pop()
            torch.bmm(gradient.transpose(1, 2), x, out=into[f"{name}.weight"])
            torch.sum(gradient, 1, out=into[f"{name}.bias"])
            if place:
                gradient = torch.ops.aten.threshold_backward(torch.bmm(gradient, weights[f"{name}.weight"]), x, 0)
                if (keep := self._masks.pop()) is not None:  # where it is 0, so is x
                    gradient = gradient * keep
        self._inputs = []

    def predict(self, weights: Named, images: Tensor) -> Tensor:
        """Logits [lanes, n, classes] of images [n, ...] in evaluation mode."""
        x = images.flatten(1).expand(len(weights["head.bias"]), -1, -1)
        for name in self._hidden:
            x = _linear(weights, name, x).relu_()
        return _linear(weights, "head", x)


RUN_NUMBERS = 2**16
"""How many weights are moved at once, at most: so that they and their moments stay in a core's cache."""
NETWORKS: Mapping[type[nn.Module], Callable[..., BatchedNetwork]] = {networks.Mlp: BatchedMlp}
"""Networks that have such a form."""


def refusal(model: nn.Module, prepared: Prepared) -> str | None:
    """Why students like `model` have no such form; None where they have."""
    if type(model) not in NETWORKS:
        return f"{prepared.problem.student.name} is not written out layer by layer"
    if prepared.problem.precision != "fp32":
        return f"layers are written out in fp32, not in {prepared.problem.precision}"
    if prepared.problem.distillation.method in methods.LEARNING:
        return f"{prepared.problem.distillation.method} learns its temperature, of which logits alone say nothing"
    return None


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring lanes that the same kernel moves: views of weights, moments, gradients and coefficients."""

    lanes: slice
    kernel: bank_kernels.Kernel
    rows: tuple[Tensor, Tensor, Tensor, Tensor]
    coefficients: Coefficients


class BatchedProgram:
    """The step and the evaluation of a stack of students like `model`, on the device of `state`.

    ValueError where `refusal` has a reason.
    """

    def __init__(self, model: nn.Module, layout: Layout, state: LaneState, prepared: Prepared) -> None:
        reason = refusal(model, prepared)
        if reason is not None:
            raise ValueError(reason)
        self._network = NETWORKS[type(model)](model)
        self._prepared, self._state, self._layout = prepared, state, layout
        self._gradient = torch.zeros_like(state.weights)
        self._weights, self._into = (_named(layout.parameters, rows) for rows in (state.weights, self._gradient))
        self._loss = _loss_of_logits(prepared.problem.distillation, PerLane())
        self._runs: list[_Run] = []
        self._most = max(1, RUN_NUMBERS // layout.parameters.length)

    def compute_per_lane(self, per_lane: PerLane) -> None:
        """Computes these parts of the loss by numbers of each lane's own from now on."""
        self._loss = _loss_of_logits(self._prepared.problem.distillation, per_lane)

    def plan(self, optimizers: Mapping[int, str], hyperparameters: LaneHyperparameters) -> None:
        """Says which lanes the next steps move, by the name of each one's optimizer; the others stay as they are, and
        those behind the last are not computed.
        """
        state, width = self._state, max(optimizers) + 1
        computed = state.weights[:width], self._gradient[:width]
        self._weights, self._into = (_named(self._layout.parameters, rows) for rows in computed)
        groups: list[tuple[bank_kernels.Kernel, slice]] = []
        for lane in sorted(optimizers):
            kernel = bank_kernels.binding(optimizers[lane]).kernel
            last, lanes = groups[-1] if groups else (None, slice(0, 0))
            if last is kernel and lanes.stop == lane and lane - lanes.start < self._most:
                groups[-1] = kernel, slice(lanes.start, lane + 1)
            else:
                groups.append((kernel, slice(lane, lane + 1)))
        every = state.weights, state.first, state.second, self._gradient
        self._runs = [
            _Run(
                lanes,
                kernel,
                (every[0][lanes], every[1][lanes], every[2][lanes], every[3][lanes]),
                Coefficients(*(coefficient[lanes, None] for coefficient in hyperparameters.update)),
            )
            for kernel, lanes in groups
        ]

    def step(
        self, state: LaneState, batch: LaneBatch, hyperparameters: LaneHyperparameters, scalars: StepScalars
    ) -> Tensor:
        """A `bank_step.Step` of the first lanes of the stack that the program was made for; moves those of the plan."""
        ready, numbers, view = self._prepared, batch.numbers, batch.view[:, None]
        with torch.no_grad():
            images = ready.views.batch(view.expand_as(numbers), numbers)
            logits = self._network.forward(self._weights, images, batch.key)
            teacher_logits = ready.train_logits[view, numbers]
            targets = ready.views.targets(ready.train_labels, view, numbers)
            gradient, values = self._loss(logits, teacher_logits, targets, hyperparameters.loss, scalars.temperatures)
            self._network.backward(self._weights, gradient, self._into)
            rate, corrections = scalars.learning_rate[:, None], [part[:, None] for part in scalars.corrections]
            for run in self._runs:
                of_step = rate[run.lanes], [correction[run.lanes] for correction in corrections]
                bank_kernels.move(run.kernel, *run.rows, run.coefficients, *of_step)
        return values

    def predict(self, state: LaneState, images: Tensor) -> Tensor:
        """A `bank_step.Predict` of these lanes."""
        return self._network.predict(self._weights, images)


def _named(row: Row, rows: Tensor) -> Named:
    """Views [lanes, *shape] of rows [lanes, length] under their names."""
    answer, offset = {}, 0
    for name, shape in row.shapes.items():
        answer[name] = rows[:, offset : offset + shape.numel()].view(-1, *shape)
        offset += shape.numel()
    return answer


def _linear(weights: Named, name: str, x: Tensor) -> Tensor:
    """A linear layer of all lanes: [lanes, b, in] to [lanes, b, out]."""
    return torch.baddbmm(weights[f"{name}.bias"][:, None], x, weights[f"{name}.weight"].transpose(1, 2))


def _keep(layer: dropout.HashedDropout, key: Tensor, x: Tensor) -> Tensor | None:
    """By what dropout multiplies activations [lanes, b, ...]; None where it drops nothing."""
    if layer.p == 0:
        return None
    mask = dropout.keep_mask(key[:, None], layer.layer, layer.p, x[0].numel())
    return mask.reshape(x.shape).to(x.dtype) / (1 - layer.p)


def _loss_of_logits(rule: Distillation, per_lane: PerLane) -> LossOfLogits:
    """The loss of a rule and its gradient: plain KL of classes written out, all else by `vmap` on the logits alone."""
    is_plain = rule.method == losses.PLAIN.method
    written_out = is_plain and not any(per_lane)

    def lane_loss(
        logits: Tensor, teacher: Tensor, targets: losses.Targets, settings: LossSettings, temperatures: Temperatures
    ) -> Tensor:
        return losses.student_loss(
            logits,
            teacher,
            targets,
            teacher_temperature=temperatures.teacher,
            student_temperature=temperatures.student,
            kd_weight=settings.kd_weight,
            label_weight=settings.label_weight,
            rule=losses.weighed(rule, settings.alpha, settings.beta, settings.gamma) if per_lane.weights else rule,
            plain=None if is_plain else settings.plain,
            smoothing=settings.label_smoothing if per_lane.smoothing else 0.0,
        )

    general = vmap(grad_and_value(lane_loss))

    def loss(
        logits: Tensor, teacher: Tensor, targets: losses.Targets, settings: LossSettings, temperatures: Temperatures
    ) -> tuple[Tensor, Tensor]:
        if written_out and isinstance(targets, Tensor) and kind_of(targets) == "classes":
            return _plain(logits, teacher, targets, settings, temperatures)
        gradient, values = general(logits, teacher, targets, settings, temperatures)
        return gradient, values

    return loss


def _plain(
    logits: Tensor, teacher: Tensor, labels: Tensor, settings: LossSettings, temperatures: Temperatures
) -> tuple[Tensor, Tensor]:
    """`losses.student_loss` of plain KL with labels [lanes, b], and its gradient: T (p_s - p_t) and p - y, each over
    the batch and times its weight (Hinton et al. 2015, arXiv:1503.02531, equation 2). Within, images come last:
    softmaxes are several times as fast so.
    """
    size, student = logits.shape[1], logits.transpose(1, 2).contiguous()
    kd_weight, label_weight = settings.kd_weight, settings.label_weight
    log_teacher = teacher.transpose(1, 2).to(logits.dtype).div(temperatures.teacher[:, None, None]).log_softmax(1)
    log_student = (student / temperatures.student[:, None, None]).log_softmax(1)
    log_label = student.log_softmax(1)
    of_teacher = log_teacher.exp()
    divergence = log_teacher.sub_(log_student).mul_(of_teacher).sum((1, 2)) / size
    labels = labels[:, None]
    entropy = -log_label.gather(1, labels).mean((1, 2))
    values = kd_weight * (divergence * (temperatures.teacher * temperatures.student)) + label_weight * entropy
    gradient = log_student.exp_().sub_(of_teacher).mul_((kd_weight * temperatures.teacher / size)[:, None, None])
    of_labels = log_label.exp_()
    of_labels.scatter_add_(1, labels, torch.full_like(of_labels[:, :1], -1.0))
    gradient.addcmul_(of_labels, (label_weight / size)[:, None, None])
    return gradient.transpose(1, 2), values
