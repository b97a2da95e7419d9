"""Mixup and cutmix, drawn once from (split seed, view), so that the teacher is asked of the very image that the student
sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainers.order import generator
from trainers.registry import augmentations
from trainers.registry.augmentations import Mix, Moving
from trainers.spec import AugmentationName


@dataclass(frozen=True, slots=True)
class Mixing:
    """For each of [views, n] images: the number of its partner (int64), its own share of pixels and label (float32),
    and, of cutmix, the box [views, n, 4] that is the partner's: top, bottom, left, right (int16), ends excluded.
    """

    partner: Tensor
    share: Tensor
    box: Tensor | None

    def to(self, device: torch.device) -> Mixing:
        """The same on another device."""
        return Mixing(self.partner.to(device), self.share.to(device), None if self.box is None else self.box.to(device))


def parts(augmentation: AugmentationName) -> tuple[Moving, Mix | None]:
    """How images are moved, and how they are mixed afterwards. NameUnknown."""
    record = augmentations.get(augmentation)
    return record.moving, record.mix


def draw(mix: Mix, split_seed: int, views: int, images: int, size: tuple[int, int]) -> Mixing:
    """The mixtures of views 0 .. views - 1; a view's do not depend on how many others are drawn.

    mixup: Zhang et al. 2018, arXiv:1710.09412; cutmix: Yun et al. 2019, arXiv:1905.04899, whose share is what the box
    leaves inside the image. Both with Beta(1, 1), which is uniform, for each image, and a permutation for partners.
    """
    partners, shares, boxes = list[Tensor](), list[Tensor](), list[Tensor]()
    for view in range(views):
        chance = generator(split_seed, "mix", view)
        partners.append(torch.randperm(images, generator=chance))
        share = torch.rand(images, generator=chance)
        if mix == "cutmix":
            ends = [end for length in size for end in _cut(length, share, torch.rand(images, generator=chance))]
            boxes.append(torch.stack(ends, dim=-1))
            top, bottom, left, right = (end.float() for end in ends)
            share = 1 - (bottom - top) * (right - left) / (size[0] * size[1])
        shares.append(share)
    return Mixing(torch.stack(partners), torch.stack(shares), torch.stack(boxes) if boxes else None)


def _cut(length: int, share: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
    """One side of a box of 1 - share of the image, around a place that is uniform, cut where the image ends."""
    half = (length * (1 - share).sqrt()).int() // 2
    middle = (length * place).int()
    return tuple((middle + sign * half).clamp(0, length).short() for sign in (-1, 1))  # type: ignore[return-value]


def mix_images(first: Tensor, second: Tensor, share: Tensor, box: Tensor | None) -> Tensor:
    """Images [..., C, H, W] mixed with others, by shares [...] or in boxes [..., 4]."""
    if box is None:
        part = share[..., None, None, None]
        return part * first + (1 - part) * second
    top, bottom, left, right = box.long()[..., None].unbind(-2)  # [..., 1] each
    rows, columns = (torch.arange(length, device=first.device) for length in first.shape[-2:])
    down, across = (rows >= top) & (rows < bottom), (columns >= left) & (columns < right)
    inside = down[..., :, None] & across[..., None, :]
    return torch.where(inside.unsqueeze(-3), second, first)
