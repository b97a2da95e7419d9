"""A learned temperature as one more weight of the model, which no layer uses, so that the optimizer steps it, a bank
stacks it and a checkpoint holds it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trainers.spec import Configuration, Problem
from trainers.training.methods import LEARNED_LOW, LEARNED_RANGE, LEARNING

NAME = "learned_temperature"


def learns_temperature(problem: Problem) -> bool:
    """Whether the students of a problem learn their temperature."""
    return problem.distillation.method in LEARNING


def add_temperature(model: nn.Module, problem: Problem, configuration: Configuration | None = None) -> nn.Module:
    """The model with a weight for its temperature, where the problem's students learn it: such that T is the
    configuration's to begin with. Of a configuration that learns none, as of none at all, it is 0 and stays unused.
    """
    if learns_temperature(problem):
        like = next(model.parameters())
        position = 0.0
        if configuration is not None and configuration.method is None:
            share = (configuration.temperature - LEARNED_LOW) / LEARNED_RANGE
            position = math.log(share / (1 - share))
        model.register_parameter(NAME, nn.Parameter(torch.tensor(position, dtype=like.dtype, device=like.device)))
    return model


def without_temperature(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state as those know it who ask the student later, and need no temperature."""
    return {name: tensor for name, tensor in state.items() if name != NAME}
