"""A spec from a configuration of torchdistill's image classification: the inverse of its export."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import yaml

from service.exports import conversion
from service.exports.conversion import Conversion, FileUnknown, check_model, optimizer_of, part
from trainers import catalogue
from trainers.registry import augmentations

PROJECT = "torchdistill"
NAMES = {"lr": "learning_rate"}
READ = {"num_epochs", "train_data_loader", "val_data_loader", "optimizer", "scheduler", "criterion", "log_freq"}
OF_TRAINING = READ | {"teacher", "student"}
_number = partial(conversion.number, project=PROJECT)


class _Loader(yaml.SafeLoader):
    """Reads torchdistill's tags as plain groups: nothing is imported and nothing called."""


def _plain(loader: _Loader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_multi_constructor("!", _plain)


def convert(text: str) -> Conversion:
    """The spec of a file. FileUnknown."""
    document = conversion.read(text, PROJECT, ("datasets", "models", "train"), _Loader)
    unsaid = [
        conversion.teacher_is_trained(PROJECT),
        "torchdistill looks at its validation loader after each epoch; here a validation part is kept of the training "
        "images, and the test part is opened once.",
    ]
    train = part(document, "train", PROJECT)
    temperature, kd_weight, label_weight = _criterion(train)
    result = conversion.job(
        "from-torchdistill",
        dataset=_dataset(document, unsaid),
        teacher=_model(part(document, "models.teacher_model", PROJECT), "teacher.model", unsaid),
        student=_model(part(document, "models.student_model", PROJECT), "student", unsaid),
        training=_training(train, unsaid),
        optimizer=_optimizer(train, unsaid),
        temperature=temperature,
        kd_weight=kd_weight,
        label_weight=label_weight,
    )
    left = sorted(key for key in train if key not in OF_TRAINING)
    return Conversion(result, [*unsaid, *([f"Not taken over: {', '.join(left)} (of train)."] if left else [])])


def _criterion(train: Mapping[str, Any]) -> tuple[float, float, float]:
    """T, the weight of the distillation term and that of the labels, of the one KDLoss."""
    terms = list(_with_key(part(train, "criterion", PROJECT), "KDLoss", 1.0))
    if len(terms) != 1:
        raise FileUnknown(f"train.criterion must have one KDLoss to be taken over, and has {len(terms)}")
    [(loss, weight)] = terms
    temperature = _number(part(loss, "kwargs.temperature", PROJECT), "temperature")
    alpha = loss["kwargs"].get("alpha")
    if not alpha:  # then torchdistill leaves out beta and T^2 too
        return temperature, weight / temperature**2, 0.0
    label_weight = _number(alpha, "alpha")
    beta = loss["kwargs"].get("beta")
    return temperature, weight * (1 - label_weight if beta is None else _number(beta, "beta")), weight * label_weight


def _with_key(node: Any, key: str, weight: float) -> Iterator[tuple[Mapping[str, Any], float]]:
    """The groups of a key, each with the weight of the term that holds it."""
    if isinstance(node, Mapping):
        if node.get("key") == key:
            yield node, weight
            return
        share = _number(node["weight"], "weight") if "criterion" in node and "weight" in node else weight
        for inner in node.values():
            yield from _with_key(inner, key, share)


def _training(train: Mapping[str, Any], unsaid: list[str]) -> dict[str, Any]:
    epochs = round(_number(part(train, "num_epochs", PROJECT), "num_epochs"))
    batch = round(_number(part(train, "train_data_loader.kwargs.batch_size", PROJECT), "batch_size"))
    scheduler = train.get("scheduler") or {}
    key, settings = scheduler.get("key"), scheduler.get("kwargs") or {}
    schedule: dict[str, Any] = {"name": "constant"}
    if key == "MultiStepLR":
        factor = _number(settings.get("gamma", 0.1), "gamma")
        schedule = {"name": "step", "step_epochs": list(settings["milestones"]), "step_factor": factor}
    elif key == "CosineAnnealingLR":
        schedule = {"name": "cosine"}
    elif key is not None:
        unsaid.append(f"The scheduler {key} is not known here: the learning rate stays. Set training.schedule.")
    return {"epochs": epochs, "batch_size": batch, "schedule": schedule}


def _optimizer(train: Mapping[str, Any], unsaid: list[str]) -> dict[str, Any]:
    settings = part(train, "optimizer.kwargs", PROJECT)
    renamed = {NAMES.get(name, name): value for name, value in settings.items()}
    return optimizer_of(str(part(train, "optimizer.key", PROJECT)), renamed, unsaid, _number)


def _dataset(document: Mapping[str, Any], unsaid: list[str]) -> dict[str, Any]:
    identity = str(part(document, "train.train_data_loader.dataset_id", PROJECT))
    entry = document["datasets"].get(identity) or {}
    name = str(entry.get("key", "")).rpartition(".")[2] or identity.partition("/")[0]
    arguments = (entry.get("init") or {}).get("kwargs") or {}
    result: dict[str, Any] = {"name": name}
    if name == "ImageFolder":
        path = str(arguments.get("root", "")).removeprefix("./data/").rpartition("/")[0]
        result = {"name": "image_folder", "path": path or "images"}
        unsaid.append("Put the folder that holds train/ and test/ below the data root, at dataset.path.")
    elif catalogue.check_dataset(name):
        unsaid.append(f"The data set {name} is not known here: name one of the catalogue, or npz or image_folder.")
    steps = _transforms(arguments.get("transform"))
    unknown = sorted(set(steps) - {"Compose", "RandomCrop", "RandomHorizontalFlip", "ToTensor", "Resize", "Normalize"})
    if unknown:
        unsaid.append(f"Not taken over of the augmentation: {', '.join(unknown)}.")
    sizes = steps.get("Resize", {}).get("size")
    if sizes:
        result["image_size"] = sizes[0] if isinstance(sizes, list) else sizes
    return result | {"augmentation": _augmentation(steps)}


def _augmentation(steps: Mapping[str, Mapping[str, Any]]) -> str:
    """The augmentation that has these steps; a padding of a sixteenth is a shift, an eighth a crop."""
    crop = steps.get("RandomCrop")
    if crop is None:
        return augmentations.UNCHANGED
    if "RandomHorizontalFlip" in steps:
        return "crop_flip"
    size, padding = crop.get("size", 32), crop.get("padding", 4)
    size = size[0] if isinstance(size, list) else size
    return "shift" if padding <= max(1, size // 16) else "crop"


def _transforms(node: Any) -> dict[str, Mapping[str, Any]]:
    """The transformations within a group, by the last part of their names, with their arguments."""
    steps: dict[str, Mapping[str, Any]] = {}
    if isinstance(node, Mapping):
        if isinstance(node.get("key"), str):
            steps[node["key"].rpartition(".")[2]] = (node.get("init") or {}).get("kwargs") or {}
        for inner in node.values():
            steps |= _transforms(inner)
    elif isinstance(node, list):
        for inner in node:
            steps |= _transforms(inner)
    return steps


def _model(entry: Mapping[str, Any], role: str, unsaid: list[str]) -> dict[str, Any]:
    name, arguments = str(part(entry, "key", PROJECT)), dict(entry.get("kwargs") or {})
    for unneeded in ("num_classes", "pretrained", "progress"):
        arguments.pop(unneeded, None)
    if name == "wide_resnet":
        values = {"depth": arguments.get("depth", 16), "width": arguments.get("k", 2)}
        return check_model(
            {"name": "wrn", "arguments": values | {"dropout": float(arguments.get("dropout_p", 0))}}, role, unsaid
        )
    resnet = re.fullmatch(r"resnet(20|32|44|56|110)", name)
    if resnet:
        return check_model({"name": "resnet", "arguments": {"depth": int(resnet[1])}}, role, unsaid)
    return check_model({"name": name, **({"arguments": arguments} if arguments else {})}, role, unsaid)
