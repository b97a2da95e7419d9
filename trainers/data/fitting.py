"""Images of one data set in the shape of another's: resized, and made grey or given three equal channels."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers.data.datasets import Part, Split, moments, resized
from trainers.errors import DatasetInvalid

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as PIL's convert("L")
_CHUNK = 1000


def fit_images(split: Split, channels: int, size: tuple[int, ...]) -> Split:
    """The same images with so many channels (1 or 3) and of that size (bilinear with antialiasing), and their moments.

    Raises DatasetInvalid for other numbers of channels.
    """
    train = _part(split.train, channels, size)
    mean, std = moments(train.images)
    return Split(train, _part(split.validation, channels, size), split.classes, mean, std)


def _part(part: Part, channels: int, size: tuple[int, ...]) -> Part:
    if part.images.shape[1:] == (channels, *size):
        return part
    images = [_images(chunk, channels, size) for chunk in torch.split(part.images, _CHUNK)]
    return Part(torch.cat(images), part.labels)


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
