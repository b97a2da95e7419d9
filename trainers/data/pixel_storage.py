"""Storage of what is made of a data set's files: memory, or, where it is much, a mapped file."""

from __future__ import annotations

import os
import tempfile
import weakref
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from trainers import disk
from trainers.disk_budget import DiskBudget

MEMORY_BYTES = 2**31
_files: dict[int, IO[bytes]] = {}
"""The open files behind mapped arrays, by the address of the first byte."""


def array(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    budget: DiskBudget | None,
    purpose: str = "pictures",
    remedy: str = "lower dataset.image_size or dataset.train_size",
) -> NDArray[Any]:
    """An array of that shape and type, its content undefined.

    More than MEMORY_BYTES lie in a file below the budget's folder that has no name, so that it is gone with the last
    process that uses it, however that ends; the system reads back what is used and keeps as much in memory as there is
    room. StorageFault where the disk has no room for it, DiskBudgetExceeded where the job may not have so much.
    """
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if budget is None or size <= MEMORY_BYTES:
        return np.empty(shape, dtype=dtype)
    budget.take(purpose, size, remedy)
    with disk.guarded(f"{purpose} that are too many for memory cannot be kept on disk"):
        return _mapped(shape, dtype, size, budget.folder)


def path_of(tensor: Tensor) -> Path | None:
    """Where other processes of the system find the file that a tensor is mapped from, as long as the tensor lives; None
    for any other tensor.
    """
    file = _files.get(tensor.untyped_storage().data_ptr())
    return None if file is None else Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")


def _mapped(shape: tuple[int, ...], dtype: np.dtype[Any], size: int, scratch: Path) -> NDArray[Any]:
    scratch.mkdir(parents=True, exist_ok=True)
    file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - closed with the array
    try:
        # asked for at once: a disk that is found full while pages are written ends the process without a word
        os.posix_fallocate(file.fileno(), 0, size)
        mapped = np.memmap(file, dtype=dtype, mode="r+", shape=shape)
    except BaseException:
        file.close()
        raise
    address = mapped.ctypes.data
    _files[address] = file
    weakref.finalize(mapped, _close, address)
    return mapped


def _close(address: int) -> None:
    _files.pop(address).close()
