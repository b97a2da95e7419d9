"""The model families of this project and their arguments: one record each, bound to torch in `trainers.zoo.models`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from thermowell.plugin import MOST as MOST
from thermowell.plugin import Argument as Argument
from thermowell.plugin import Parameter as Parameter

Kind = Literal["dense", "convolutional"]


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model family of this project and its arguments."""

    name: str
    summary: str
    arguments: Mapping[str, Parameter]
    kind: Kind = "convolutional"


def _dropout() -> Parameter:
    return Parameter(
        "float", 0.0, 0.0, 0.95, "probability of zeroing an activation; its masks depend on the seed alone"
    )


def _by_name(entries: Iterable[ModelRecord]) -> dict[str, ModelRecord]:
    return {entry.name: entry for entry in entries}


MODELS: Mapping[str, ModelRecord] = _by_name(
    (
        ModelRecord(
            "mlp",
            "Fully connected: flattened pixels, `depth` hidden layers of `width` with ReLU, a linear head.",
            {
                "width": Parameter("int", 64, 1, 8192, "units of each hidden layer"),
                "depth": Parameter("int", 1, 1, 16, "hidden layers"),
                "dropout": _dropout(),
            },
            kind="dense",
        ),
        ModelRecord(
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
        ModelRecord(
            "resnet",
            "CIFAR-style residual network (He et al. 2016, arXiv:1512.03385, section 4.2): 6n+2 layers. "
            "width 4 at depth 8 and 32 is the ResNet8x4 and ResNet32x4 of the distillation papers.",
            {
                "depth": Parameter("int", 20, 8, 110, "layers, 6n+2", stride=6),
                "width": Parameter("int", 1, 1, 16, "multiplies the stages' 16, 32, 64 channels"),
                "dropout": _dropout(),
            },
        ),
        ModelRecord(
            "wrn",
            "Wide residual network (Zagoruyko & Komodakis 2016, arXiv:1605.07146): 6n+4 layers.",
            {
                "depth": Parameter("int", 16, 10, 100, "layers, 6n+4", stride=6),
                "width": Parameter("int", 2, 1, 16, "multiplies the groups' 16, 32, 64 channels"),
                "dropout": _dropout(),
            },
        ),
        ModelRecord(
            "efficientnet_lite",
            "EfficientNet-Lite (arXiv:1905.11946 without squeeze-and-excitation, with ReLU6), for photographs: "
            "made for 224, 240, 260, 280 and 300 pixels.",
            {
                "variant": Parameter("int", 0, 0, 4, "0 the smallest, with 4.7 million weights for 1,000 classes"),
                "dropout": _dropout(),
            },
        ),
    )
)
