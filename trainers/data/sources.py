"""Reads the files of each data set into arrays, as they lie below the data root."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torchvision
from numpy.typing import NDArray

from trainers.catalogue import DATASETS, check_dataset
from trainers.data import photos
from trainers.data.paths import below
from trainers.errors import DatasetInvalid, DatasetMissing
from trainers.spec import Data


@dataclass(frozen=True, slots=True)
class Images:
    """Pixels [n, C, H, W] (uint8) and labels [n] (int64)."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Source:
    """Everything that is not in a test part of its own; `own_test` says whether the files have one."""

    pool: Images
    classes: int
    own_test: bool


def read(data: Data, root: Path, scratch: Path | None) -> Source:
    """The images from which train and validation are cut; a test part that the files have is not touched.

    `scratch` is where decoded pictures go that are too many for memory.
    """
    problems = check_dataset(data.name)
    if problems:
        raise DatasetInvalid("; ".join(problems))
    if data.name == "replay":
        raise DatasetInvalid("a table of recorded runs has no images to train on")
    if data.name == "npz":
        return _read_npz(data, root)
    if data.name == "image_folder":
        folder, own_test = _image_folder(data, root)
        pool, classes = photos.read_folder(folder, root, _photo_size(data), scratch), photos.folder_classes(folder)
        return Source(Images(*pool), len(classes), own_test)
    entry = DATASETS[data.name]
    assert entry.classes is not None
    pool_images = _digits() if data.name == "digits" else _from_torchvision(data, root, scratch, test=False)
    return Source(pool_images, entry.classes, own_test=bool(entry.own_test_part))


def stamp(data: Data, root: Path) -> str:
    """What says that the files are those of before, without a look at the images: the digest of an npz file, or of the
    names, sizes and times of a folder's; "" for sets whose files never change. DatasetMissing where there are none.
    """
    if data.name == "npz":
        with _open_npz(data, root), below(root, data.path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if data.name == "image_folder":
        folder, _ = _image_folder(data, root)
        seen = [(path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file()]
        listed = [f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}" for path, stat in seen]
        return hashlib.sha256("\n".join(listed).encode()).hexdigest()
    return ""


def read_test(data: Data, root: Path, scratch: Path | None) -> Images:
    """The test part of a set that has one of its own. `datasets.load_test` alone calls this, once it saw a permit."""
    if data.name == "npz":
        with _open_npz(data, root) as arrays:
            return _checked(arrays, "test_images", "test_labels")
    if data.name == "image_folder":
        folder, _ = _image_folder(data, root)
        test = folder.parent / "test"
        if photos.folder_classes(test) != photos.folder_classes(folder):
            raise DatasetInvalid(f"{data.path}/test does not have the same classes as {data.path}/train")
        return Images(*photos.read_folder(test, root, _photo_size(data), scratch))
    return _from_torchvision(data, root, scratch, test=True)


def _digits() -> Images:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # they come as 0..16
    return Images(pixels[:, None], bunch.target.astype(np.int64))


def open_torchvision(name: str, root: Path, test: bool, download: bool = False) -> list[Any]:
    """torchvision's own data sets that make up the test part, or everything else that is labelled.

    Raises what torchvision raises where the files are not there: RuntimeError, mostly.
    """
    build: Callable[..., Any] = getattr(torchvision.datasets, name)
    return [build(root=str(root), download=download, **chosen) for chosen in _parts(name, test)]


def _from_torchvision(data: Data, root: Path, scratch: Path | None, test: bool) -> Images:
    try:
        sets = open_torchvision(data.name, root, test)
    except (RuntimeError, OSError) as error:
        # torchvision says "not found or corrupted" by a RuntimeError
        raise DatasetMissing(
            f"{data.name} is not below the data root: fetch it with `thermowell data fetch {data.name}`"
        ) from error
    if DATASETS[data.name].photos:
        return Images(*photos.read_items(sets, _photo_size(data), scratch))
    (one,) = sets
    pixels = np.asarray(one.data)
    labels = np.asarray(one.labels if hasattr(one, "labels") else one.targets).astype(np.int64)
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.shape[1] != 3:
        pixels = pixels.transpose(0, 3, 1, 2)
    return Images(np.ascontiguousarray(pixels), labels)


def _parts(name: str, test: bool) -> list[dict[str, Any]]:
    """torchvision's arguments that select the test part, or everything else that is labelled."""
    if name in ("MNIST", "FashionMNIST", "CIFAR10", "CIFAR100"):
        return [{"train": not test}]
    if test:
        return [{"split": "test"}]
    if name == "Flowers102":
        return [{"split": "train"}, {"split": "val"}]
    return [{"split": "trainval" if name == "OxfordIIITPet" else "train"}]


def _photo_size(data: Data) -> int:
    return data.image_size or DATASETS[data.name].size or 64


def _image_folder(data: Data, root: Path) -> tuple[Path, bool]:
    """The folder that holds a folder per class, and whether a test folder lies beside it."""
    folder = below(root, data.path)
    if not folder.is_dir():
        raise DatasetMissing(f"there is no folder {data.path!r} below the data root: put it there")
    if (folder / "train").is_dir():
        return below(root, f"{data.path}/train"), (folder / "test").is_dir()
    return folder, False


def _read_npz(data: Data, root: Path) -> Source:
    with _open_npz(data, root) as arrays:
        pool = _checked(arrays, "images", "labels")
        own_test = "test_images" in arrays.files and "test_labels" in arrays.files
    present = np.unique(pool.labels)
    if len(present) < 2 or present[0] != 0 or present[-1] != len(present) - 1:
        raise DatasetInvalid(f"{data.path}: labels must be 0 .. classes - 1, each at least once, and two or more")
    return Source(pool, len(present), own_test)


def _open_npz(data: Data, root: Path) -> Any:
    path = below(root, data.path)
    if not path.is_file():
        raise DatasetMissing(f"there is no file {data.path!r} below the data root: put it there")
    try:
        opened = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetInvalid(f"{data.path} is not an npz file: {error}") from error
    if not isinstance(opened, np.lib.npyio.NpzFile):
        raise DatasetInvalid(f"{data.path} is one array; an npz file with images and labels is needed")
    return opened


def _checked(arrays: Any, images_key: str, labels_key: str) -> Images:
    """One pair of arrays as NCHW; raises DatasetInvalid where they are not what the docs ask for."""
    missing = {images_key, labels_key} - set(arrays.files)
    if missing:
        raise DatasetInvalid(f"the npz file has no {', '.join(sorted(missing))}; it has {', '.join(arrays.files)}")
    try:
        pixels, labels = arrays[images_key], arrays[labels_key]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DatasetInvalid(f"the npz file cannot be read (objects are refused): {error}") from error
    if pixels.dtype != np.uint8:
        raise DatasetInvalid(f"{images_key} must be uint8, they are {pixels.dtype}")
    if not np.issubdtype(labels.dtype, np.integer) or labels.size != len(pixels) or labels.size == 0:
        raise DatasetInvalid(f"{labels_key} must be one integer for each of {len(pixels)} images, at least one")
    labels = labels.reshape(-1).astype(np.int64)
    if labels.min() < 0:
        raise DatasetInvalid(f"{labels_key} must not be negative")
    return Images(_as_nchw(pixels, images_key), labels)


def _as_nchw(pixels: NDArray[np.uint8], key: str) -> NDArray[np.uint8]:
    if pixels.ndim == 3:
        return pixels[:, None]
    first, last = (pixels.ndim == 4 and pixels.shape[axis] in (1, 3) for axis in (1, 3))
    if first == last:
        raise DatasetInvalid(f"{key} of shape {pixels.shape} are not clearly NHW, NHWC or NCHW with 1 or 3 channels")
    return pixels if first else np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
