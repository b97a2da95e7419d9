"""The random images as the peers read theirs: one by one through PIL and torchvision's transforms, as CIFAR-100's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset
from torchvision import transforms

MEAN, STD = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)  # CIFAR-100's, as all of them have it

TRAIN = transforms.Compose(
    [
        transforms.RandomCrop(32, padding=4),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]
)
TEST = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])


def arrays(root: Path, images: int) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Pixels [n, 32, 32, 3] and labels [n] of the training part (`images` of them) and of a quarter as many to test."""
    from benchmarks.engines.problems import RANDOM_IMAGES

    with np.load(root / "data" / RANDOM_IMAGES) as stored:
        pixels, labels = stored["images"], stored["labels"]
    end = images + images // 4
    return (pixels[:images], labels[:images]), (pixels[images:end], labels[images:end])


class Pictures(Dataset[tuple[Any, ...]]):
    """A data set as torchvision's CIFAR100: item i is (transformed picture, label), or with its number as a third."""

    def __init__(self, part: tuple[Any, Any], transform: Callable[[Any], Any], numbered: bool = False) -> None:
        self.data, labels = part
        self.targets = [int(label) for label in labels]
        self._transform, self._numbered = transform, numbered

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, number: int) -> tuple[Any, ...]:
        shown = self._transform(Image.fromarray(self.data[number]))
        return (shown, self.targets[number], number) if self._numbered else (shown, self.targets[number])
