"""What a model in training is shown: batches of one view of the training part, normalised, straight from memory."""

from __future__ import annotations

import torch
from torch import Tensor

from trainers import augment
from trainers.spec import AugmentationName

RESIDENT_BYTES = 2**30


class Normaliser:
    """uint8 pixels [..., C, H, W] to float32 with mean 0 and deviation 1 per channel of the training part."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> None:
        self._mean = torch.tensor(mean, device=device).mul(255).reshape(-1, 1, 1)
        self._std = torch.tensor(std, device=device).mul(255).reshape(-1, 1, 1)

    def __call__(self, pixels: Tensor) -> Tensor:
        return (pixels.float() - self._mean) / self._std


class Views:
    """`views` augmented views of training images [n, C, H, W] (uint8, on the device that trains).

    Views that fit into RESIDENT_BYTES are made once and kept as floats; larger ones are made batch by batch from the
    pixels. Both give the same numbers.
    """

    def __init__(
        self, images: Tensor, normalise: Normaliser, augmentation: AugmentationName, split_seed: int, views: int
    ) -> None:
        size = (images.shape[2], images.shape[3])
        self.count = views
        self._images, self._normalise = images, normalise
        self._moves: augment.Moves | None = None
        if augmentation != "none":
            self._moves = augment.draw(augmentation, split_seed, views, len(images), size).to(images.device)
        different = 1 if self._moves is None else views
        self._resident: Tensor | None = None
        if different * images.numel() * 4 <= RESIDENT_BYTES:
            numbers = torch.arange(len(images), device=images.device)
            self._resident = torch.stack([self._make(torch.full_like(numbers, v), numbers) for v in range(different)])

    def batch(self, view: Tensor | int, numbers: Tensor) -> Tensor:
        """The images of those numbers in that view, [..., C, H, W] float32; a tensor `view` broadcasts with them."""
        if self._resident is None:
            return self._make(torch.as_tensor(view, device=numbers.device).expand_as(numbers), numbers)
        if self._moves is None:
            return self._resident[0, numbers]
        return self._resident[view, numbers]

    def _make(self, view: Tensor, numbers: Tensor) -> Tensor:
        if self._moves is None:
            return self._normalise(self._images[numbers])
        moves = self._moves
        down, right, mirrored = moves.down[view, numbers], moves.right[view, numbers], moves.mirrored[view, numbers]
        return self._normalise(augment.moved(self._images, numbers, down, right, mirrored))
