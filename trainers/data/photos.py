"""Photographs of varied size, decoded and brought to one size."""

from __future__ import annotations

import errno
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from trainers.data import layout, modes
from trainers.data.images import Images, Numbers, block_length
from trainers.errors import DatasetInvalid

NAMED = 20
"""So many bad files are named; of the others it is said how many they are."""
_MOST_PIXELS = 100_000_000  # of one picture, once its shorter side is as wanted
_FILES_OWN = frozenset({None, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.EINVAL})
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Problems:
    """What is wrong with a set's files, so that all of it is said at once."""

    named: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, problem: str) -> None:
        """Adds one in words."""
        self.count += 1
        if len(self.named) < NAMED:
            self.named.append(layout.legible(problem))

    def check(self, path: str | None) -> None:
        """DatasetInvalid with all of them, where there are any."""
        if not self.count:
            return
        more = f"; and {self.count - len(self.named)} more" if self.count > len(self.named) else ""
        count_words = "one thing is" if self.count == 1 else f"{self.count} things are"
        details = "; ".join(self.named)
        raise DatasetInvalid(
            f"{path}: {count_words} wrong: {details}{more}. Mend or remove these files, and submit again"
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """The pictures of a part, by class and then by name, and the number of each one's class."""

    files: list[Path]
    labels: NDArray[np.int64]


@dataclass(slots=True)
class Deep:
    """How far 16-bit pictures use their range: the greatest value of all of them."""

    pictures: int = 0
    highest: int = 0

    def add(self, image: Image.Image) -> None:
        """Takes note of one, if it is deep."""
        if modes.is_deep(image):
            self.pictures += 1
            self.highest = max(self.highest, modes.highest(image))

    def check(self, problems: Problems) -> None:
        """A problem where all would be black; a warning where few grey levels are left."""
        if self.pictures and self.highest <= 255:
            problems.add(
                f"{self.pictures} pictures of 16 bits have no value above {self.highest} of 65,535, and would be "
                "black: save them with 8 bits, or scaled to the whole range"
            )
        elif self.pictures and self.highest <= 4095:
            levels = self.highest // 257 + 1
            _log.warning("pictures of 16 bits go up to %d of 65,535: %d grey levels are left", self.highest, levels)


def fit(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """One picture as [3, size, size]: its shorter side is resized to `size` (bilinear), its middle kept."""
    image = modes.rgb(image)
    scale = size / min(image.size)
    width, height = (max(size, round(length * scale)) for length in image.size)
    if width * height > _MOST_PIXELS:
        raise ValueError(f"it is too long for its width ({image.size[0]} x {image.size[1]} pixels)")
    x_left, top = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), Image.Resampling.BILINEAR).crop((x_left, top, x_left + size, top + size))
    return np.asarray(resized, dtype=np.uint8).transpose(2, 0, 1)


def item_images(sets: Sequence[Any], size: int, problems: Problems) -> Images:
    """All (picture, label) of some of torchvision's data sets, one after the other; a damaged one is a problem."""
    labels = np.asarray([label for items in sets for label in items._labels], dtype=np.int64)
    places = [(items, number) for items in sets for number in range(len(items))]

    def pictures(numbers: Numbers) -> Iterator[NDArray[np.uint8] | None]:
        for items, number in (places[position] for position in numbers):
            picture = None
            with _reading(_item_name(items, number), problems):
                picture = fit(items[number][0], size)
            yield picture

    return _images(labels, size, pictures)


def check_items(sets: Sequence[Any], size: int, problems: Problems) -> NDArray[np.int64]:
    """The labels of some of torchvision's data sets; each picture is decoded and forgotten."""
    labels: list[int] = []
    for items in sets:
        for i in range(len(items)):
            with _reading(_item_name(items, i), problems):
                image, label = items[i]
                fit(image, size)
                labels.append(label)
    return np.asarray(labels, dtype=np.int64)


def list_folder(folder: Path, names: Sequence[str], root: Path, problems: Problems) -> Listing:
    """The pictures below a folder with a folder for each of these classes; one that is empty is a problem."""
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        pictures = layout.pictures(folder / name)
        if not pictures:
            place = (folder / name).relative_to(root)
            problems.add(f"the class {name} has no pictures in {place} ({', '.join(sorted(layout.SUFFIXES))})")
        files.extend(pictures)
        labels.extend([label] * len(pictures))
    return Listing(files, np.asarray(labels, dtype=np.int64))


def folder_images(listing: Listing, root: Path, size: int, problems: Problems) -> Images:
    """The pictures, decoded when they are read; those that cannot be, or that a link leads to out of the root, are
    problems.
    """

    def pictures(numbers: Numbers) -> Iterator[NDArray[np.uint8] | None]:
        return _decoded([listing.files[number] for number in numbers], root, problems, lambda image: fit(image, size))

    return _images(listing.labels, size, pictures)


def _images(
    labels: NDArray[np.int64], size: int, pictures: Callable[[Numbers], Iterator[NDArray[np.uint8] | None]]
) -> Images:
    """Images of which `pictures` decodes some; one that it cannot is black."""
    shape, dtype = (3, size, size), np.dtype(np.uint8)

    def blocks(numbers: Numbers) -> Iterator[NDArray[np.uint8]]:
        decoded, length = pictures(numbers), block_length(shape, dtype)
        for start in range(0, len(numbers), length):
            block = np.zeros((min(length, len(numbers) - start), *shape), dtype=dtype)
            for row, picture in zip(block, decoded, strict=False):
                row[:] = 0 if picture is None else picture
            yield block
        next(decoded, None)  # what is said of all pictures together is said at their end

    return Images(labels, shape, dtype, blocks)


def check(listing: Listing, root: Path, size: int, problems: Problems) -> None:
    """Decodes each picture and forgets it: those that cannot be read are problems."""

    def decode(image: Image.Image) -> None:
        image.draft("RGB", (size, size))  # JPEG is read to its end all the same, in fewer pixels
        image.load()
        fit(image, size)

    for _ in _decoded(listing.files, root, problems, decode):
        pass


def _decoded(
    files: Sequence[Path], root: Path, problems: Problems, decode: Callable[[Image.Image], Any]
) -> Iterator[Any]:
    """What `decode` answers of each, None of those that cannot be read."""
    deep, inside = Deep(), os.path.realpath(root)
    for path in files:
        answer = None
        if not Path(os.path.realpath(path)).is_relative_to(inside):
            problems.add(f"{path.name} leads out of the data root")
        else:
            with _reading(str(path.relative_to(root)), problems), Image.open(path) as image:
                deep.add(image)
                answer = decode(image)
        yield answer
    deep.check(problems)


@contextmanager
def _reading(name: str, problems: Problems) -> Iterator[None]:
    """What a picture's decoder raises in the block is a problem of that name; what the machine raises goes on."""
    try:
        with warnings.catch_warnings():
            # a picture that claims to be huge is refused before it fills the memory
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except Exception as error:  # decoders raise nearly everything for damaged files
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno not in _FILES_OWN):
            raise
        problems.add(f"{name} is not a picture that can be read: {_why(error)}")


def _why(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # whose words hold the whole path
        return "it is empty, or of a format that is not known"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _item_name(items: Any, number: int) -> str:
    """The file of one of torchvision's items, where it says it."""
    files = getattr(items, "_image_files", None) or getattr(items, "_images", None)
    return str(files[number]) if files else f"picture {number} of {type(items).__name__}"
