"""Loads a data set from below the data root and cuts it into train, validation and test. Downloads nothing.

The test part is behind a seal: only `load_test`, given a permit, answers it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from thermowell.plugin import Inputs, Targets
from trainers import derived, disk
from trainers.data import pixel_storage, sources, splits, targets
from trainers.data.granularity import class_map
from trainers.data.images import Images, Share, distribute
from trainers.disk_budget import DiskBudget
from trainers.errors import DatasetInvalid, TestSplitSealed
from trainers.registry.augmentations import UNCHANGED
from trainers.spec import Data, TestPermit, digest


@dataclass(frozen=True, slots=True)
class Part:
    """Images [n, C, H, W] (uint8), or a plugin's examples [n, ...], and labels, on the CPU: classes [n] (int64, from 0
    on), or what else `trainers.data.targets` has.
    """

    images: Tensor
    labels: Tensor
    _digests: list[str] = field(default_factory=list, repr=False, compare=False)

    def digest(self) -> str:
        """sha256 of shape, pixels and labels, which are read once for it."""
        if not self._digests:
            content = hashlib.sha256(repr(tuple(self.images.shape)).encode())
            content.update(self.images.contiguous().numpy().data)
            content.update(self.labels.contiguous().numpy().data)
            self._digests.append(content.hexdigest())
        return self._digests[0]


@dataclass(frozen=True, slots=True)
class Split:
    """What a search may see. `mean` and `std` are per channel, of the training part's pixels scaled to 0..1; those of
    features are along their first dimension, and tokens have none.

    `test_images` is how many images were cut off for the test part; None where the files have one of their own. What is
    made of its images and is too much for memory lies on disk, within the `budget`.
    """

    train: Part
    validation: Part
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    test_images: int | None = None
    inputs: Inputs = "images"
    budget: DiskBudget | None = None

    @property
    def targets(self) -> Targets:
        """What the labels are."""
        return targets.kind_of(self.train.labels)

    @property
    def channels(self) -> int:
        """Channels of an image; the first dimension of any other example."""
        return self.train.images.shape[1]

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width of an image; the other dimensions of any other example."""
        return tuple(self.train.images.shape[2:])


def load(data: Data, root: Path, budget: DiskBudget | None = None) -> Split:
    """Train and validation parts of `data`, whose files are below `root`.

    `validation_fraction` (and `test_fraction`, where the set has no test part of its own) count in the images that are
    not in a part of its own. Pixels too many for memory lie on disk, within the budget. Raises DatasetMissing,
    DatasetInvalid or DiskBudgetExceeded.
    """
    source = sources.read_images(data, root)
    classes = class_map(data, source.classes)
    train, validation, test = cut(data, source)
    if source.validation is None:
        part, judged = _parts(source.pool, [train, validation], source.pool.numbers(), data, classes, budget)
    else:
        (part,) = _parts(source.pool, [train], source.pool.numbers(), data, classes, budget)
        (judged,) = _whole(source.validation, data, classes, budget)
    source.pool.check()
    if targets.kind_of(judged.labels) == "several" and not judged.labels.any():
        raise DatasetInvalid(
            f"{data.name}: no validation example has any label: give more examples, or examples that have labels"
        )
    mean, std = _moments_of(part.images, source.inputs)
    count = None if source.own_test else len(test)
    return Split(part, judged, int(classes.max()) + 1, mean, std, count, source.inputs, budget)


def check_test(data: Data, root: Path, split: Split, store: Path) -> int:
    """How many images the test part has, once it was found to be whole; nobody is measured on it, nothing of it kept.

    Pictures that take long to decode are read once for all jobs whose files are the same: `store/checked/` says so.
    Raises DatasetMissing or DatasetInvalid.
    """
    if split.test_images is not None:
        return split.test_images
    place = sources.test_place(data, root)
    if place is None:
        return _checked(data, root, split)
    identity = [data.name, data.path, data.layout, sources.photo_size(data), split.classes, sources.listed([place])]
    path = store / "checked" / f"{digest(identity)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        count = derived.read(path, lambda: int(json.loads(path.read_bytes())["test_images"]))
        if count is None:
            count = _checked(data, root, split)
            with disk.whole(path, "that the test part is whole cannot be written") as partial:
                partial.write_text(json.dumps({"test_images": count}))
            derived.seal(path)
    return count


def _checked(data: Data, root: Path, split: Split) -> int:
    count, shape = sources.check_test(data, root)
    expected_shape = tuple(split.train.images.shape[1:])
    if shape is not None and (
        shape[0] != expected_shape[0] or (data.image_size is None and tuple(shape) != expected_shape)
    ):
        raise DatasetInvalid(
            f"{data.path or data.name}: the test images are {list(shape)}, those of training are {list(expected_shape)}"
            " (channels, height, width): make them alike"
        )
    return count


def load_test(data: Data, root: Path, permit: TestPermit, budget: DiskBudget | None = None) -> Part:
    """The test part. Raises TestSplitSealed, DatasetMissing or DatasetInvalid."""
    check_permit(permit)
    source = sources.read_images(data, root)
    classes = class_map(data, source.classes)
    if source.own_test:
        images = sources.read_test(data, root)
        (part,) = _whole(images, data, classes, budget)
    else:
        images, numbers = source.pool, cut(data, source)[2]
        (part,) = _parts(images, [numbers], numbers, data, classes, budget)
    images.check()
    return part


def check_permit(permit: TestPermit) -> None:
    """Raises TestSplitSealed unless `permit` names a job and the time of its confirmation."""
    if not isinstance(permit, TestPermit) or not permit.job or not 0 < permit.confirmed_at < math.inf:
        raise TestSplitSealed("the test part is opened once, and must wait for the end of the job's confirmation")


def cut(data: Data, source: sources.Source) -> tuple[splits.Numbers, splits.Numbers, splits.Numbers]:
    """The numbers of train, validation and test among a set's images, in the order of its files. DatasetInvalid."""
    try:
        return splits.cut(
            targets.strata(source.pool.labels),
            data.split_seed,
            test=0.0 if source.own_test else data.test_fraction,
            validation=data.validation_fraction if source.validation is None else 0.0,
            train_size=data.train_size,
        )
    except ValueError as error:
        raise DatasetInvalid(f"{data.name}: {error}") from error


def _whole(images: Images, data: Data, classes: NDArray[np.int64], budget: DiskBudget | None) -> list[Part]:
    return _parts(images, [images.numbers()], images.numbers(), data, classes, budget)


def _parts(
    images: Images,
    selections: Sequence[splits.Numbers],
    numbers: splits.Numbers,
    data: Data,
    classes: NDArray[np.int64],
    budget: DiskBudget | None,
) -> list[Part]:
    """A part for each selection of images, at the wanted size, when those of `numbers` were read once, a block at a
    time; an image's label is what `classes` has for its data set's.
    """
    if images.dtype != np.uint8 and (data.image_size is not None or data.augmentation != UNCHANGED):
        raise DatasetInvalid(
            f"{data.name} has no images: leave out dataset.image_size, and let dataset.augmentation be {UNCHANGED}"
        )
    size = images.shape[1:] if data.image_size is None else (data.image_size, data.image_size)
    shape = (*images.shape[:1], *size)
    shares = [
        Share(selection, pixel_storage.array((len(selection), *shape), images.dtype, budget))
        for selection in selections
    ]
    distribute(images, shares, numbers)
    return [
        Part(torch.from_numpy(share.target), torch.from_numpy(targets.merged(images.labels[share.numbers], classes)))
        for share in shares
    ]


def _moments_of(examples: Tensor, inputs: Inputs) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if inputs == "tokens":
        return (), ()
    return moments(examples) if inputs == "images" else feature_moments(examples)


def feature_moments(features: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of features [n, channels, ...] along their first dimension; 1 where one is constant."""
    columns = features.double().transpose(0, 1).flatten(1)
    deviations = columns.std(1, unbiased=False)
    deviations = torch.where(deviations > 1e-12, deviations, torch.ones_like(deviations))
    return tuple(columns.mean(1).tolist()), tuple(deviations.tolist())


def moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Exact per-channel mean and standard deviation by counting grey levels; 1 where a channel is constant."""
    return level_moments(torch.split(images, 1000))


def level_moments(chunks: Iterable[Tensor]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The moments of all images [n, C, H, W] of some chunks together."""
    channel_counts = sum(
        torch.stack([torch.bincount(chunk[:, channel].flatten(), minlength=256) for channel in range(chunk.shape[1])])
        for chunk in chunks
    )
    levels = torch.arange(256, dtype=torch.float64) / 255
    means, deviations = [], []
    for counts in torch.as_tensor(channel_counts).double():
        shares = counts / counts.sum()
        mean = float((shares * levels).sum())
        variance = float((shares * (levels - mean) ** 2).sum())
        means.append(mean)
        deviations.append(math.sqrt(variance) if variance > 1e-12 else 1.0)
    return tuple(means), tuple(deviations)
