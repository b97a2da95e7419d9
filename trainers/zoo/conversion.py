"""Files of weights as people have them, read without anybody's code and brought to a model's own names.

Pickled files are read with `weights_only=True`: tensors and plain containers alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainers import preprocessing
from trainers.errors import TeacherInvalid
from trainers.preprocessing import Preprocessing
from trainers.spec import Model
from trainers.torchvision_names import TORCHVISION_MODELS
from trainers.zoo import heads, models, weights

WRAPPERS = ("state_dict", "model", "model_ema", "model_state_dict", "state_dict_ema", "net", "network", "weights")
"""Keys below which training scripts put the tensors; of several the first that is there."""
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.")
"""What wrappers of a model put before every name."""
_SHOWN = 5
_WARPED = 384  # pixels, from which on ConvNeXt's processor resizes and crops nothing
_DENSE = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")  # names of torchvision's before 2018
_UNREADABLE = (OSError, RuntimeError, ValueError, EOFError, KeyError, AttributeError, TypeError)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a file's tensors: which of the model's are filled, missing or of another shape, and the rest."""

    matched: int
    missing: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()
    other_shape: tuple[str, ...] = ()
    unwrapped: tuple[str, ...] = ()
    classes: int | None = None
    preprocessing: str | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def whole(self) -> bool:
        """Whether the model is filled."""
        return not (self.missing or self.other_shape)

    def lines(self) -> list[str]:
        """It in words, a line each."""
        lines = [f"matched: {self.matched} tensors"]
        for name in ("missing", "other_shape", "left_over"):
            names = getattr(self, name)
            if names:
                more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
                lines.append(f"{name.replace('_', ' ')}: {', '.join(names[:_SHOWN])}{more}")
        if self.unwrapped:
            lines.append(f"unwrapped: {', '.join(self.unwrapped)}")
        if self.classes is not None:
            lines.append(f"classes: {self.classes}")
        if self.preprocessing is not None:
            lines.append(f"preprocessing: {self.preprocessing}")
        return [*lines, *self.notes]


def read(path: Path) -> tuple[dict[str, Tensor], tuple[str, ...], dict[str, str]]:
    """A file's tensors by name, what they were unwrapped from, and what the file says of itself. TeacherInvalid."""
    if path.suffix == ".safetensors" or _is_safetensors(path):
        content: Any = weights.load(path)
        metadata = weights.metadata(path)
    else:
        content, metadata = _unpickled(path), {}
    unwrapped: list[str] = []
    while isinstance(content, Mapping):
        inner = next((key for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        unwrapped.append(inner)
        content = content[inner]
    if not isinstance(content, Mapping):
        raise TeacherInvalid(
            f"{path.name} holds a {type(content).__name__}, no tensors by name: save model.state_dict()"
        )
    tensors = {str(name): tensor.detach() for name, tensor in content.items() if isinstance(tensor, Tensor)}
    if not tensors:
        raise TeacherInvalid(f"{path.name} holds no tensors; it has {', '.join(map(str, list(content)[:_SHOWN]))}")
    return tensors, tuple(unwrapped), metadata


def mapped(
    tensors: Mapping[str, Tensor], model: Model, channels: int, size: tuple[int, ...]
) -> tuple[dict[str, Tensor], Report]:
    """The tensors under the model's own names, whatever stands before theirs, and what became of each.

    The model has as many classes as its head in the file. ModelUnavailable where there is no such model.
    """
    stripped, prefixes = _stripped(tensors, set(models.build(model, channels, size, 2, seed=0).state_dict()))
    classes = heads.classes_of(stripped, model, channels, size)
    expected = models.build(model, channels, size, classes or 2, seed=0).state_dict()
    filled = {
        name: stripped[name] for name in expected if name in stripped and stripped[name].shape == expected[name].shape
    }
    wrong = tuple(
        f"{name} {list(stripped[name].shape)} for {list(expected[name].shape)}"
        for name in expected
        if name in stripped and name not in filled
    )
    # counters that norms of older files lack say nothing in evaluation
    for name, tensor in expected.items():
        if name not in stripped and name.endswith("num_batches_tracked"):
            filled[name] = tensor
    report = Report(
        matched=len(filled),
        missing=tuple(name for name in expected if name not in filled and name not in stripped),
        left_over=tuple(sorted(set(stripped) - set(expected))),
        other_shape=wrong,
        unwrapped=prefixes,
        classes=classes,
    )
    return filled, report


def stated(path: Path, model: Model, metadata: Mapping[str, str]) -> Preprocessing | None:
    """What the file, or one that lies beside it, says of how images are prepared; None where nothing does.

    In this order: our own metadata; timm's `config.json` (`pretrained_cfg`); Hugging Face's
    `preprocessor_config.json`; and, of a file that torchvision publishes, the transforms of those weights.
    """
    if preprocessing.METADATA in metadata:
        return preprocessing.from_document(json.loads(metadata[preprocessing.METADATA]))
    config = _json(path.with_name("config.json"))
    config = config.get("pretrained_cfg", config)
    if "mean" in config and "std" in config:
        return of_timm(config)
    processor = _json(path.with_name("preprocessor_config.json"))
    if "image_mean" in processor:
        return of_hugging_face(processor)
    return of_torchvision(path, model.name)


def of_timm(config: Mapping[str, Any]) -> Preprocessing:
    """timm's pretrained_cfg: input_size [C, H, W], crop_pct, interpolation, mean and std of 0..1."""
    _, height, width = config.get("input_size", (3, 224, 224))
    return Preprocessing(
        "custom",
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        size=(int(height), int(width)),
        crop=float(config.get("crop_pct") or 1.0),
        interpolation=_interpolation(config.get("interpolation", "bilinear")),
    )


def of_hugging_face(processor: Mapping[str, Any]) -> Preprocessing:
    """Hugging Face's image processor: size, crop_size, resample (Pillow's number), image_mean and image_std."""
    factor = float(processor.get("rescale_factor", 1 / 255)) if processor.get("do_rescale", True) else 1.0
    whole = _side(processor.get("size", 224))
    cropped = _side(processor.get("crop_size", whole)) if processor.get("do_center_crop") else whole
    share = processor.get("crop_pct")
    if share and cropped == whole < _WARPED:  # ConvNeXt's processor crops by it
        whole = int(whole / share)
    resized = processor.get("do_resize", True)
    normalised = processor.get("do_normalize", True)
    return Preprocessing(
        "custom",
        mean=tuple(processor["image_mean"]) if normalised else (0.0,),
        std=tuple(processor["image_std"]) if normalised else (1.0,),
        value_range=(0.0, factor * 255),
        size=(cropped, cropped) if resized or processor.get("do_center_crop") else None,
        crop=cropped / whole if resized else 1.0,
        interpolation={0: "nearest", 3: "bicubic"}.get(processor.get("resample", 2), "bilinear"),  # type: ignore[arg-type]
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
            return of_transforms(published.transforms())
    return None


def of_transforms(transforms: Any) -> Preprocessing:
    """torchvision's ImageClassification: resize_size, crop_size, interpolation, mean and std of 0..1."""
    (cropped,), (whole,) = transforms.crop_size, transforms.resize_size
    return Preprocessing(
        "custom",
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        size=(cropped, cropped),
        crop=cropped / whole,
        interpolation=_interpolation(transforms.interpolation.value),
    )


def _stripped(tensors: Mapping[str, Tensor], expected: set[str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors without what wrappers put before names that are the model's; others keep theirs."""
    renamed: dict[str, Tensor] = {}
    prefixes: dict[str, None] = {}
    for name, tensor in tensors.items():
        bare, dropped = _DENSE.sub(r"\1\2", name), list[str]()
        while bare not in expected and (prefix := next(filter(bare.startswith, PREFIXES), None)):
            bare = bare.removeprefix(prefix)
            dropped.append(prefix)
        if bare in expected:
            prefixes |= dict.fromkeys(dropped)
        renamed[bare if bare in expected else name] = tensor
    return renamed, tuple(prefixes)


def _unpickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise TeacherInvalid(f"there is no file {path}") from error
    except _UNREADABLE as error:
        raise TeacherInvalid(_why(path, error)) from error
    except Exception as error:  # pickle's own errors are many
        raise TeacherInvalid(_why(path, error)) from error


def _why(path: Path, error: Exception) -> str:
    text = str(error)
    if "weights_only" in text.lower() or "Unsupported" in text or "WeightsUnpickler" in text:
        return (
            f"{path.name} holds objects besides tensors, which are not read, for they could run code: "
            "where it was saved, save model.state_dict() alone"
        )
    return (
        f"{path.name} is no file of weights that torch reads: {text.splitlines()[0] if text else type(error).__name__}"
    )


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: a length, and a JSON object."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError:
        return False
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def _json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _side(size: Any) -> int:
    if isinstance(size, Mapping):
        size = size.get("shortest_edge") or size.get("height") or size.get("width")
    return int(size)


def _interpolation(name: str) -> Any:
    return name if name in ("bilinear", "bicubic", "nearest") else "bicubic"
