"""Other data than digits, small and of another shape, for what is pretrained on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.trainers.problems import SGD
from trainers.spec import Data, Pretraining, Training


def lay(root: Path, seed: int = 0) -> None:
    """Writes 120 colour images of 12 x 12 pixels below the data root: four classes, a bright quarter each."""
    chance = np.random.default_rng(seed)
    images, labels = chance.integers(0, 80, (120, 12, 12, 3)), np.arange(120) % 4
    for image, label in zip(images, labels, strict=True):
        down, right = 6 * (label // 2), 6 * (label % 2)
        image[down : down + 6, right : right + 6] += 120
    np.savez(root / "quarters.npz", images=images.astype(np.uint8), labels=labels)


def quarters(epochs: int = 2) -> Pretraining:
    """Pretraining on them."""
    return Pretraining(Data("npz", path="quarters.npz"), Training(epochs, 16), SGD)
