"""What files say of how a teacher's images are prepared: our own metadata, and what timm, Hugging Face and torchvision
keep beside weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trainers import preprocessing
from trainers.errors import TeacherInvalid
from trainers.preprocessing import Preprocessing
from trainers.spec import to_jsonable
from trainers.torchvision_names import TORCHVISION_MODELS

_WARPED = 384  # pixels, from which on ConvNeXt's processor resizes and crops nothing
_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}  # Pillow's numbers
_NEAREST_KIN = {"lanczos": "bicubic", "hamming": "bilinear", "box": "bilinear"}
_TRANSFORMED = ("inception_v3", "googlenet")
"""Models of torchvision's that, with published weights, bring images prepared for ImageNet to -1..1 themselves."""
_PROCESSOR = frozenset({"image_mean", "do_normalize", "do_rescale", "do_resize", "do_flip_channel_order", "size"})
_OF_TIMM, _OF_HUGGING_FACE = "config.json", "preprocessor_config.json"


def stated(path: Path, model: str, metadata: Mapping[str, str]) -> Preprocessing | None:
    """What the file, or one that lies beside it, says of how images are prepared; None where nothing does.

    In this order: our own metadata; timm's `config.json` (`pretrained_cfg`); Hugging Face's
    `preprocessor_config.json`; and, of a file that torchvision publishes, the transforms of those weights.
    TeacherInvalid where what they say cannot be followed.
    """
    if preprocessing.METADATA in metadata:
        return _followed(lambda: preprocessing.from_document(json.loads(metadata[preprocessing.METADATA])), path.name)
    config = _json(path.with_name(_OF_TIMM))
    config = config.get("pretrained_cfg") or config
    if isinstance(config, Mapping) and "mean" in config and "std" in config:
        return _followed(lambda: of_timm(config), _OF_TIMM)
    processor = _json(path.with_name(_OF_HUGGING_FACE))
    if says_something(processor):
        return _followed(lambda: of_hugging_face(processor), _OF_HUGGING_FACE)
    return of_torchvision(path, model)


def says_something(processor: Mapping[str, Any]) -> bool:
    """Whether a document is Hugging Face's of an image processor."""
    return bool(_PROCESSOR & processor.keys())


def of_timm(config: Mapping[str, Any]) -> Preprocessing:
    """timm's pretrained_cfg: input_size [C, H, W], crop_pct, interpolation, mean and std of 0..1."""
    *channels, height, width = config.get("input_size") or (3, 224, 224)
    return Preprocessing(
        "custom",
        mean=_numbers(config["mean"]),
        std=_numbers(config["std"]),
        size=(int(height), int(width)),
        crop=float(config.get("crop_pct") or 1.0),
        interpolation=_interpolation(config.get("interpolation") or "bilinear"),
        channel_order="grey" if channels == [1] else None,
    )


def of_hugging_face(processor: Mapping[str, Any]) -> Preprocessing:
    """Hugging Face's image processor: size, crop_size, resample (Pillow's number), rescaling, image_mean and image_std.

    ValueError where it cannot be followed.
    """
    size, crop = _frame(processor)
    mean, std = _moments(processor)
    factor = float(processor.get("rescale_factor", 1 / 255)) if processor.get("do_rescale", True) else 1.0
    low = -1.0 if processor.get("do_rescale", True) and processor.get("rescale_offset") else 0.0
    return Preprocessing(
        "custom",
        mean=mean,
        std=std,
        value_range=(low, low + factor * 255),
        size=size,
        crop=crop,
        interpolation=_interpolation(2 if processor.get("resample") is None else processor["resample"]),
        channel_order="bgr" if processor.get("do_flip_channel_order") else None,
    )


def of_torchvision(path: Path, name: str) -> Preprocessing | None:
    """The transforms of torchvision's published weights of that model, where this is their file; else None."""
    if name not in TORCHVISION_MODELS:
        return None
    import torchvision

    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    for published in torchvision.models.get_model_weights(name):
        prefix = Path(published.url).stem.rpartition("-")[2]
        if len(prefix) >= 8 and digest.startswith(prefix):
            return of_transforms(published.transforms(), name)
    return None


def of_transforms(transforms: Any, name: str) -> Preprocessing:
    """torchvision's ImageClassification for a model: resize_size, crop_size, interpolation, mean and std of 0..1."""
    (cropped,), (whole,) = transforms.crop_size, transforms.resize_size
    mean, std = (((0.5,) * 3,) * 2) if name in _TRANSFORMED else (tuple(transforms.mean), tuple(transforms.std))
    return Preprocessing(
        "custom",
        mean=mean,
        std=std,
        size=(cropped, cropped),
        crop=cropped / whole,
        interpolation=_interpolation(transforms.interpolation.value),
    )


def _frame(processor: Mapping[str, Any]) -> tuple[tuple[int, int] | None, float]:
    """The size of the images that the model takes, None for that of the data, and their share of the resized ones."""
    is_resized, is_cropped = processor.get("do_resize", True), processor.get("do_center_crop", False)
    if not is_resized:
        if is_cropped:
            raise ValueError("it crops images without resizing them, which depends on theirs: give size and crop")
        return None, 1.0
    whole = _sides(processor.get("size", 224))
    kind = str(processor.get("image_processor_type") or processor.get("feature_extractor_type"))
    frame = _sides(processor.get("crop_size") or processor.get("size", 224)) if is_cropped else whole
    share = processor.get("crop_pct")
    if kind.startswith("Levit"):
        whole = (int(256 / 224 * whole[0]), int(256 / 224 * whole[1]))
    elif share and max(frame) == max(whole) < _WARPED:  # ConvNeXt's and PoolFormer's processors crop by it
        whole = (int(whole[0] / share), int(whole[1] / share))
    return frame, max(frame) / max(whole)


def _moments(processor: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    mean, std = (processor.get(name) for name in ("image_mean", "image_std"))
    never = "do_flip_channel_order" in processor  # MobileViT's normalizes nothing, whatever means it has
    is_normalised = processor.get("do_normalize", mean is not None and not never)
    again = processor.get("include_top", False)  # EfficientNet's processor divides by the deviations once more
    if (is_normalised and (mean is None or std is None)) or (again and std is None):
        raise ValueError("it normalizes, and has no image_mean and image_std")
    means, deviations = (_numbers(mean), _numbers(std)) if is_normalised else ((0.0,), (1.0,))
    if again:
        factors = _numbers(std)
        deviations = tuple(a * b for a, b in zip(deviations * (len(factors) // len(deviations)), factors, strict=True))
    return means, deviations


def _followed(make: Callable[[], Preprocessing], name: str) -> Preprocessing:
    try:
        return preprocessing.from_document(to_jsonable(make()))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TeacherInvalid(
            f"what {name} says of images cannot be followed: {error}. Say with --preprocessing how they are prepared"
        ) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _sides(size: Any) -> tuple[int, int]:
    """Height and width, of a shorter side the square that it makes. ValueError."""
    if isinstance(size, Mapping):
        side = size.get("shortest_edge")
        size = (size.get("height"), size.get("width")) if side is None else side
    sides = list(size) if isinstance(size, list | tuple) else [size, size]
    if len(sides) != 2 or any(isinstance(side, bool) or not isinstance(side, int | float) for side in sides):
        raise ValueError(f"{size} is no height and width: give size")
    return int(sides[0]), int(sides[1])


def _numbers(values: Any) -> tuple[float, ...]:
    """One number, or one of each channel. ValueError, TypeError."""
    return tuple(map(float, values)) if isinstance(values, list | tuple) else (float(values),)


def _interpolation(method: Any) -> Any:
    """Ours that is nearest to Pillow's, timm's or torchvision's, by its number or its name."""
    name = _RESAMPLING.get(method, "bilinear") if isinstance(method, int) else str(method).lower()
    name = _NEAREST_KIN.get(name, name)
    return name if name in ("bilinear", "bicubic", "nearest") else "bicubic"
