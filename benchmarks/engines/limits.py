"""Limits of this machine, and what a student's training needs of them.

The machine: multiply-adds of one large product, of many small ones and of convolutions, and bytes that a copy moves.
A program: the floating-point operations of forward and backward pass, and the bytes that a step cannot do without.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common.repetitions import median
from trainers.spec import Model
from trainers.zoo import models

FLOAT = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the accelerator, or of all cores together: operations per second (a multiply-add is two), bytes per second."""

    product: float
    small_products: float
    convolution: float
    copy: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Of training a student on one image: operations, and bytes that must move at the least."""

    operations: float
    bytes: float


def measure(seconds: float = 1.0) -> Limits:
    """Measures each for about so many seconds in float32, on an accelerator where there is one."""
    place = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size = 1024
    left, right = torch.randn(2, size, size, device=place)
    many_left, many_right = torch.randn(2, 64, 64, 64, device=place)  # 64 lanes' layer of an MLP 64-64
    images = torch.randn(64, 64, 32, 32, device=place)  # a layer of ResNet8x4
    kernels = torch.randn(64, 64, 3, 3, device=place)
    source = torch.randn(2**24, device=place)  # 64 MiB, beyond every cache
    target = torch.empty_like(source)
    operations = 2 * images.shape[0] * images.shape[2] * images.shape[3] * kernels.numel()
    return Limits(
        product=2 * size**3 / _seconds(lambda: left @ right, seconds),
        small_products=2 * 64**4 / _seconds(lambda: torch.bmm(many_left, many_right), seconds),
        convolution=operations / _seconds(lambda: F.conv2d(images, kernels, padding=1), seconds),
        copy=2 * FLOAT * source.numel() / _seconds(lambda: target.copy_(source), seconds),
    )


def cost(student: Model, channels: int, size: tuple[int, ...], classes: int, batch: int) -> Cost:
    """Operations as torch counts them; bytes: weights, gradients and two moments read and written once a step, the
    images read and written once. What a student's layers hand on may stay in caches and is not counted.
    """
    model = models.build(student, channels, size, classes, seed=0)
    with FlopCounterMode(display=False) as counted:
        model(torch.zeros(batch, channels, *size)).sum().backward()
    state = 2 * 4 * sum(parameter.numel() for parameter in model.parameters())
    pixels = 2 * batch * channels * size[0] * size[1]
    return Cost(counted.get_total_flops() / batch, FLOAT * (state + pixels) / batch)


def _seconds(act: Callable[[], object], budget: float) -> float:
    """The median time of one act."""
    taken: list[float] = []
    with torch.no_grad():
        act()
        until = time.perf_counter() + budget
        while len(taken) < 5 or time.perf_counter() < until:
            started = time.perf_counter()
            act()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - started)
    return median(taken)
