"""The choice between float32 and bf16 autocast, by a short trial: bf16 pays where a processor has units for it and the
products are large; students of few channels are twice as slow with it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers.spec import Precision
from trainers.training.epoch import at_least_float32, autocast, place
from trainers.training.threads import step_operations

CLEARLY = 1.2  # times as fast, at least: what is as fast in both stays in fp32
OPERATIONS = 5e9  # of one try, about: a tenth of a second of a core
TRIES = 3  # of each precision in turn, of which the fastest counts
_PRECISIONS: tuple[Precision, Precision] = ("fp32", "bf16")


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes products of bfloat16 itself. Processors: avx512_bf16 or AMX, where torch can tell."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    tell = getattr(torch.cpu, "get_capabilities", None)  # older versions of torch cannot
    capabilities: Mapping[str, Any] = tell() if tell else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def faster(model: nn.Module, channels: int, size: tuple[int, ...], classes: int, batch_size: int) -> Precision:
    """The precision in which torch's present threads take a model through its steps sooner, timed on a CPU in some
    tenths of a second: forward and backward on random images, as many of a batch as OPERATIONS allow.
    """
    operations = step_operations(model, channels, size, 1)
    count = max(2, min(batch_size, int(OPERATIONS / max(operations, 1.0))))  # a batch norm wants more than one value
    place(model, torch.device("cpu")).train()
    images, labels = torch.rand(count, channels, *size), torch.arange(count) % classes
    durations: dict[Precision, list[float]] = {precision: [] for precision in _PRECISIONS}
    for _ in range(1 + TRIES):
        for precision in _PRECISIONS:
            durations[precision].append(_step_seconds(model, images, labels, precision))
    fp32, bf16 = (min(durations[precision][1:]) for precision in _PRECISIONS)  # the first one warms up
    return "bf16" if fp32 > CLEARLY * bf16 else "fp32"


def _step_seconds(model: nn.Module, images: Tensor, labels: Tensor, precision: Precision) -> float:
    start = time.perf_counter()
    with autocast(images.device, precision):
        logits = model(images)
    F.cross_entropy(at_least_float32(logits), labels).backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - start
