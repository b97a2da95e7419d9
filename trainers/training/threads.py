"""The number of threads on which a model is trained: one where its steps are too small to be shared out."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

# A training step of fewer floating-point operations takes a core some milliseconds: to call other threads for each of
# its operators costs about as much as they save, and far more where the cores have other work.
WORTH_SHARING = 2e8


def step_operations(model: nn.Module, channels: int, size: tuple[int, ...], batch_size: int) -> float:
    """Floating-point operations of one training step: three times the forward pass's, counted on one image."""
    was_training = model.training
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.zeros(1, channels, *size))
    model.train(was_training)
    return 3.0 * batch_size * int(counter.get_total_flops())


@contextmanager
def exactly(threads: int) -> Iterator[None]:
    """torch computes on so many threads within, and on as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def suited(operations: float) -> int:
    """How many of the threads that torch uses now suit a step of so many operations."""
    return 1 if operations < WORTH_SHARING else torch.get_num_threads()


def usable(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """How many threads torch may use to some effect: as many as it would, but no more than this process gets cores.

    torch counts the machine's cores; a container may have been given fewer, by a set of cores or by a quota of time
    (Linux's control groups, version 2: "200000 100000" is two cores), rounded up.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        time, period = quota.read_text().split()
        cores = min(cores, math.ceil(int(time) / int(period)))
    except (OSError, ValueError):  # no such file, or "max 100000": no quota
        pass
    return max(1, min(cores, torch.get_num_threads()))
