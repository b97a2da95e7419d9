"""Storage of what is made of a data set's files: memory, or, where it is much, a mapped file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers import disk

MEMORY_BYTES = 2**31


def array(shape: tuple[int, ...], dtype: np.dtype[Any], scratch: Path | None) -> NDArray[Any]:
    """An array of that shape and type, its content undefined.

    More than MEMORY_BYTES lie in a file below `scratch` that has no name, so that it is gone with the last process
    that uses it, however that ends; the system reads back what is used and keeps as much in memory as there is room.
    StorageFault where the disk has no room for it.
    """
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if scratch is None or size <= MEMORY_BYTES:
        return np.empty(shape, dtype=dtype)
    with disk.guarded("pictures that are too many for memory cannot be kept on disk"):
        return _mapped(shape, dtype, size, scratch)


def _mapped(shape: tuple[int, ...], dtype: np.dtype[Any], size: int, scratch: Path) -> NDArray[Any]:
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=scratch) as file:
        # asked for at once: a disk that is found full while pages are written ends the process without a word
        os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype=dtype, mode="r+", shape=shape)
