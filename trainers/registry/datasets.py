"""The data sets: one record each, read in `trainers.data.sources`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from thermowell.plugin import Targets
from trainers.registry import plugins
from trainers.registry.plugins import Plugin


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """A data set; None where it depends on the files. `fetched_by`: nothing where it is installed.

    `photos` are of varied size: they are resized to `size` unless the spec says another image_size. `images` are those
    that are not in a test part of its own. `parts` are torchvision's arguments for the training and the test part, and
    `mdistiller` is that project's name of it. `targets` is what its labels are.
    """

    name: str
    summary: str
    channels: int | None
    size: int | None
    classes: int | None
    own_test_part: bool | None
    fetched_by: Literal["nothing", "torchvision", "yourself", "plugin"]
    photos: bool = False
    images: int | None = None
    parts: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
    mdistiller: str | None = None
    targets: Targets | None = "classes"


_FLAG = ({"train": True}, {"train": False})
_SPLIT = ({"split": "train"}, {"split": "test"})
_TRAINVAL = ({"split": "trainval"}, {"split": "test"})

DATASETS: Mapping[str, DatasetRecord] = {
    record.name: record
    for record in (
        DatasetRecord("digits", "scikit-learn's 1,797 handwritten digits", 1, 8, 10, False, "nothing", images=1_797),
        DatasetRecord("MNIST", "70,000 handwritten digits", 1, 28, 10, True, "torchvision", images=60_000, parts=_FLAG),
        DatasetRecord(
            "FashionMNIST", "70,000 pictures of clothes", 1, 28, 10, True, "torchvision", images=60_000, parts=_FLAG
        ),
        DatasetRecord(
            "CIFAR10", "60,000 small photographs", 3, 32, 10, True, "torchvision", images=50_000, parts=_FLAG
        ),
        DatasetRecord(
            "CIFAR100",
            "60,000 small photographs",
            3,
            32,
            100,
            True,
            "torchvision",
            images=50_000,
            parts=_FLAG,
            mdistiller="cifar100",
        ),
        DatasetRecord("SVHN", "99,289 house numbers", 3, 32, 10, True, "torchvision", images=73_257, parts=_SPLIT),
        DatasetRecord(
            "STL10", "13,000 labelled photographs", 3, 96, 10, True, "torchvision", images=5_000, parts=_SPLIT
        ),
        DatasetRecord(
            "Flowers102",
            "8,189 photographs of flowers",
            3,
            64,
            102,
            True,
            "torchvision",
            photos=True,
            images=1_020,
            parts=_SPLIT,
        ),
        DatasetRecord(
            "OxfordIIITPet",
            "7,349 photographs of pets",
            3,
            64,
            37,
            True,
            "torchvision",
            photos=True,
            images=3_680,
            parts=_TRAINVAL,
        ),
        DatasetRecord(
            "Food101",
            "101,000 photographs of dishes",
            3,
            64,
            101,
            True,
            "torchvision",
            photos=True,
            images=75_750,
            parts=_SPLIT,
        ),
        DatasetRecord(
            "image_folder",
            "A folder per class below `path`, or below its train/ and test/",
            *(3, 64, None, None, "yourself"),
            photos=True,
        ),
        DatasetRecord(
            "npz",
            "An npz file at `path`, or a folder of them: images (uint8, NHWC, NCHW or NHW) and labels; test_images and "
            "test_labels, or not",
            *(None, None, None, None, "yourself"),
            targets=None,
        ),
        DatasetRecord(
            "replay",
            "A table of recorded runs at `path`: its students are shown again, not trained",
            *(None, None, None, None, "yourself"),
        ),
    )
}


def get(name: str) -> DatasetRecord:
    """The record of that name; of a plugin's set what is known of it here. KeyError."""
    if not plugins.is_plugin(name):
        return DATASETS[name]
    sources = plugins.published() or plugins.loaded()
    return of_plugin(name, sources.find("dataset", name))


def of_plugin(name: str, plugin: Plugin | None) -> DatasetRecord:
    """A plugin's data set as a record."""
    if plugin is None:
        return DatasetRecord(name, "", None, None, None, None, "plugin", targets=None)
    declaration = plugin.declaration
    count, own_test_part, (targets,) = declaration.classes, declaration.own_test_part, declaration.targets
    return DatasetRecord(name, declaration.summary, None, None, count, own_test_part, "plugin", targets=targets)


def targets_of(name: str, stated: Targets | None) -> Targets | None:
    """What the labels of a set are, of files whose labels a spec has `stated`; None where nobody here knows."""
    of_record = get(name).targets
    return (stated or "classes") if of_record is None and not plugins.is_plugin(name) else of_record
