"""Photographs of varied size, decoded and brought to one size."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from trainers.data import room
from trainers.data.paths import inside
from trainers.errors import DatasetInvalid

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


def read_items(sets: Sequence[Any], size: int, scratch: Path | None) -> Decoded:
    """All (picture, label) of some of torchvision's data sets, one after the other."""
    total = sum(len(items) for items in sets)
    pixels = room.pixels((total, 3, size, size), scratch)
    labels = np.empty(total, dtype=np.int64)
    at = 0
    for items in sets:
        for i in range(len(items)):  # they end by no IndexError, so that a plain `for` would not end
            image, labels[at] = items[i]
            pixels[at] = fit(image, size)
            at += 1
    return pixels, labels


def folder_classes(folder: Path) -> list[str]:
    """The names of the folders in `folder`, sorted: the class numbers are their places."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(names) < 2:
        raise DatasetInvalid(f"{folder.name} needs a folder for each of two or more classes")
    return names


def read_folder(folder: Path, root: Path, size: int, scratch: Path | None) -> Decoded:
    """All pictures in a folder per class; raises DatasetInvalid for an empty class, a broken file or a link outside."""
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(folder_classes(folder)):
        found = sorted(path for path in (folder / name).rglob("*") if path.suffix.lower() in _SUFFIXES)
        if not found:
            raise DatasetInvalid(f"the class {name} has no pictures ({', '.join(sorted(_SUFFIXES))})")
        files.extend(found)
        labels.extend([label] * len(found))
    pixels = room.pixels((len(files), 3, size, size), scratch)
    for i, picture in enumerate(_decoded(files, root, size)):
        pixels[i] = picture
    return pixels, np.asarray(labels, dtype=np.int64)


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
