"""The winner as a configuration of mdistiller (github.com/megvii-research/mdistiller): `tools/train.py --cfg FILE`.

Its loss is the same, CE_WEIGHT * cross entropy + KD_WEIGHT * T^2 * KL at batchmean; its keys are typed by yacs, its
trainer knows one optimizer, and its learning rate falls in steps of one factor.
"""

from __future__ import annotations

import math
from typing import Any

import yaml

from service.exports.winner import Winner, describe_model, differences, head, without_model
from trainers.registry import augmentations, datasets, optimizers
from trainers.spec import Configuration

RESNETS = {(8, 1), (14, 1), (20, 1), (32, 1), (44, 1), (56, 1), (110, 1), (8, 4), (32, 4)}  # (depth, width)
WIDE_RESNETS = {(16, 1), (16, 2), (40, 1), (40, 2)}
KNOWN = next(record.key for record in optimizers.OPTIMIZERS.values() if record.mdistiller)
"""The one optimizer that its trainer makes."""
HALVINGS = 6  # of a cosine's learning rate; after them it is below 2 %
HOW = "Use it with: python tools/train.py --cfg FILE"


def export(winner: Winner) -> str:
    """The YAML, which mdistiller's own defaults complete."""
    configuration, training = winner.configuration, winner.spec.training
    unsaid = differences(winner)
    stages, rate = _steps(winner, unsaid)
    document: dict[str, Any] = {
        "EXPERIMENT": {"PROJECT": "thermowell", "NAME": "", "TAG": f"kd,{winner.spec.name}"},
        "DATASET": {"TYPE": _dataset(winner, unsaid)},
        "DISTILLER": {
            "TYPE": "KD",
            "TEACHER": _model(winner.spec.built_in_parts.teacher.model, winner, "TEACHER", unsaid),
            "STUDENT": _model(winner.spec.built_in_parts.student, winner, "STUDENT", unsaid),
        },
        "SOLVER": {
            "BATCH_SIZE": training.batch_size,
            "EPOCHS": training.epochs,
            "LR": float(configuration.known_optimizer.learning_rate),
            "LR_DECAY_STAGES": stages,
            "LR_DECAY_RATE": rate,
            "WEIGHT_DECAY": float(configuration.known_optimizer.weight_decay),
            "MOMENTUM": float(configuration.known_optimizer.momentum),
            "TYPE": _optimizer(configuration, unsaid),
        },
        "KD": {
            "TEMPERATURE": _temperature(configuration, unsaid),
            "LOSS": {"CE_WEIGHT": float(configuration.label_weight), "KD_WEIGHT": float(configuration.kd_weight)},
        },
        "LOG": {"WANDB": False},
    }
    return head(winner, "mdistiller", HOW, unsaid) + yaml.safe_dump(document, sort_keys=False)


def _temperature(configuration: Configuration, unsaid: list[str]) -> int:
    """A whole number: yacs takes no other type than the default's."""
    rounded = max(1, round(configuration.temperature))
    if rounded != configuration.temperature:
        unsaid.append(
            f"T was {configuration.temperature:.4g}; mdistiller's T is a whole number. To have it exactly, write "
            "`CFG.KD.TEMPERATURE = 4.0` in mdistiller/engine/cfg.py and the number itself below."
        )
    return rounded


def _steps(winner: Winner, unsaid: list[str]) -> tuple[list[int], float]:
    """After which epochs the learning rate is multiplied, and by what."""
    schedule, epochs = winner.spec.training.schedule, winner.spec.training.epochs
    if schedule.name == "step":
        return list(schedule.step_epochs), schedule.step_factor
    if schedule.name == "constant":
        return [], 1.0
    unsaid.append(
        "The learning rate followed half a cosine to 0; here it is halved where that cosine is halfway "
        "(geometrically) between two halvings."
    )
    halfway = [0.5 ** (halving - 0.5) for halving in range(1, HALVINGS + 1)]
    return [round(epochs * math.acos(2 * factor - 1) / math.pi) for factor in halfway], 0.5


def _optimizer(configuration: Configuration, unsaid: list[str]) -> str:
    record = optimizers.get(configuration.known_optimizer.name)
    name = record.key
    if name != KNOWN:
        momentum = "MOMENTUM is its own." if "momentum" in record.setting_names() else "MOMENTUM says nothing to it."
        unsaid.append(
            f"mdistiller's trainer knows {KNOWN} alone and refuses {name}: add {record.package}.{name} to "
            f"`init_optimizer` in mdistiller/engine/trainer.py. {momentum}"
        )
    elif configuration.known_optimizer.nesterov:
        unsaid.append("Momentum was Nesterov's: add nesterov=True to `init_optimizer` in mdistiller/engine/trainer.py.")
    return name


def _dataset(winner: Winner, unsaid: list[str]) -> str:
    dataset = winner.spec.built_in_parts.dataset
    name = datasets.get(dataset.name).mdistiller
    if name is None:
        unsaid.append(f"mdistiller has no data set {dataset.name}: add it to mdistiller/dataset under this name.")
        return dataset.name.lower()
    if augmentations.get(dataset.augmentation).moving != "crop_flip":
        unsaid.append(f"Images were augmented by {dataset.augmentation!r}; mdistiller crops and mirrors them.")
    return name


def _model(model: Any, winner: Winner, role: str, unsaid: list[str]) -> str:
    """mdistiller's name of a model; where it has none, ours, which its trainer refuses until it is added."""
    if model is None:
        unsaid.append(without_model(winner.spec, role))
        return "NAME_IT"
    size = (model.arguments.get("depth"), model.arguments.get("width"))
    if not model.arguments.get("dropout"):
        if model.name == "resnet":
            depth, width = size[0] or 20, size[1] or 1
            if (depth, width) in RESNETS:
                return f"resnet{depth}" if width == 1 else f"resnet{depth}x{width}"
        if model.name == "wrn":
            depth, width = size[0] or 16, size[1] or 2
            if (depth, width) in WIDE_RESNETS:
                return f"wrn_{depth}_{width}"
    unsaid.append(
        f"mdistiller has no model {describe_model(model)}: add it to mdistiller/models/cifar under the name of {role}"
        + (", with the path of its weights." if role == "TEACHER" else ".")
    )
    return str(model.name)
