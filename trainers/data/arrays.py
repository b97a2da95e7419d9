"""An npz file's images and labels, under the names of this project, of Keras or of MedMNIST."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trainers.data import labels
from trainers.data.paths import below
from trainers.errors import DatasetInvalid, DatasetMissing
from trainers.spec import Data

PartName = Literal["train", "validation", "test"]
_PAIRS: dict[PartName, tuple[tuple[str, str], ...]] = {
    "train": (("images", "labels"), ("train_images", "train_labels"), ("x_train", "y_train")),
    "validation": (
        ("val_images", "val_labels"),
        ("valid_images", "valid_labels"),
        ("validation_images", "validation_labels"),
        ("x_val", "y_val"),
        ("x_valid", "y_valid"),
        ("x_validation", "y_validation"),
    ),
    "test": (("test_images", "test_labels"), ("x_test", "y_test")),
}
_UNREADABLE = (
    ValueError, OSError, EOFError, KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """One part's pixels [n, C, H, W] (uint8), their type in the file, and labels [n]."""

    pixels: NDArray[np.uint8]
    dtype: np.dtype[Any]
    labels: NDArray[np.int64]


class Arrays:
    """An npz file of the user's, opened; its arrays are read when they are asked for. Use it as a context."""

    def __init__(self, data: Data, root: Path) -> None:
        self.path = data.path
        self._file = _open(data, root)
        try:
            self._keys = self._found()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Arrays:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def has(self, part: PartName) -> bool:
        """Whether the file has this part."""
        return part in self._keys

    def train(self) -> tuple[Pair, labels.Classes]:
        """The training part, and the classes that it has."""
        images, label_key = self._keys["train"]
        pixels, dtype = _as_eight_bits(self._read(images), images)
        numbers, classes = labels.train(self._read(label_key), label_key, len(pixels))
        return Pair(pixels, dtype, numbers), classes

    def classes(self) -> labels.Classes:
        """The classes of the training part, without a look at its images."""
        values = self._read(self._keys["train"][1])
        return labels.train(values, self._keys["train"][1], len(values))[1]

    def dtype(self, part: PartName) -> np.dtype[Any]:
        """The type of a part's images in the file."""
        key = self._keys[part][0]
        try:
            with self._file.zip.open(f"{key}.npy") as member:
                version = np.lib.format.read_magic(member)
                readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                dtype: np.dtype[Any] = readers[version](member)[2]
        except _UNREADABLE:
            return self._read(key).dtype.newbyteorder("=")
        return dtype.newbyteorder("=")

    def other(self, part: PartName, classes: labels.Classes) -> Pair:
        """A part that is there, with the training part's classes."""
        images, label_key = self._keys[part]
        pixels, dtype = _as_eight_bits(self._read(images), images)
        return Pair(pixels, dtype, labels.other(self._read(label_key), label_key, len(pixels), classes))

    def _found(self) -> dict[PartName, tuple[str, str]]:
        """The names of each part's two arrays. DatasetInvalid where one lacks its mate, or a part is there twice."""
        by_name: dict[str, str] = {}
        for name in sorted(self._file.files):  # of names that differ by case, the lower one counts
            by_name[name.lower()] = name
        keys: dict[PartName, tuple[str, str]] = {}
        for part, pairs in _PAIRS.items():
            present_pairs = [pair for pair in pairs if set(pair) & set(by_name)]
            for pair in present_pairs:
                lacking = [name for name in pair if name not in by_name]
                if lacking:
                    raise self._lacks(lacking[0], f", the mate of {next(name for name in pair if name in by_name)}")
            if len(present_pairs) > 1:
                words = " and ".join(" with ".join(pair) for pair in present_pairs)
                raise DatasetInvalid(f"{self.path} has its {part} part twice, as {words}: keep one of them")
            if present_pairs:
                keys[part] = (by_name[present_pairs[0][0]], by_name[present_pairs[0][1]])
        if "train" not in keys:
            raise self._lacks("images and labels", " (or train_images and train_labels, or x_train and y_train)")
        return keys

    def _lacks(self, name: str, detail: str) -> DatasetInvalid:
        return DatasetInvalid(f"the npz file {self.path} has no {name}{detail}; it has {', '.join(self._file.files)}")

    def _read(self, key: str) -> NDArray[Any]:
        try:
            values: NDArray[Any] = np.asarray(self._file[key])
        except _UNREADABLE as error:
            raise DatasetInvalid(f"{key} of {self.path} cannot be read (objects are refused): {error}") from error
        return values


def _open(data: Data, root: Path) -> Any:
    path = below(root, data.path)
    if not path.is_file():
        raise DatasetMissing(f"there is no file {data.path!r} below the data root: put it there")
    try:
        opened = np.load(path, allow_pickle=False)
    except _UNREADABLE as error:
        raise DatasetInvalid(f"{data.path} is not an npz file: {error}") from error
    if not isinstance(opened, np.lib.npyio.NpzFile):
        raise DatasetInvalid(f"{data.path} is one array; an npz file with images and labels is needed")
    return opened


def _as_eight_bits(pixels: NDArray[Any], key: str) -> tuple[NDArray[np.uint8], np.dtype[Any]]:
    """Images as NCHW of 8 bits, and the type that they had: bool and floats from 0 to 1, and 16 bits from their whole
    range. DatasetInvalid for any others, which could be meant in more than one way.
    """
    dtype = pixels.dtype.newbyteorder("=")
    shaped = _as_nchw(pixels, key)
    if dtype == np.uint8:
        return shaped, dtype
    if dtype == np.bool_:
        return shaped.astype(np.uint8) * np.uint8(255), dtype
    if dtype.kind not in "iuf" or not pixels.size:
        raise DatasetInvalid(f"{key} must be uint8, they are {dtype}")
    low, high = pixels.min(), pixels.max()
    if dtype.kind == "f":
        if not np.isfinite(low) or not np.isfinite(high):
            raise DatasetInvalid(f"{key} are {dtype} with values that are not finite (NaN or infinite): remove them")
        if low >= 0 and high <= 1:
            return _scaled(shaped, 255.0), dtype
    elif (dtype.kind, dtype.itemsize) == ("u", 2) and high > 255:
        return _scaled(shaped, 255 / 65535), dtype
    raise DatasetInvalid(
        f"{key} must be uint8, or bool, or floats from 0 to 1, or uint16 over its whole range; they are {dtype} from "
        f"{low:g} to {high:g}: scale them to 0 .. 255 and save them `.astype(numpy.uint8)`"
    )


def _scaled(pixels: NDArray[Any], factor: float) -> NDArray[np.uint8]:
    """The pixels times a factor, a thousand images at a time so that copies do not fill the memory."""
    scaled = np.empty(pixels.shape, dtype=np.uint8)
    for start in range(0, len(pixels), 1000):
        chunk = pixels[start : start + 1000].astype(np.float64)
        scaled[start : start + 1000] = np.rint(chunk * factor)
    return scaled


def _as_nchw(pixels: NDArray[Any], key: str) -> NDArray[Any]:
    if pixels.ndim == 3 and all(pixels.shape[1:]):
        return pixels[:, None]
    first, last = (pixels.ndim == 4 and pixels.shape[axis] in (1, 3) for axis in (1, 3))
    if first == last or not all(pixels.shape[1:]):
        raise DatasetInvalid(
            f"{key} of shape {pixels.shape} are not clearly NHW, NHWC or NCHW with 1 or 3 channels: save them so"
        )
    return pixels if first else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
