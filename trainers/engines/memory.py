"""Memory of the process: what it keeps between two steps, and errors that mean there is no more, after which fewer
students at once may still fit.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
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

KEPT = 2**29
"""Bytes of freed memory that malloc keeps for the next step, at most, instead of handing them back to the system.

By default glibc keeps about twice the largest block that was freed so far, and the system clears each page that is
asked for again: banks of 128 MLPs and of four CNNs at 28 x 28 spent 7 and 5 % of their time so.
"""
FROM_HEAP = 2**25  # the largest block that is not asked of the system by itself; glibc takes no more
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt's parameters, of glibc's malloc.h
_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed() -> bool:
    """Has malloc keep what a step frees for the next one; whether it does. False where the environment says otherwise,
    or malloc is not glibc's.
    """
    malloc = _glibc()
    if malloc is None or any(variable in os.environ for variable in _VARIABLES):
        return False
    return bool(malloc.mallopt(_TRIM_THRESHOLD, KEPT) and malloc.mallopt(_MMAP_THRESHOLD, FROM_HEAP))


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None


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
    if (malloc := _glibc()) is not None:
        malloc.malloc_trim(0)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
