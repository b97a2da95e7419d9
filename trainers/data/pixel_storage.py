"""Storage of decoded pixels: memory, or, where they are many, a mapped file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainers import disk

MEMORY_BYTES = 2**31


def pixels(shape: tuple[int, ...], scratch: Path | None) -> NDArray[np.uint8]:
    """An array of that shape, its content undefined.

    More than MEMORY_BYTES lie in a file below `scratch` that has no name, so that it is gone with the last process
    that uses it, however that ends; the system reads back what is used and keeps as much in memory as there is room.
    StorageFault where the disk has no room for it.
    """
    size = int(np.prod(shape, dtype=np.int64))
    if scratch is None or size <= MEMORY_BYTES:
        return np.empty(shape, dtype=np.uint8)
    with disk.guarded("pictures that are too many for memory cannot be kept on disk"):
        return _mapped(shape, size, scratch)


def _mapped(shape: tuple[int, ...], size: int, scratch: Path) -> NDArray[np.uint8]:
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=scratch) as file:
        # asked for at once: a disk that is found full while pages are written ends the process without a word
        os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
