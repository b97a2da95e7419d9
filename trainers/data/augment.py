"""Augmented views of images, drawn once from (split seed, view), so that teacher, student and every worker see the same
pixels (consistent teaching: Beyer et al. 2022, arXiv:2106.05237).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.order import generator
from trainers.spec import Moving


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

    `numbers`, `down`, `right` and `mirrored` share one shape [...]: one gather, no loop over images.
    """
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device) - down.long().unsqueeze(-1)
    columns = torch.arange(width, device=images.device) - right.long().unsqueeze(-1)
    inside = ((rows >= 0) & (rows < height)).unsqueeze(-1) & ((columns >= 0) & (columns < width)).unsqueeze(-2)
    columns = torch.where(mirrored.unsqueeze(-1), width - 1 - columns, columns)
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    gathered = images[numbers[..., None, None], :, rows.unsqueeze(-1), columns.unsqueeze(-2)]  # [..., H, W, C]
    return (gathered * inside.unsqueeze(-1)).movedim(-1, -3)
