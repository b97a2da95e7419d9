"""Examples of a data set's part, read a block at a time in the order of its files, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

BLOCK_BYTES = 2**25
"""Of examples that are read at once."""
Numbers = NDArray[np.int64]
Blocks = Callable[[Numbers], Iterator[NDArray[Any]]]
"""From sorted numbers: their examples in that order, block after block, read anew at each call."""


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Images:
    """Pixels [n, C, H, W] (uint8), or a plugin's examples [n, ...], that are read by `blocks`, and labels: classes [n]
    (int64), or what else `trainers.data.targets` has.

    `shape` and `dtype` are those of an example. After the last block `check` raises DatasetInvalid for all that was
    wrong with what was read, where that was not raised at once.
    """

    labels: NDArray[Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Blocks
    check: Callable[[], None] = _nothing

    @classmethod
    def of(cls, examples: NDArray[Any], labels: NDArray[Any]) -> Images:
        """Of examples [n, ...] that lie in memory, or are mapped."""

        def blocks(numbers: Numbers) -> Iterator[NDArray[Any]]:
            length = block_length(examples.shape[1:], examples.dtype)
            for start in range(0, len(numbers), length):
                yield examples[numbers[start : start + length]]

        return cls(labels, examples.shape[1:], examples.dtype, blocks)

    def numbers(self) -> Numbers:
        """The numbers of all examples."""
        return np.arange(len(self.labels))


@dataclass(frozen=True, slots=True)
class Share:
    """The sorted numbers of some examples, and the array [n, ...] that takes them, images at its height and width."""

    numbers: Numbers
    target: NDArray[Any]


def block_length(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """How many examples of that shape and type make a block."""
    return max(1, BLOCK_BYTES // max(1, int(np.prod(shape, dtype=np.int64)) * dtype.itemsize))


def distribute(images: Images, shares: Sequence[Share], numbers: Numbers) -> None:
    """Reads the examples of these numbers once, each into the shares that have it. Raises DatasetInvalid."""
    position = 0
    for block in images.blocks(numbers):
        present = numbers[position : position + len(block)]
        position += len(block)
        for share in shares:
            first, last = np.searchsorted(share.numbers, (present[0], present[-1] + 1))
            if first == last:
                continue
            examples = block[np.searchsorted(present, share.numbers[first:last])]
            size = share.target.shape[2:]
            same = examples.shape[1:] == share.target.shape[1:]
            share.target[first:last] = examples if same else resized(examples, size)


def resized(pixels: NDArray[np.uint8], size: tuple[int, ...]) -> NDArray[np.uint8]:
    """Images [n, C, H, W] at another height and width: bilinear with antialiasing."""
    chunk = torch.from_numpy(pixels).float()
    scaled = F.interpolate(chunk, size, mode="bilinear", align_corners=False, antialias=True)
    return scaled.round().clamp(0, 255).to(torch.uint8).numpy()
