"""Preparation of the images that a given teacher looks at: presets by name, and what is known of the one in use."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

Preset = Literal["dataset", "unit", "half", "imagenet"]
PresetName = Literal["dataset", "unit", "half", "imagenet", "measured", "custom"]
Interpolation = Literal["bilinear", "bicubic", "nearest"]
ChannelOrder = Literal["rgb", "bgr", "grey"]
Origin = Literal["spec", "file", "measured"]
Size = tuple[int, ...]

PRESETS: tuple[Preset, ...] = get_args(Preset)
"""In the order in which they are tried; the first is what a teacher is shown where nothing says otherwise."""
SUMMARIES: Mapping[Preset, str] = {
    "dataset": "mean and deviation of the training part, as students have them",
    "unit": "0 to 1, mean 0 and deviation 1",
    "half": "-1 to 1, mean 0.5 and deviation 0.5",
    "imagenet": "ImageNet's mean and deviation of each channel",
}
METADATA = "thermowell.preprocessing"
"""The entry of a safetensors file's metadata that says it, as JSON."""

_MOMENTS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "unit": ((0.0,), (1.0,)),
    "half": ((0.5,), (0.5,)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
_GREY_IMAGENET = ((0.449,), (0.226,))  # the means over its channels


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How pixels become what a teacher takes.

    They are resized, so that `size` divided by `crop` fits into them, and their middle of `size` is kept; brought to
    the channels of `channel_order` (unset: those of the data); scaled from 0..255 to `value_range`; and less `mean`,
    divided by `std` of each channel. A preset but `custom` says the moments itself; `dataset` takes those of the
    training part; `measured` is for what the teacher's file says or else its accuracy on validation.
    """

    preset: PresetName = "dataset"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    value_range: tuple[float, float] = (0.0, 1.0)
    size: Size | None = None
    interpolation: Interpolation = "bilinear"
    crop: float = 1.0
    channel_order: ChannelOrder | None = None

    def shape(self, channels: int, size: Size) -> tuple[int, Size]:
        """Channels and size of what a model takes, from those of the data."""
        counts = {None: channels, "rgb": 3, "bgr": 3, "grey": 1}
        return counts[self.channel_order], self.size or size

    def moments(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation of each of so many channels, of pixels scaled to 0..1. ValueError for `dataset` and
        `measured`, which the data decide, and where their number is wrong.
        """
        if self.preset == "custom":
            low, high = self.value_range
            mean = tuple((value - low) / (high - low) for value in self.mean)
            std = tuple(value / (high - low) for value in self.std)
        elif self.preset in _MOMENTS:
            mean, std = _GREY_IMAGENET if self.preset == "imagenet" and channels == 1 else _MOMENTS[self.preset]
        else:
            raise ValueError(f"{self.preset} has no moments of its own: give mean and std")
        if {len(mean), len(std)} - {1, channels}:
            raise ValueError(f"preprocessing has a mean for {len(mean)} channels, and the model takes {channels}")
        return _each(mean, channels), _each(std, channels)


UNCHANGED = Preprocessing()
"""What students have, and teachers had before anything else could be said."""
MEASURED = Preprocessing("measured")


@dataclass(frozen=True, slots=True)
class Tried:
    """A preset, and what the teacher is worth on validation under it."""

    preset: Preset
    accuracy: float
    nll: float


@dataclass(frozen=True, slots=True)
class PreprocessingFacts:
    """The preprocessing of one teacher, whose place in the spec is `teacher`, and who said it.

    `tried` are the presets that were measured. `clear`: none but the chosen one is as good, or nothing was to choose.
    """

    teacher: str
    preprocessing: Preprocessing
    origin: Origin
    tried: tuple[Tried, ...] = ()
    clear: bool = True


def from_document(document: Mapping[str, Any]) -> Preprocessing:
    """A preprocessing from plain JSON, where a number may stand for equal ones. ValueError where it is none."""
    try:
        values = {**document}
        for name in ("mean", "std", "value_range"):
            if name in values:
                values[name] = tuple(map(float, _listed(values[name], 1)))
        if values.get("size") is not None:
            values["size"] = tuple(map(int, _listed(values["size"], 2)))
        preparation = Preprocessing(**values)
        _check(preparation)
    except (TypeError, KeyError) as error:
        raise ValueError(f"it is no preprocessing: {error}") from error
    return preparation


def _listed(value: Any, count: int) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value] * count


def _check(preparation: Preprocessing) -> None:
    """ValueError, TypeError."""
    mean, std, value_range = preparation.mean, preparation.std, preparation.value_range
    if preparation.preset not in get_args(PresetName) or preparation.preset == "measured":
        raise ValueError(f"there is no preset {preparation.preset!r}")
    if not all(map(math.isfinite, (*mean, *std, *value_range))):
        raise ValueError("mean, std and value_range must be finite numbers")
    if len(value_range) != 2 or value_range[0] >= value_range[1]:
        raise ValueError("value_range must be two numbers that rise")
    if preparation.preset == "custom":
        if not mean or not std:
            raise ValueError(f"it needs a mean and std, or one of the presets {', '.join(PRESETS)}")
        preparation.moments(max(len(mean), len(std)))
        if min(std) <= 0:
            raise ValueError("deviations must be positive")
    size = preparation.size
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError("size must be a height and a width, 1 or more")
    if preparation.interpolation not in get_args(Interpolation) or not 0 < preparation.crop <= 1:
        raise ValueError("interpolation or crop is unknown: see docs/teachers.md for those that there are")
    if preparation.channel_order not in (None, *get_args(ChannelOrder)):
        raise ValueError(f"there is no channel order {preparation.channel_order!r}")


def words(preprocessing: Preprocessing) -> str:
    """It in a few words."""
    name: str = preprocessing.preset
    if preprocessing.preset == "custom":
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (preprocessing.mean, preprocessing.std))
        name = f"mean {mean}, deviation {std}"
        if preprocessing.value_range != (0.0, 1.0):
            name += f" of {preprocessing.value_range[0]:g} to {preprocessing.value_range[1]:g}"
    parts = [name]
    if preprocessing.size is not None:
        parts.append(f"{preprocessing.size[0]} x {preprocessing.size[1]} pixels ({preprocessing.interpolation})")
    if preprocessing.crop != 1:
        parts.append(f"crop {preprocessing.crop:g}")
    return ", ".join([*parts, *([preprocessing.channel_order] if preprocessing.channel_order else [])])


def _each(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    return values * channels if len(values) == 1 else values
