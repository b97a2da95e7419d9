"""Images and labels of npz files, under the names of this project, of Keras or of MedMNIST."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trainers.data import labels, layout, targets
from trainers.data.images import Images, Numbers, block_length
from trainers.data.npz_arrays import NpzFile, StoredArray
from trainers.data.paths import below, inside
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
_ANY_PART = _PAIRS["train"][0]  # names that do not say which part it is
_EIGHT_BITS = np.dtype(np.uint8)
Keys = dict[PartName, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Pair:
    """One part's images, of 8 bits once they are read, and their type in the files."""

    images: Images
    dtype: np.dtype[Any]


class Arrays:
    """The arrays of an npz file of the user's, or of all npz files of a folder, whose parts are joined in the order of
    the files' names. Of each file the header is read here, its arrays when they are asked for, one file at a time.
    """

    def __init__(self, data: Data, root: Path) -> None:
        self.path, self._targets = data.path, data.targets
        self._files = [(file, _keys(file)) for file in files(data, root)]
        for file, keys in self._files:
            _check_part(file, keys)
        if not self.has("train"):
            names = ", ".join(dict.fromkeys(name for file, _ in self._files for name in file.keys()))  # noqa: SIM118
            raise DatasetInvalid(
                f"the npz {self._kind()} {self.path} has no images and labels (or train_images and train_labels, or "
                f"x_train and y_train); it has {names}"
            )

    def has(self, part: PartName) -> bool:
        """Whether there is this part."""
        return any(part in keys for _, keys in self._files)

    def train(self) -> tuple[Pair, labels.Classes]:
        """The training part, and the classes that it has."""
        return self._pair("train", None)

    def other(self, part: PartName, classes: labels.Classes) -> Pair:
        """A part that is there, with the training part's classes."""
        return self._pair(part, classes)[0]

    def classes(self) -> labels.Classes:
        """The classes of the training part, without a look at its images."""
        values, key = self._values("train")
        images = sum(array.shape[0] for array in self._arrays("train"))
        return labels.train(values, key, images)[1] if self._targets is None else self._columns(values, key)

    def dtype(self, part: PartName) -> np.dtype[Any]:
        """The type of a part's images in the files."""
        return self._arrays(part)[0].dtype.newbyteorder("=")

    def _kind(self) -> str:
        return "file" if len(self._files) == 1 else "files in"

    def _pair(self, part: PartName, classes: labels.Classes | None) -> tuple[Pair, labels.Classes]:
        arrays = self._arrays(part)
        key = arrays[0].key
        order, shape = _order(arrays[0].shape, key)
        dtype = arrays[0].dtype.newbyteorder("=")
        count = sum(array.shape[0] for array in arrays)
        factor = _factor(arrays, dtype, count, key)
        part_labels, classes = self._labels(part, count, classes)

        def blocks(selection: Numbers) -> Iterator[NDArray[Any]]:
            for block in _chosen(arrays, selection):
                yield _as_eight_bits(_as_nchw(block, order), factor)

        return Pair(Images(part_labels, shape, _EIGHT_BITS, blocks), dtype), classes

    def _arrays(self, part: PartName) -> list[StoredArray]:
        """A part's images, file by file. DatasetInvalid where they are not alike."""
        arrays = [file.array(keys[part][0]) for file, keys in self._files if part in keys]
        first = arrays[0]
        for array in arrays:
            if (array.shape[1:], array.dtype) != (first.shape[1:], first.dtype):
                raise DatasetInvalid(
                    f"{array.key} of {array.file.name} are {array.dtype} {list(array.shape[1:])}, those of "
                    f"{first.file.name} are {first.dtype} {list(first.shape[1:])}: make all files of the folder alike"
                )
        return arrays

    def _labels(
        self, part: PartName, images: int, classes: labels.Classes | None
    ) -> tuple[NDArray[Any], labels.Classes]:
        """A part's labels, and their classes: these, or where there are none yet those that the labels have."""
        values, key = self._values(part)
        if self._targets is None:
            if classes is None:
                return labels.train(values, key, images)
            return labels.other(values, key, images, classes), classes
        classes = classes or self._columns(values, key)
        return targets.checked(values, self._targets, classes.count, images, key), classes

    def _columns(self, values: NDArray[Any], key: str) -> labels.Classes:
        """The classes of declared targets, one for each column."""
        if values.ndim != 2 or values.shape[1] < 2:
            raise DatasetInvalid(
                f"{key} have the shape {values.shape}: {self._targets} labels (dataset.targets) must be "
                "[images, classes]"
            )
        return labels.Classes(values.shape[1])

    def _values(self, part: PartName) -> tuple[NDArray[Any], str]:
        """A part's labels as they lie in the files, file after file, and their name. DatasetInvalid where the files are
        not alike.
        """
        entries = [(file, keys[part]) for file, keys in self._files if part in keys]
        values = [file.read(label_key) for file, (_, label_key) in entries]
        key = entries[0][1][1]
        if len(values) == 1:
            return values[0], key
        for (file, (image_key, _)), entry in zip(entries, values, strict=True):
            first, images = values[0], file.array(image_key).shape[0]
            if (entry.shape[1:], entry.dtype.kind in "US") != (first.shape[1:], first.dtype.kind in "US"):
                raise DatasetInvalid(
                    f"{key} of {file.name} are {entry.dtype} {list(entry.shape[1:])}, those of {entries[0][0].name} "
                    f"are {first.dtype} {list(first.shape[1:])}: make all files of the folder alike"
                )
            if len(entry) != images:
                each = "one integer" if self._targets is None else "a row of numbers"
                raise DatasetInvalid(
                    f"{key} of {file.name} must be {each} for each of {images} images; they have the shape "
                    f"{entry.shape}"
                )
        return np.concatenate(values), key


def files(data: Data, root: Path) -> list[NpzFile]:
    """The npz file at the data's path; or those in the folder there, by name. DatasetMissing, DatasetInvalid."""
    path = below(root, data.path)
    if path.is_dir():
        names = sorted(
            entry.name for entry in path.iterdir() if entry.suffix.lower() == ".npz" and not layout.hidden(entry.name)
        )
        if not names:
            raise DatasetInvalid(f"the folder {data.path} has no npz files: name a file, or a folder of such files")
        for name in names:
            if not inside(path / name, root):
                raise DatasetInvalid(f"{data.path}/{name} leads out of the data root: put the file itself there")
        return [NpzFile(path / name, f"{data.path}/{name}") for name in names]
    if not path.is_file():
        raise DatasetMissing(f"there is no file {data.path!r} below the data root: put it there")
    return [NpzFile(path, str(data.path))]


def _keys(file: NpzFile) -> Keys:
    """The names of each part's two arrays. DatasetInvalid where one lacks its mate, or a part is there twice."""
    names = file.keys()
    by_name: dict[str, str] = {}
    for name in sorted(names):  # of names that differ by case, the lower one counts
        by_name[name.lower()] = name
    keys: Keys = {}
    for part, pairs in _PAIRS.items():
        present_pairs = [pair for pair in pairs if set(pair) & set(by_name)]
        for pair in present_pairs:
            lacking = [name for name in pair if name not in by_name]
            if lacking:
                mate = next(name for name in pair if name in by_name)
                raise DatasetInvalid(
                    f"the npz file {file.name} has no {lacking[0]}, the mate of {mate}; it has {', '.join(names)}"
                )
        if len(present_pairs) > 1:
            words = " and ".join(" with ".join(pair) for pair in present_pairs)
            raise DatasetInvalid(f"{file.name} has its {part} part twice, as {words}: keep one of them")
        if present_pairs:
            keys[part] = (by_name[present_pairs[0][0]], by_name[present_pairs[0][1]])
    return keys


def _check_part(file: NpzFile, keys: Keys) -> None:
    """DatasetInvalid where the names of a file and of its arrays say different parts: it would be trained on."""
    if "train" not in keys or tuple(name.lower() for name in keys["train"]) != _ANY_PART:
        return
    words = set(re.findall("[a-z]+", Path(file.name).stem.lower()))
    for part in ("validation", "test"):
        if words & set(layout.PARTS[part]) and part not in keys and not words & set(layout.PARTS["train"]):
            name, label_name = _PAIRS[part][0]
            raise DatasetInvalid(
                f"{file.name} sounds like a {part} part, and its images and labels would be trained on: name them "
                f"{name} and {label_name}, or train_images and train_labels"
            )


def _chosen(arrays: list[StoredArray], numbers: Numbers) -> Iterator[NDArray[Any]]:
    """Rows of those numbers, counted through all arrays, in blocks; arrays that have none of them are not opened."""
    offset = 0
    for array in arrays:
        first, last = np.searchsorted(numbers, (offset, offset + array.shape[0]))
        rows, position = numbers[first:last] - offset, 0
        offset += array.shape[0]
        if not len(rows):
            continue
        for block in array.blocks(block_length(array.shape[1:], array.dtype)):
            start, stop = np.searchsorted(rows, (position, position + len(block)))
            if start < stop:
                yield block[rows[start:stop] - position]
            position += len(block)


def _factor(arrays: list[StoredArray], dtype: np.dtype[Any], count: int, key: str) -> float | None:
    """By what images are multiplied to have 8 bits, None where they have: bool and floats from 0 to 1, and 16 bits from
    their whole range. DatasetInvalid for any others, which could be meant in more than one way.
    """
    if dtype == np.uint8:
        return None
    if dtype == np.bool_:
        return 255.0
    if dtype.kind not in "iuf" or not count:
        raise DatasetInvalid(f"{key} must be uint8, they are {dtype}")
    low, high = _range(arrays)
    if dtype.kind == "f":
        if not np.isfinite(low) or not np.isfinite(high):
            raise DatasetInvalid(f"{key} are {dtype} with values that are not finite (NaN or infinite): remove them")
        if low >= 0 and high <= 1:
            return 255.0
    elif (dtype.kind, dtype.itemsize) == ("u", 2) and high > 255:
        return 255 / 65535
    raise DatasetInvalid(
        f"{key} must be uint8, or bool, or floats from 0 to 1, or uint16 over its whole range; they are {dtype} from "
        f"{low:g} to {high:g}: scale them to 0 .. 255 and save them `.astype(numpy.uint8)`"
    )


def _range(arrays: list[StoredArray]) -> tuple[Any, Any]:
    """The least and the greatest value; NaN where one is that."""
    ends = [
        (block.min(), block.max())
        for array in arrays
        for block in array.blocks(block_length(array.shape[1:], array.dtype))
    ]
    return np.min([low for low, _ in ends]), np.max([high for _, high in ends])


def _as_eight_bits(pixels: NDArray[Any], factor: float | None) -> NDArray[np.uint8]:
    if factor is None:
        return pixels
    return np.rint(pixels.astype(np.float64) * factor).astype(np.uint8)


def _order(shape: tuple[int, ...], key: str) -> tuple[str, tuple[int, ...]]:
    """How images of that shape [n, ...] are to be read, and theirs as channels, height and width. DatasetInvalid."""
    if len(shape) == 3 and all(shape[1:]):
        return "NHW", (1, *shape[1:])
    first, last = (len(shape) == 4 and shape[axis] in (1, 3) for axis in (1, 3))
    if first == last or not all(shape[1:]):
        raise DatasetInvalid(
            f"{key} of shape {shape} are not clearly NHW, NHWC or NCHW with 1 or 3 channels: save them so"
        )
    return ("NCHW", shape[1:]) if first else ("NHWC", (shape[3], *shape[1:3]))


def _as_nchw(pixels: NDArray[Any], order: str) -> NDArray[Any]:
    if order == "NHW":
        return pixels[:, None]
    return pixels if order == "NCHW" else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
