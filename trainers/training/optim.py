"""Optimizers and learning-rate schedules of the loop."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from trainers import spec


def make(parameters: Iterable[nn.Parameter], settings: spec.Optimizer) -> torch.optim.Optimizer:
    """torch.optim's optimizer of that name over all parameters, biases and norms included.

    Weight decay is L2 in the gradient for sgd and adam, decoupled for adamw (Loshchilov & Hutter 2019,
    arXiv:1711.05101). Adam's betas are .9 and .999, its epsilon 1e-8.
    """
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.name == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov,
            weight_decay=decay,
            fused=True,
        )
    adam = torch.optim.AdamW if settings.name == "adamw" else torch.optim.Adam
    return adam(parameters, lr=rate, weight_decay=decay, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def factor(step: int, steps_per_epoch: int, training: spec.Training) -> float:
    """By what the optimizer's learning rate is multiplied in step `step`, counted from 0 over the whole training.

    Warm-up rises linearly to 1 at its last step; cosine then falls over the remaining steps and would reach 0 one step
    after the last (Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts); step multiplies by step_factor once
    each of step_epochs has been completed.
    """
    schedule = training.schedule
    total = training.epochs * steps_per_epoch
    warmup = schedule.warmup_epochs * steps_per_epoch
    if step < warmup:
        return (step + 1) / warmup
    if schedule.name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
    if schedule.name == "step":
        completed = step // steps_per_epoch
        return float(schedule.step_factor ** sum(completed >= epoch for epoch in schedule.step_epochs))
    return 1.0
