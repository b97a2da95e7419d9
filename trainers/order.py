"""The order and the batches in which training images are shown: pure functions of seed and epoch, alike for every
engine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batches:
    """How an epoch is cut: `steps` batches of exactly `size` images; what remains after shuffling is left out.

    Batches of one size keep every step's gradient at the same noise level and let students be stacked. A part
    smaller than the batch size is one batch. Over epochs each image is left out equally often, at random.
    """

    steps: int
    size: int


def batches(images: int, batch_size: int) -> Batches:
    """How `images` are cut into batches of `batch_size`."""
    if images < batch_size:
        return Batches(1, images)
    return Batches(images // batch_size, batch_size)


def derive(*parts: int | str) -> int:
    """A seed in [0, 2^63) that depends on every part; used to keep a trial's streams of chance apart."""
    text = "\x1f".join(str(part) for part in parts).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def generator(*parts: int | str) -> torch.Generator:
    """A CPU generator of its own for these parts: the same numbers whatever the device and the global state."""
    return torch.Generator().manual_seed(derive(*parts))


def epoch_order(seed: int, epoch: int, images: int) -> Tensor:
    """The permutation [images] (int64, CPU) in which epoch `epoch` (from 1) shows the images to the lane of `seed`."""
    return torch.randperm(images, generator=generator(seed, "order", epoch))


def epoch_batches(seed: int, epoch: int, images: int, batch_size: int) -> Tensor:
    """The epoch's image numbers as [steps, size] (int64, CPU)."""
    plan = batches(images, batch_size)
    return epoch_order(seed, epoch, images)[: plan.steps * plan.size].reshape(plan.steps, plan.size)
