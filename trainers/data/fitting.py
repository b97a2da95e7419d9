"""Images of one data set in the shape of another's: resized, and made grey or given three equal channels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainers.data import pixel_storage
from trainers.data.datasets import Part, Split, level_moments, moments
from trainers.data.images import resized
from trainers.disk_budget import DiskBudget
from trainers.errors import DatasetInvalid

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as PIL's convert("L")
_CHUNK = 1000


def fit_images(split: Split, channels: int, size: tuple[int, ...], budget: DiskBudget | None = None) -> Split:
    """The same images with so many channels (1 or 3) and of that size (bilinear with antialiasing), and their moments.

    Those that are too many for memory lie on disk, within the budget. Raises DatasetInvalid for other numbers of
    channels, DiskBudgetExceeded.
    """
    train = _part(split.train, channels, size, budget)
    mean, std = moments(train.images)
    return Split(train, _part(split.validation, channels, size, budget), split.classes, mean, std, budget=budget)


def fitted_moments(split: Split, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The moments of the training part with so many channels. DatasetInvalid for other numbers than 1 or 3."""
    return level_moments(recolour(chunk, channels) for chunk in torch.split(split.train.images, _CHUNK))


def _part(part: Part, channels: int, size: tuple[int, ...], budget: DiskBudget | None) -> Part:
    shape = (channels, *size)
    if part.images.shape[1:] == shape:
        return part
    pixels = pixel_storage.array((len(part.labels), *shape), np.dtype(np.uint8), budget)
    for start in range(0, len(pixels), _CHUNK):
        pixels[start : start + _CHUNK] = _images(part.images[start : start + _CHUNK], channels, size)
    return Part(torch.from_numpy(pixels), part.labels)


def _images(images: Tensor, channels: int, size: tuple[int, ...]) -> Tensor:
    if images.shape[2:] != size:
        images = torch.from_numpy(resized(images.numpy(), size))
    return recolour(images, channels)


def recolour(images: Tensor, channels: int) -> Tensor:
    """Images [n, C, H, W] (uint8) with so many channels, 1 or 3. DatasetInvalid for other numbers."""
    image_channels = images.shape[1]
    if image_channels == channels:
        return images
    if (image_channels, channels) == (1, 3):
        return images.expand(-1, 3, -1, -1).contiguous()
    if (image_channels, channels) == (3, 1):
        weights = torch.tensor(_LUMA).reshape(1, 3, 1, 1)
        return (images.float() * weights).sum(1, keepdim=True).round().clamp(0, 255).to(torch.uint8)
    raise DatasetInvalid(
        f"images of {image_channels} channels cannot be shown to a model of {channels}: use data of 1 or 3"
    )
