"""Augmented views of images, drawn once from (split seed, view), so that teacher, student and every worker see the same
pixels (consistent teaching: Beyer et al. 2022, arXiv:2106.05237).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.order import generator
from trainers.spec import Moving

LARGE = 64 * 64
"""Pixels of an image from which on a CPU copies it."""


@dataclass(frozen=True, slots=True)
class Moves:
    """For each of [views, n] images: down and right by so many pixels (int16), mirrored or not (bool)."""

    down: Tensor
    right: Tensor
    mirrored: Tensor

    def to(self, device: torch.device) -> Moves:
        """The same on another device."""
        return Moves(self.down.to(device), self.right.to(device), self.mirrored.to(device))


def reach(augmentation: Moving, length: int) -> int:
    """By how many pixels at most an image of that height or width is moved."""
    if augmentation == "none":
        return 0
    return max(1, length // (16 if augmentation == "shift" else 8))


def draw(augmentation: Moving, split_seed: int, views: int, images: int, size: tuple[int, int]) -> Moves:
    """The moves of views 0 .. views - 1; a view's moves do not depend on how many others are drawn."""
    downs: list[Tensor] = []
    rights: list[Tensor] = []
    mirrors: list[Tensor] = []
    for view in range(views):
        chance = generator(split_seed, "view", view)
        for drawn, length in ((downs, size[0]), (rights, size[1])):
            far = reach(augmentation, length)
            drawn.append(torch.randint(-far, far + 1, (images,), generator=chance, dtype=torch.int16))
        mirrors.append(torch.randint(0, 2, (images,), generator=chance, dtype=torch.int16) == 1)
    mirrored = torch.stack(mirrors)
    return Moves(torch.stack(downs), torch.stack(rights), mirrored if augmentation == "crop_flip" else mirrored & False)


def move_images(images: Tensor, numbers: Tensor, down: Tensor, right: Tensor, mirrored: Tensor) -> Tensor:
    """images[numbers] ([..., C, H, W], same type as `images` [n, C, H, W]), each mirrored and moved; black comes in.

    `numbers`, `down`, `right` and `mirrored` share one shape [...]: one gather, no loop over images, unless these are
    large and on a CPU, where rows are copied faster than pixels are gathered.
    """
    height, width = images.shape[2:]
    if numbers.ndim == 1 and height * width >= LARGE and images.device.type == "cpu":
        return _copied(images, numbers, down, right, mirrored)
    rows = torch.arange(height, device=images.device) - down.long().unsqueeze(-1)
    columns = torch.arange(width, device=images.device) - right.long().unsqueeze(-1)
    inside = ((rows >= 0) & (rows < height)).unsqueeze(-1) & ((columns >= 0) & (columns < width)).unsqueeze(-2)
    columns = torch.where(mirrored.unsqueeze(-1), width - 1 - columns, columns)
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    gathered = images[numbers[..., None, None], :, rows.unsqueeze(-1), columns.unsqueeze(-2)]  # [..., H, W, C]
    return (gathered * inside.unsqueeze(-1)).movedim(-1, -3)


def _copied(images: Tensor, numbers: Tensor, down: Tensor, right: Tensor, mirrored: Tensor) -> Tensor:
    """The same for numbers [n], image by image, in the memory order that the gather leaves: channels last."""
    height, width = images.shape[2:]
    shape = (len(numbers), *images.shape[1:])
    copies = torch.empty(shape, dtype=images.dtype, memory_format=torch.channels_last).zero_()
    moves = zip(numbers.tolist(), down.tolist(), right.tolist(), mirrored.tolist(), strict=True)
    for target, (number, below, beside, flip) in zip(copies, moves, strict=True):
        source = images[number].flip(-1) if flip else images[number]
        target[:, max(below, 0) : height + min(below, 0), max(beside, 0) : width + min(beside, 0)] = source[
            :, max(-below, 0) : height - max(below, 0), max(-beside, 0) : width - max(beside, 0)
        ]
    return copies
