"""Detection of errors that mean exhausted memory, after which fewer students at once may still fit."""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from pathlib import Path

import torch

# What torch's allocators say on a CPU, where it raises a plain RuntimeError: the first is posix_memalign's, the second
# mimalloc's and Windows's.
_SAID = (
    "DefaultCPUAllocator: can't allocate memory",
    "DefaultCPUAllocator: not enough memory",
    "Cannot allocate memory",
)


def ran_out(error: BaseException) -> bool:
    """Whether an error means that memory did not suffice, on an accelerator or on the CPU."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError | OSError) and any(phrase in str(error) for phrase in _SAID)


def total_gb(device: torch.device, limit: Path = Path("/sys/fs/cgroup/memory.max")) -> float | None:
    """How much memory (GB, 10**9 bytes) a device has; of the CPU, what this process's container leaves it.

    None where the system does not say.
    """
    if device.type == "cuda":
        return round(torch.cuda.get_device_properties(device).total_memory / 1e9, 1)
    try:
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None
    with suppress(OSError, ValueError):  # no such file, or "max": no limit
        available = min(available, int(limit.read_text()))
    return round(available / 1e9, 1)


def give_back() -> None:
    """Hands what nobody holds any more back to the system; to be called once the error itself is forgotten.

    A traceback holds the frames that failed, and they hold their tensors.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
