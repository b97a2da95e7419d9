"""Which data sets, models, optimizers, schedules, augmentations, losses and objectives exist, and which arguments they
take. Plain data, free of torch, so that an API without torch refuses an unknown name at once.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trainers.spec import Argument
from trainers.superclasses import SUPERCLASSES as SUPERCLASSES
from trainers.torchvision_names import TORCHVISION_MODELS

TIMM_PREFIX = "timm:"


MOST = 1e300
"""No argument is larger; whole numbers may have any number of digits, and no float would hold them."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a model: low <= value <= high; an int also lies on the grid low, low + stride, ..."""

    kind: Literal["int", "float"]
    default: float
    low: float
    high: float
    summary: str
    stride: int = 1

    def problem(self, value: Argument) -> str | None:
        """Why `value` is not allowed, or None."""
        number = isinstance(value, int if self.kind == "int" else (int, float)) and not isinstance(value, bool)
        if not number or not abs(value) <= MOST:  # type: ignore[arg-type]  # a number, and not NaN
            return f"must be {'a whole number' if self.kind == 'int' else 'a number'}, got {value!r}"
        if not self.low <= float(value) <= self.high:
            return f"must be between {self.low:g} and {self.high:g}, got {value}"
        if self.kind == "int" and (int(value) - int(self.low)) % self.stride:
            first = ", ".join(str(int(self.low) + i * self.stride) for i in range(4))
            return f"must be one of {first}, ... (up to {self.high:g}), got {value}"
        return None


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model family of this project and its arguments."""

    name: str
    summary: str
    arguments: Mapping[str, Parameter]


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """A data set; None where it depends on the files. `fetched_by`: nothing where it is installed.

    `photos` are of varied size: they are resized to `size` unless the spec says another image_size.
    """

    name: str
    summary: str
    channels: int | None
    size: int | None
    classes: int | None
    own_test_part: bool | None
    fetched_by: Literal["nothing", "torchvision", "yourself"]
    photos: bool = False


def _dropout() -> Parameter:
    return Parameter(
        "float", 0.0, 0.0, 0.95, "probability of zeroing an activation; its masks depend on the seed alone"
    )


def _by_name(entries: Iterable[ModelEntry]) -> dict[str, ModelEntry]:
    return {entry.name: entry for entry in entries}


MODELS: Mapping[str, ModelEntry] = _by_name(
    (
        ModelEntry(
            "mlp",
            "Fully connected: flattened pixels, `depth` hidden layers of `width` with ReLU, a linear head.",
            {
                "width": Parameter("int", 64, 1, 8192, "units of each hidden layer"),
                "depth": Parameter("int", 1, 1, 16, "hidden layers"),
                "dropout": _dropout(),
            },
        ),
        ModelEntry(
            "cnn",
            "Plain convolutional: `depth` blocks of 3x3 convolution, batch norm, ReLU and pooling, a linear head.",
            {
                "width": Parameter(
                    "int", 32, 1, 1024, "channels of the first block; doubles per block, at most 8-fold"
                ),
                "depth": Parameter("int", 3, 1, 8, "blocks"),
                "dropout": _dropout(),
            },
        ),
        ModelEntry(
            "resnet",
            "CIFAR-style residual network (He et al. 2016, arXiv:1512.03385, section 4.2): 6n+2 layers. "
            "width 4 at depth 8 and 32 is the ResNet8x4 and ResNet32x4 of the distillation papers.",
            {
                "depth": Parameter("int", 20, 8, 110, "layers, 6n+2", stride=6),
                "width": Parameter("int", 1, 1, 16, "multiplies the stages' 16, 32, 64 channels"),
                "dropout": _dropout(),
            },
        ),
        ModelEntry(
            "wrn",
            "Wide residual network (Zagoruyko & Komodakis 2016, arXiv:1605.07146): 6n+4 layers.",
            {
                "depth": Parameter("int", 16, 10, 100, "layers, 6n+4", stride=6),
                "width": Parameter("int", 2, 1, 16, "multiplies the groups' 16, 32, 64 channels"),
                "dropout": _dropout(),
            },
        ),
    )
)

DATASETS: Mapping[str, DatasetEntry] = {
    entry.name: entry
    for entry in (
        DatasetEntry("digits", "scikit-learn's 1,797 handwritten digits", 1, 8, 10, False, "nothing"),
        DatasetEntry("MNIST", "70,000 handwritten digits", 1, 28, 10, True, "torchvision"),
        DatasetEntry("FashionMNIST", "70,000 pictures of clothes", 1, 28, 10, True, "torchvision"),
        DatasetEntry("CIFAR10", "60,000 small photographs", 3, 32, 10, True, "torchvision"),
        DatasetEntry("CIFAR100", "60,000 small photographs", 3, 32, 100, True, "torchvision"),
        DatasetEntry("SVHN", "99,289 house numbers", 3, 32, 10, True, "torchvision"),
        DatasetEntry("STL10", "13,000 labelled photographs", 3, 96, 10, True, "torchvision"),
        DatasetEntry("Flowers102", "8,189 photographs of flowers", 3, 64, 102, True, "torchvision", photos=True),
        DatasetEntry("OxfordIIITPet", "7,349 photographs of pets", 3, 64, 37, True, "torchvision", photos=True),
        DatasetEntry("Food101", "101,000 photographs of dishes", 3, 64, 101, True, "torchvision", photos=True),
        DatasetEntry(
            "image_folder",
            "A folder per class below `path`, or below its train/ and test/",
            *(3, 64, None, None, "yourself"),
            photos=True,
        ),
        DatasetEntry(
            "npz",
            "An npz file at `path`: images (uint8, NHWC, NCHW or NHW) and labels; test_images and test_labels, or not",
            *(None, None, None, None, "yourself"),
        ),
        DatasetEntry(
            "replay",
            "A table of recorded runs at `path`: its students are shown again, not trained",
            *(None, None, None, None, "yourself"),
        ),
    )
}

OPTIMIZERS: Mapping[str, tuple[str, ...]] = {
    "sgd": ("learning_rate", "weight_decay", "momentum", "nesterov"),
    "adam": ("learning_rate", "weight_decay"),
    "adamw": ("learning_rate", "weight_decay"),
}

SCHEDULES: Mapping[str, str] = {
    "constant": "the optimizer's learning rate throughout",
    "cosine": "half a cosine from the optimizer's learning rate to 0",
    "step": "multiplied by step_factor at each of step_epochs",
}

AUGMENTATIONS: Mapping[str, str] = {
    "none": "every view is the image itself",
    "shift": "moved by up to one pixel per 16, at least 1, the border filled with black",
    "crop": "cropped back to its size from a black padding of one pixel per 8, at least 1",
    "crop_flip": "crop, and mirrored half of the time",
    "mixup": "the weighted mean of two images and their labels, weights uniform (Zhang et al. 2018, arXiv:1710.09412)",
    "cutmix": "a box of another image, and its share of the label, sizes uniform (Yun et al. 2019, arXiv:1905.04899)",
    "crop_flip_mixup": "crop_flip, then mixup",
    "crop_flip_cutmix": "crop_flip, then cutmix",
}

LOSSES: Mapping[str, str] = {
    "kl": "kd_weight * T_t * T_s * KL(teacher || student) at T + label_weight * cross entropy, both at batchmean "
    "(Hinton et al. 2015, arXiv:1503.02531)",
    "zscore": "kl of logits with mean 0 and deviation 1 for each image (Sun et al. 2024, arXiv:2403.01427)",
    "dkd": "kl in two parts: alpha * (target or not) + beta * (which of the others) (Zhao et al. 2022, "
    "arXiv:2203.08679)",
    "mse": "mean squared difference of the logits in the place of kl; T says nothing (Kim et al. 2021, "
    "arXiv:2105.08919)",
    "dist": "1 - correlation of the softmaxes at T, beta * over classes + gamma * over images (Huang et al. 2022, "
    "arXiv:2205.10536)",
    "ctkd": "kl at a T that each student learns, by a reversed gradient, from space.temperature on (Li et al. 2022, "
    "arXiv:2211.16231)",
}

TEMPERATURE_SCHEDULES: Mapping[str, str] = {
    "constant": "T is space.temperature throughout",
    "linear": "in equal steps from space.temperature to space.final_temperature",
    "cosine": "half a cosine from the one to the other",
    "step": "the one, and after step_at of the training the other",
}

OBJECTIVES: Mapping[str, Literal["maximize", "minimize"]] = {
    "accuracy": "maximize",
    "nll": "minimize",
    "ece": "minimize",
}


def check_model(name: str, arguments: Mapping[str, Argument]) -> list[str]:
    """What is wrong with a model's name or arguments, in sentences; empty where nothing is.

    Names that begin with `timm:` are taken on trust: only a worker knows whether timm is installed and has them.
    """
    if name.startswith(TIMM_PREFIX) and len(name) > len(TIMM_PREFIX):
        return _no_arguments(name, arguments)
    if name in TORCHVISION_MODELS:
        return _no_arguments(name, arguments)
    entry = MODELS.get(name)
    if entry is None:
        return [_unknown("model", name, [*MODELS, *TORCHVISION_MODELS], also="or timm:NAME")]
    problems = []
    for key, value in arguments.items():
        if key not in entry.arguments:
            problems.append(_unknown(f"argument of {name}", key, entry.arguments))
        elif problem := entry.arguments[key].problem(value):
            problems.append(f"{key} {problem}")
    return problems


def model_arguments(name: str, arguments: Mapping[str, Argument]) -> dict[str, Argument]:
    """`arguments` completed by the defaults of one of this project's own models."""
    defaults: dict[str, Argument] = {
        key: int(parameter.default) if parameter.kind == "int" else parameter.default
        for key, parameter in MODELS[name].arguments.items()
    }
    return {**defaults, **arguments}


def check_dataset(name: str) -> list[str]:
    """What is wrong with a data set's name, in sentences; empty where nothing is."""
    return [] if name in DATASETS else [_unknown("data set", name, DATASETS)]


def describe() -> dict[str, Any]:
    """Everything above as plain JSON, for the API's catalogue."""
    return {
        "datasets": [dataclasses.asdict(entry) for entry in DATASETS.values()],
        "models": [
            *(dataclasses.asdict(entry) | {"source": "thermowell"} for entry in MODELS.values()),
            *({"name": name, "summary": "", "arguments": {}, "source": "torchvision"} for name in TORCHVISION_MODELS),
        ],
        "model_prefixes": {TIMM_PREFIX: "any classification model of timm, on workers that have timm installed"},
        "optimizers": {name: list(settings) for name, settings in OPTIMIZERS.items()},
        "schedules": dict(SCHEDULES),
        "augmentations": dict(AUGMENTATIONS),
        "losses": dict(LOSSES),
        "temperature_schedules": dict(TEMPERATURE_SCHEDULES),
        "objectives": dict(OBJECTIVES),
    }


def _no_arguments(name: str, arguments: Mapping[str, Argument]) -> list[str]:
    return [f"{name} takes no arguments, got {', '.join(sorted(arguments))}"] if arguments else []


def _unknown(what: str, name: str, known: Iterable[str], also: str = "") -> str:
    names = list(known)
    lowered = {candidate.lower(): candidate for candidate in names}
    near = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names[:12])}"
    return f"unknown {what} {name!r}: {hint}" + (f" ({also})" if also and not near else "")
