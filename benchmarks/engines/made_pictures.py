"""Made pictures of ten classes, the same each time: a folder of JPEG files, and the same pixels as npz files."""

from __future__ import annotations

import io
import multiprocessing
import os
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 10
IN_FILE = 2_500
"""Pictures in an npz file, at most; all of one class."""
_CELLS = 8  # in a row of the pattern that is made larger
_QUALITY = 90


def make(root: Path, count: int, size: int) -> None:
    """Writes `count` pictures (a multiple of ten) of that size below `root`: `pictures/CLASS/NUMBER.jpg`, and
    `shards/NUMBER.npz` with what is decoded from them, in the same order.
    """
    (root / "shards").mkdir(parents=True)
    for label in range(CLASSES):
        (root / "pictures" / f"class{label}").mkdir(parents=True)
    of_class = count // CLASSES
    pieces = [
        (root, size, label, range(start, min(start + IN_FILE, of_class)))
        for label in range(CLASSES)
        for start in range(0, of_class, IN_FILE)
    ]
    # not forked: this process may have threads
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        pool.starmap(_piece, pieces, chunksize=1)


def _piece(root: Path, size: int, label: int, numbers: range) -> None:
    """One npz file, and the pictures in it."""
    pixels = np.empty((len(numbers), size, size, 3), dtype=np.uint8)
    for row, number in enumerate(numbers):
        content = picture(label, number, size)
        (root / "pictures" / f"class{label}" / f"{number:06}.jpg").write_bytes(content)
        pixels[row] = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    labels = np.full(len(numbers), label)
    np.savez(root / "shards" / f"{label}-{numbers.start:06}.npz", images=pixels, labels=labels)


def picture(label: int, number: int, size: int) -> bytes:
    """One picture as JPEG: its class's pattern of colours, under noise of its own."""
    pattern = np.random.default_rng(label).integers(60, 196, (_CELLS, _CELLS, 3))
    noise = np.random.default_rng((label, number)).normal(0, 40, (_CELLS, _CELLS, 3))
    cells = Image.fromarray((pattern + noise).clip(0, 255).astype(np.uint8))
    content = io.BytesIO()
    cells.resize((size, size), Image.Resampling.BILINEAR).save(content, "JPEG", quality=_QUALITY)
    return content.getvalue()
