"""The images of each data set, as they are read from the files below the data root."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torchvision
from numpy.typing import NDArray

from thermowell.plugin import Inputs
from trainers.catalogue import check_dataset
from trainers.data import layout, photos, plugin_sets
from trainers.data.arrays import Arrays, files
from trainers.data.images import Images
from trainers.data.layout import Tree
from trainers.data.paths import below
from trainers.data.photos import Problems
from trainers.errors import DatasetInvalid, DatasetMissing
from trainers.registry.datasets import get as get_dataset
from trainers.spec import Data


@dataclass(frozen=True, slots=True)
class Source:
    """Everything that is not in a part of its own: `own_test` says whether the files have one for the test,
    `validation` is what they have for validation, `inputs` what kind of examples they are.
    """

    pool: Images
    classes: int
    own_test: bool
    validation: Images | None = None
    inputs: Inputs = "images"


def read_images(data: Data, root: Path) -> Source:
    """The images from which train and validation are cut, whose labels are read here and whose pixels later; a test
    part that the files have is not touched.
    """
    problems = check_dataset(data.name)
    if problems:
        raise DatasetInvalid("; ".join(problems))
    if data.name == "replay":
        raise DatasetInvalid("a table of recorded runs has no images to train on: name a data set of images")
    if data.name == "npz":
        return _read_npz(data, root)
    if data.name == "image_folder":
        return _read_folder(data, root)
    entry = get_dataset(data.name)
    if entry.fetched_by == "plugin":
        examples = Images.of(*plugin_sets.read(data, root, "pool"))
        return Source(
            examples,
            plugin_sets.classes(data.name),
            own_test=bool(entry.own_test_part),
            inputs=plugin_sets.inputs(data.name),
        )
    assert entry.classes is not None
    pool_images = _digits() if data.name == "digits" else _from_torchvision(data, root, test=False)
    return Source(pool_images, entry.classes, own_test=bool(entry.own_test_part))


def class_names(data: Data, root: Path) -> list[str]:
    """The names of a set's own classes in the order of their numbers; numbers where it has no names."""
    if data.name == "image_folder":
        return layout.classes(_tree(data, root).train)
    if data.name == "npz":
        classes = Arrays(data, root).classes()
        return list(classes.names) or [str(number) for number in range(classes.count)]
    if get_dataset(data.name).fetched_by == "plugin":
        return plugin_sets.class_names(data.name)
    count = get_dataset(data.name).classes
    assert count is not None
    if get_dataset(data.name).fetched_by != "torchvision":
        return [str(number) for number in range(count)]
    names = getattr(_opened(data, root, test=False)[0], "classes", None) or range(count)
    return [str(name) for name in names]


def stamp(data: Data, root: Path) -> str:
    """What says that the files are those of before, without a look at the images: the digest of an npz file, or of the
    names, sizes and times of a folder's; "" for sets whose files never change. DatasetMissing where there are none.
    """
    if data.name == "npz":
        digests = [(file.name, _digest(file.path)) for file in files(data, root)]
        alone = below(root, data.path).is_file()
        content = digests[0][1] if alone else hashlib.sha256(repr(digests).encode()).hexdigest()
        # whoever read this file before the validation part was known has trained on other images
        has_validation = Arrays(data, root).has("validation")
        return hashlib.sha256(f"{content} validation".encode()).hexdigest() if has_validation else content
    if data.name == "image_folder":
        tree = _tree(data, root)
        return listed([tree.train] if tree.validation is None else [tree.train, tree.validation])
    return ""


def listed(folders: Sequence[Path]) -> str:
    """The digest of the names, sizes and times of all files below some folders; hidden ones do not count."""
    lines: list[str] = []
    for folder in folders:
        entries = [(path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file()]
        lines += [
            f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}"
            for path, stat in entries
            if not any(map(layout.hidden, path.relative_to(folder).parts))
        ]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def read_test(data: Data, root: Path) -> Images:
    """The test part of a set that has one of its own. `datasets.load_test` alone calls this, once it saw a permit."""
    if data.name == "npz":
        arrays = Arrays(data, root)
        return arrays.other("test", arrays.classes()).images
    if data.name == "image_folder":
        tree, problems = _tree(data, root), Problems()
        assert tree.test is not None
        names = _same_classes(tree.test, layout.classes(tree.train), tree)
        test = photos.list_folder(tree.test, names, root, problems)
        images = photos.folder_images(test, root, photo_size(data), problems)
        return replace(images, check=lambda: problems.check(data.path))
    if get_dataset(data.name).fetched_by == "plugin":
        return Images.of(*plugin_sets.read(data, root, "test"))
    return _from_torchvision(data, root, test=True)


def check_test(data: Data, root: Path) -> tuple[int, tuple[int, ...] | None]:
    """How many images the test part has that a set's files have, and their shape where they come in one of their own.

    Everything is read once and forgotten, so that what is broken is found before a search is paid for; nobody is
    measured. DatasetInvalid or DatasetMissing.
    """
    if data.name == "npz":
        arrays = Arrays(data, root)
        dtype, test = arrays.dtype("train"), arrays.other("test", arrays.classes())
        if test.dtype != dtype:
            raise DatasetInvalid(f"{data.path}: the test images are {test.dtype}, those of training are {dtype}")
        for _ in test.images.blocks(test.images.numbers()):
            pass
        return len(test.images.labels), test.images.shape
    if data.name == "image_folder":
        tree, problems = _tree(data, root), Problems()
        count = _check_folder_test(data, root, tree, problems)
        problems.check(data.path)
        return count, None
    if get_dataset(data.name).fetched_by == "plugin":
        examples, labels = plugin_sets.read(data, root, "test")
        return len(labels), examples.shape[1:]
    if get_dataset(data.name).photos:
        sets, problems = _opened(data, root, test=True), Problems()
        photo_labels = photos.check_items(sets, photo_size(data), problems)
        problems.check(data.name)
        _check_labels(data.name, photo_labels)
        return len(photo_labels), None
    images = _from_torchvision(data, root, test=True)
    return len(images.labels), images.shape


def test_place(data: Data, root: Path) -> Path | None:
    """The folder of a test part whose pictures take long to decode, None where there is none."""
    if data.name == "image_folder":
        return _tree(data, root).test
    return root if get_dataset(data.name).photos else None


def _digits() -> Images:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # they come as 0..16
    return Images.of(pixels[:, None], bunch.target.astype(np.int64))


def open_torchvision(name: str, root: Path, test: bool, download: bool = False) -> list[Any]:
    """torchvision's own data sets that make up the test part, or everything else that is labelled.

    Raises what torchvision raises where the files are not there: RuntimeError, mostly.
    """
    build: Callable[..., Any] = getattr(torchvision.datasets, name)
    return [build(root=str(root), download=download, **arguments) for arguments in _parts(name, test)]


def _from_torchvision(data: Data, root: Path, test: bool) -> Images:
    sets = _opened(data, root, test)
    if get_dataset(data.name).photos:
        problems = Problems()
        images = photos.item_images(sets, photo_size(data), problems)
        _check_labels(data.name, images.labels)
        return replace(images, check=lambda: problems.check(data.name))
    (dataset,) = sets
    pixels = np.asarray(dataset.data)
    labels = np.asarray(dataset.labels if hasattr(dataset, "labels") else dataset.targets).astype(np.int64)
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.shape[1] != 3:
        pixels = pixels.transpose(0, 3, 1, 2)
    if pixels.dtype != np.uint8 or len(pixels) != len(labels):
        raise _damaged(data.name, f"{len(pixels)} images of {pixels.dtype} have {len(labels)} labels")
    _check_labels(data.name, labels)
    return Images.of(np.ascontiguousarray(pixels), labels)


def _opened(data: Data, root: Path, test: bool) -> list[Any]:
    try:
        return open_torchvision(data.name, root, test)
    except (RuntimeError, OSError) as error:
        # torchvision says "not found or corrupted" by a RuntimeError
        raise DatasetMissing(
            f"{data.name} is not below the data root: fetch it with `thermowell data fetch {data.name}`"
        ) from error
    except (ValueError, AssertionError, EOFError, KeyError, IndexError) as error:
        raise _damaged(data.name, str(error) or type(error).__name__) from error


def _check_labels(name: str, labels: NDArray[np.int64]) -> None:
    classes = get_dataset(name).classes
    assert classes is not None
    if labels.size == 0 or labels.min() < 0 or labels.max() >= classes:
        raise _damaged(name, f"labels must be 0 .. {classes - 1}")


def _damaged(name: str, detail: str) -> DatasetInvalid:
    return DatasetInvalid(
        f"the files of {name} below the data root are damaged ({detail}): delete them and fetch them anew with "
        f"`thermowell data fetch {name}`"
    )


def _parts(name: str, test: bool) -> list[dict[str, Any]]:
    """torchvision's arguments that select the test part, or everything else that is labelled."""
    if name in ("MNIST", "FashionMNIST", "CIFAR10", "CIFAR100"):
        return [{"train": not test}]
    if test:
        return [{"split": "test"}]
    if name == "Flowers102":
        return [{"split": "train"}, {"split": "val"}]
    return [{"split": "trainval" if name == "OxfordIIITPet" else "train"}]


def photo_size(data: Data) -> int:
    """To how many pixels photographs of a set are brought."""
    return data.image_size or get_dataset(data.name).size or 64


def _tree(data: Data, root: Path) -> Tree:
    """The folders that hold a folder per class."""
    folder = below(root, data.path)
    if not folder.is_dir():
        raise DatasetMissing(f"there is no folder {data.path!r} below the data root: put it there")
    tree = layout.tree(folder, data.layout)
    for part in filter(None, (tree.train, tree.validation, tree.test)):
        below(root, f"{data.path}/{part.relative_to(folder)}")
    return tree


def _read_folder(data: Data, root: Path) -> Source:
    """The pictures of train and validation; where something is wrong with them, it is said with the test part's
    problems too.
    """
    tree, problems, size = _tree(data, root), Problems(), photo_size(data)
    names = layout.classes(tree.train)
    parts = [photos.list_folder(tree.train, names, root, problems)]
    if tree.validation is not None:
        parts.append(photos.list_folder(tree.validation, _same_classes(tree.validation, names, tree), root, problems))

    def check() -> None:
        if problems.count and tree.test is not None:
            _check_folder_test(data, root, tree, problems)
        problems.check(data.path)

    if problems.count:  # a class is empty: all that is wrong beside it is said too
        for part in parts:
            photos.check(part, root, size, problems)
        check()
    images = [replace(photos.folder_images(part, root, size, problems), check=check) for part in parts]
    return Source(images[0], len(names), tree.test is not None, images[1] if len(images) > 1 else None)


def _check_folder_test(data: Data, root: Path, tree: Tree, problems: Problems) -> int:
    assert tree.test is not None
    names = _same_classes(tree.test, layout.classes(tree.train), tree)
    test = photos.list_folder(tree.test, names, root, problems)
    photos.check(test, root, photo_size(data), problems)
    return len(test.files)


def _same_classes(part: Path, names: list[str], tree: Tree) -> list[str]:
    """The class names of a part, which are those of the training part. DatasetInvalid with what is too many or few."""
    part_classes = layout.classes(part)
    if part_classes != names:
        lacking, extra = sorted(set(names) - set(part_classes)), sorted(set(part_classes) - set(names))
        differences = [f"it has no {layout.shown(lacking)}"] if lacking else []
        differences += [f"it has {layout.shown(extra)}, which {tree.train.name} has not"] if extra else []
        raise DatasetInvalid(
            f"{part.name} does not have the same classes as {tree.train.name}: {' and '.join(differences)}. Names "
            "must be alike to the letter"
        )
    return part_classes


def _read_npz(data: Data, root: Path) -> Source:
    arrays = Arrays(data, root)
    train, classes = arrays.train()
    validation = arrays.other("validation", classes) if arrays.has("validation") else None
    if validation is not None and (validation.images.shape, validation.dtype) != (train.images.shape, train.dtype):
        raise DatasetInvalid(
            f"{data.path}: validation images are {validation.dtype} {list(validation.images.shape)}, those of "
            f"training are {train.dtype} {list(train.images.shape)} (channels, height, width): make them alike"
        )
    own_test = arrays.has("test")
    return Source(train.images, classes.count, own_test, None if validation is None else validation.images)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
