"""Images as a given teacher takes them: resized, cropped, recoloured and normalized in its own way."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.data.datasets import Split
from trainers.data.fitting import fitted_moments, recolour
from trainers.data.views import Normaliser, prediction_batch
from trainers.errors import DatasetInvalid, TeacherInvalid
from trainers.preprocessing import Preprocessing, Size

_ROUNDING = 1e-6  # 224 / (224 / 232) is 232


class Preprocessor(Normaliser):
    """uint8 pixels [..., C, H, W] of a data set to float32 [..., channels, height, width] of a preprocessing."""

    def __init__(self, preprocessing: Preprocessing, split: Split, device: torch.device) -> None:
        self._preprocessing = preprocessing
        self.channels, self.size = preprocessing.shape(split.channels, split.size)
        mean, std = _moments(preprocessing, split, self.channels)
        super().__init__(mean, std, device)
        height, width = self.size
        self.growth = self.channels * height * width / split.train.images[0].numel()
        self.batch = prediction_batch(height, width, device)

    def __call__(self, pixels: Tensor) -> Tensor:
        """The images as the teacher takes them."""
        images = pixels.reshape(-1, *pixels.shape[-3:])
        images = resize(recolour(images, self.channels), self._preprocessing, self.size)
        if self._preprocessing.channel_order == "bgr":
            images = images.flip(1)
        return super().__call__(images).reshape(*pixels.shape[:-3], self.channels, *self.size)


def resize(images: Tensor, preprocessing: Preprocessing, size: Size) -> Tensor:
    """Images [n, C, H, W] (uint8) at that size: resized as a whole until `size / crop` fits in, their middle kept.

    As Pillow does it, with antialiasing where they are made smaller, and rounded to 8 bits.
    """
    height, width = images.shape[2:]
    if (height, width) == size and preprocessing.crop == 1:
        return images
    whole = _whole((height, width), size, preprocessing.crop)
    if whole != (height, width):
        mode = preprocessing.interpolation
        smooth = {} if mode == "nearest" else {"align_corners": False, "antialias": True}
        images = F.interpolate(images.float(), whole, mode="nearest-exact" if mode == "nearest" else mode, **smooth)
        images = images.round().clamp(0, 255).to(torch.uint8)
    top, left = (round((length - side) / 2) for length, side in zip(whole, size, strict=True))
    return images[:, :, top : top + size[0], left : left + size[1]]


def _whole(length: Size, size: Size, crop: float) -> Size:
    """To what size a whole image is brought: its tighter side to `size / crop`, the other as its shape has it."""
    tight = 0 if size[0] / length[0] >= size[1] / length[1] else 1
    loose = 1 - tight
    sides = {tight: math.floor(size[tight] / crop + _ROUNDING)}
    sides[loose] = max(size[loose], int(sides[tight] * length[loose] / length[tight]))
    return sides[0], sides[1]


def _moments(preprocessing: Preprocessing, split: Split, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if preprocessing.preset != "dataset":
        try:
            return preprocessing.moments(channels)
        except ValueError as error:
            raise TeacherInvalid(f"the teacher's images cannot be prepared: {error}") from error
    try:
        mean, std = (split.mean, split.std) if split.channels == channels else fitted_moments(split, channels)
    except DatasetInvalid as error:
        raise TeacherInvalid(f"the teacher's images cannot be prepared: {error}") from error
    if preprocessing.channel_order == "bgr":
        return mean[::-1], std[::-1]
    return mean, std
