"""The augmentations: how images are moved, and how they are mixed afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trainers.registry import lookup, plugins

Moving = Literal["none", "shift", "crop", "crop_flip"]
Mix = Literal["mixup", "cutmix"]


@dataclass(frozen=True, slots=True)
class AugmentationRecord:
    """An augmentation by name: how images are moved, and mixed where `mix` is given."""

    name: str
    summary: str
    moving: Moving
    mix: Mix | None = None


AUGMENTATIONS: Mapping[str, AugmentationRecord] = {
    record.name: record
    for record in (
        AugmentationRecord("none", "every view is the image itself", "none"),
        AugmentationRecord(
            "shift", "moved by up to one pixel per 16, at least 1, the border filled with black", "shift"
        ),
        AugmentationRecord(
            "crop", "cropped back to its size from a black padding of one pixel per 8, at least 1", "crop"
        ),
        AugmentationRecord("crop_flip", "crop, and mirrored half of the time", "crop_flip"),
        AugmentationRecord(
            "mixup",
            "the weighted mean of two images and their labels, weights uniform (Zhang et al. 2018, arXiv:1710.09412)",
            "none",
            "mixup",
        ),
        AugmentationRecord(
            "cutmix",
            "a box of another image, and its share of the label, sizes uniform (Yun et al. 2019, arXiv:1905.04899)",
            "none",
            "cutmix",
        ),
        AugmentationRecord("crop_flip_mixup", "crop_flip, then mixup", "crop_flip", "mixup"),
        AugmentationRecord("crop_flip_cutmix", "crop_flip, then cutmix", "crop_flip", "cutmix"),
    )
}
UNCHANGED = next(iter(AUGMENTATIONS))
"""The augmentation that leaves images as they are."""


def get(name: str) -> AugmentationRecord:
    """The record of that name; a plugin's augmentation neither moves nor mixes images otherwise. NameUnknown."""
    if plugins.is_plugin(name):
        plugin = plugins.known("augmentation", name)
        return AugmentationRecord(name, "" if plugin is None else plugin.declaration.summary, "none")
    return lookup.find("augmentation", name, AUGMENTATIONS)
