"""Photographs of varied size, decoded and brought to one size."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from trainers.errors import DatasetInvalid
from trainers.paths import inside

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
Decoded = tuple[NDArray[np.uint8], NDArray[np.int64]]


def fit(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """One picture as [3, size, size]: its shorter side is resized to `size` (bilinear), its middle kept."""
    image = image.convert("RGB")
    scale = size / min(image.size)
    width, height = (max(size, round(length * scale)) for length in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
    return np.asarray(resized, dtype=np.uint8).transpose(2, 0, 1)


def read_items(items: Any, size: int) -> Decoded:
    """All (picture, label) of one of torchvision's data sets."""
    pixels = np.empty((len(items), 3, size, size), dtype=np.uint8)
    labels = np.empty(len(items), dtype=np.int64)
    for i in range(len(items)):
        image, labels[i] = items[i]
        pixels[i] = fit(image, size)
    return pixels, labels


def folder_classes(folder: Path) -> list[str]:
    """The names of the folders in `folder`, sorted: the class numbers are their places."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(names) < 2:
        raise DatasetInvalid(f"{folder.name} needs a folder for each of two or more classes")
    return names


def read_folder(folder: Path, root: Path, size: int) -> Decoded:
    """All pictures in a folder per class; raises DatasetInvalid for an empty class, a broken file or a link outside."""
    pixels: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for label, name in enumerate(folder_classes(folder)):
        files = sorted(path for path in (folder / name).rglob("*") if path.suffix.lower() in _SUFFIXES)
        if not files:
            raise DatasetInvalid(f"the class {name} has no pictures ({', '.join(sorted(_SUFFIXES))})")
        pixels.extend(_decoded(files, root, size))
        labels.extend([label] * len(files))
    return np.stack(pixels), np.asarray(labels, dtype=np.int64)


def _decoded(files: Iterable[Path], root: Path, size: int) -> Iterable[NDArray[np.uint8]]:
    for path in files:
        if not inside(path, root):
            raise DatasetInvalid(f"{path.name} leads out of the data root")
        try:
            with warnings.catch_warnings():
                # a picture that claims to be huge is refused before it fills the memory
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path) as image:
                    yield fit(image, size)
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise DatasetInvalid(f"{path.relative_to(root)} is not a picture that can be read: {error}") from error
