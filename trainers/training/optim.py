"""Optimizers in torch, bound to their records by name, and the learning rate in each step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from trainers import spec
from trainers.errors import NameUnknown
from trainers.registry import lookup, plugins
from trainers.registry.schedules import SCHEDULES

SCHEDULED = ("warmup_share", "final_factor")
"""Named parameters that are fields of a schedule."""
Parameters = Iterable[nn.Parameter]
Moments = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Binding:
    """How torch makes an optimizer, and what its state of a parameter is.

    `first` and `second` are the names of the moments that a checkpoint keeps. `count` makes what else is in the state
    of a parameter after so many steps, where there is something.
    """

    make: Callable[[Parameters, spec.Optimizer], torch.optim.Optimizer]
    first: str | None
    second: str | None = None
    count: Callable[[int, Tensor], dict[str, Tensor]] | None = None

    def moments(self, first: Moments, second: Moments) -> dict[str, Moments]:
        """A checkpoint's moments by the names that this optimizer gives them."""
        by_name = {self.first: first, self.second: second}
        return {name: moments for name, moments in by_name.items() if name is not None}


def _count(steps: int, parameter: Tensor) -> dict[str, Tensor]:
    return {"step": torch.tensor(float(steps), dtype=torch.float32, device=parameter.device)}


def _sgd(parameters: Parameters, settings: spec.Optimizer) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=settings.learning_rate,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def _adam(parameters: Parameters, settings: spec.Optimizer) -> torch.optim.Optimizer:
    """Betas are .9 and .999, epsilon is 1e-8; weight decay is L2 in the gradient."""
    return torch.optim.Adam(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)


def _adamw(parameters: Parameters, settings: spec.Optimizer) -> torch.optim.Optimizer:
    """As `_adam`, but that weight decay is decoupled from the gradient."""
    return torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)


def _count_on_host(steps: int, parameter: Tensor) -> dict[str, Tensor]:
    return {"step": torch.tensor(float(steps))}


def nadam_momenta(steps: int) -> tuple[Tensor, Tensor]:
    """NAdam's momentum mu of steps 1 to steps + 1, and the products of the first ones, from none to all `steps`.

    Dozat 2016, with torch's momentum_decay of .004. The products are rounded as torch's are, which keeps them in its
    default type, so that a student that goes on is the one that never stopped.
    """
    mu = 0.9 * (1 - 0.5 * 0.96 ** (0.004 * torch.arange(1, steps + 2, dtype=torch.float64)))
    rounded = mu[:steps].to(torch.get_default_dtype()).numpy()
    products = np.concatenate((np.ones(1, rounded.dtype), np.cumprod(rounded, dtype=rounded.dtype)))
    return mu, torch.from_numpy(products)


def _nadam(parameters: Parameters, settings: spec.Optimizer) -> torch.optim.Optimizer:
    """Betas are .9 and .999, epsilon is 1e-8; weight decay is L2 in the gradient."""
    return torch.optim.NAdam(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)


def _count_momenta(steps: int, parameter: Tensor) -> dict[str, Tensor]:
    return {"step": torch.tensor(float(steps)), "mu_product": nadam_momenta(steps)[1][-1].clone()}


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, arXiv:2302.06675, algorithm 2: a step of one size along the sign of an interpolated momentum.

    Betas are .9 (of the step) and .99 (of the momentum that is kept); weight decay is decoupled from the gradient.
    """

    BETAS = (0.9, 0.99)

    def __init__(self, parameters: Parameters, lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step along the gradients that the parameters have."""
        of_step, of_momentum = self.BETAS
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "exp_avg" not in state:
                    state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                momentum = state["exp_avg"]
                direction = (of_step * momentum + (1 - of_step) * parameter.grad).sign()
                parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(direction, alpha=group["lr"])
                momentum.mul_(of_momentum).add_(parameter.grad, alpha=1 - of_momentum)


def _lion(parameters: Parameters, settings: spec.Optimizer) -> torch.optim.Optimizer:
    return Lion(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)


def _rmsprop(parameters: Parameters, settings: spec.Optimizer) -> torch.optim.Optimizer:
    """The mean of squares has alpha .99, epsilon is 1e-8; weight decay is L2 in the gradient."""
    return torch.optim.RMSprop(
        parameters, lr=settings.learning_rate, momentum=settings.momentum, weight_decay=settings.weight_decay
    )


BINDINGS: Mapping[str, Binding] = {
    "sgd": Binding(_sgd, "momentum_buffer"),
    "adam": Binding(_adam, "exp_avg", "exp_avg_sq", count=_count),
    "adamw": Binding(_adamw, "exp_avg", "exp_avg_sq", count=_count),
    "lion": Binding(_lion, "exp_avg"),
    "rmsprop": Binding(_rmsprop, "momentum_buffer", "square_avg", count=_count_on_host),
    "nadam": Binding(_nadam, "exp_avg", "exp_avg_sq", count=_count_momenta),
}


def binding(name: str) -> Binding:
    """How torch makes the optimizer of that name, of a plugin's too. NameUnknown."""
    if plugins.is_plugin(name):
        return _of_plugin(name)
    return lookup.find("optimizer", name, BINDINGS)


class Plugged(torch.optim.Optimizer):
    """A plugin's optimizer: its function moves each parameter, and two moments that begin as zeros."""

    def __init__(self, parameters: Parameters, function: Callable[..., Sequence[Tensor]], lr: float, **rest: float):
        super().__init__(parameters, {"lr": lr, **rest})
        self._function, self._names = function, tuple(rest)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step along the gradients that the parameters have."""
        for group in self.param_groups:
            settings = {"learning_rate": group["lr"], **{name: group[name] for name in self._names}}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    zeros = (torch.zeros_like(parameter, memory_format=torch.preserve_format) for _ in range(2))
                    state["first"], state["second"] = zeros
                    state["step"] = torch.zeros(())
                state["step"] += 1
                before = parameter, state["first"], state["second"]
                changed = self._function(parameter, parameter.grad, *before[1:], step=float(state["step"]), **settings)
                for tensor, value in zip(before, changed, strict=True):
                    tensor.copy_(value)


def plugin_settings(name: str, settings: spec.Optimizer) -> dict[str, float]:
    """The settings that a plugin's optimizer has, but for the learning rate. NameUnknown."""
    declaration, _ = plugins.code_of("optimizer", name)
    return {setting: getattr(settings, setting) for setting in declaration.settings if setting != "learning_rate"}


def _of_plugin(name: str) -> Binding:
    _, function = plugins.code_of("optimizer", name)

    def make(parameters: Parameters, settings: spec.Optimizer) -> torch.optim.Optimizer:
        return Plugged(parameters, function, settings.learning_rate, **plugin_settings(name, settings))

    return Binding(make, "first", "second", count=_count_on_host)


def make(parameters: Parameters, settings: spec.Optimizer) -> torch.optim.Optimizer:
    """The optimizer of that name over all parameters, biases and norms included. NameUnknown."""
    return binding(settings.name).make(parameters, settings)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def training_of(training: spec.Training, configuration: spec.Configuration) -> spec.Training:
    """How a student of this configuration is trained: the problem's training, with the schedule that is its own."""
    if configuration.parameters.keys().isdisjoint(SCHEDULED):
        return training
    schedule, share = training.schedule, configuration.parameters.get("warmup_share")
    return replace(
        training,
        schedule=replace(
            schedule,
            warmup_share=schedule.warmup_share if share is None else float(share),
            final_factor=configuration.number("final_factor", schedule.final_factor),
        ),
    )


def factor(step: int, steps_per_epoch: int, training: spec.Training) -> float:
    """By what the optimizer's learning rate is multiplied in step `step`, counted from 0 over the whole training.

    Warm-up rises linearly to 1 at its last step; cosine then falls over the remaining steps and would reach its final
    factor, 0 unless given, one step after the last (Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts; their
    eta_min); step multiplies by step_factor once
    each of step_epochs has been completed. NameUnknown.
    """
    schedule = training.schedule
    if schedule.name not in SCHEDULES:
        raise NameUnknown(lookup.unknown("schedule of the learning rate", schedule.name, SCHEDULES))
    total = training.epochs * steps_per_epoch
    warmup = schedule.warmup_epochs * steps_per_epoch
    if schedule.warmup_share is not None:
        warmup = round(schedule.warmup_share * total)
    if step < warmup:
        return (step + 1) / warmup
    if schedule.name == "cosine":
        falling = 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
        return schedule.final_factor + (1 - schedule.final_factor) * falling
    if schedule.name == "step":
        completed = step // steps_per_epoch
        return float(schedule.step_factor ** sum(completed >= epoch for epoch in schedule.step_epochs))
    return 1.0
