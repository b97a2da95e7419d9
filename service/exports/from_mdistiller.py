"""A spec from a configuration of mdistiller: the inverse of its export."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from search.spec.parsing import MDISTILLER
from service.exports import conversion
from service.exports.conversion import Conversion, check_model, optimizer_of, part
from trainers import catalogue

PROJECT = "mdistiller"
READ = {
    "EXPERIMENT": {"PROJECT", "NAME", "TAG"},
    "DATASET": {"TYPE"},
    "DISTILLER": {"TYPE", "TEACHER", "STUDENT"},
    "SOLVER": {
        "BATCH_SIZE", "EPOCHS", "LR", "LR_DECAY_STAGES", "LR_DECAY_RATE", "WEIGHT_DECAY", "MOMENTUM", "TYPE",
    },
    "KD": {"TEMPERATURE", "LOSS"},
    "LOG": {"WANDB"},
}  # fmt: skip
"""The keys that are taken over, or say nothing of the training."""
DEFAULTS = {"BATCH_SIZE": 64, "EPOCHS": 240, "LR": 0.05, "WEIGHT_DECAY": 0.0001, "MOMENTUM": 0.9}
"""mdistiller's own, where a file leaves them out (mdistiller/engine/cfg.py)."""
STAGES, RATE, TEMPERATURE, CE_WEIGHT, KD_WEIGHT = [150, 180, 210], 0.1, 4, 0.1, 0.9
DEPTHS = (8, 14, 20, 32, 44, 56, 110)
"""Of its residual networks for small images; resnet18 and deeper others are torchvision's."""
_number = partial(conversion.number, project=PROJECT)


def convert(text: str) -> Conversion:
    """The spec of a file. FileUnknown."""
    document = conversion.read(text, PROJECT, sorted(MDISTILLER))
    unsaid = [
        conversion.teacher_is_trained(PROJECT),
        "mdistiller looks at the test part after each epoch; here a validation part is kept of the training images.",
    ]
    if document["DISTILLER"].get("TYPE") != "KD":
        unsaid.append(
            f"The method {document['DISTILLER'].get('TYPE')} is not taken over: plain KL stands in its place."
        )
    solver = DEFAULTS | document["SOLVER"]
    loss = document.get("KD", {})
    weights = loss.get("LOSS", {})
    tag = str(document.get("EXPERIMENT", {}).get("TAG") or "mdistiller").rpartition(",")[2]
    result = conversion.job(
        re.sub(r"[^A-Za-z0-9 ._-]", "-", tag),
        dataset=_dataset(part(document, "DATASET.TYPE", PROJECT), unsaid),
        teacher=_model(part(document, "DISTILLER.TEACHER", PROJECT), "teacher.model", unsaid),
        student=_model(part(document, "DISTILLER.STUDENT", PROJECT), "student", unsaid),
        training=_training(solver),
        optimizer=_optimizer(solver, unsaid),
        temperature=_number(loss.get("TEMPERATURE", TEMPERATURE), "KD.TEMPERATURE"),
        kd_weight=_number(weights.get("KD_WEIGHT", KD_WEIGHT), "KD.LOSS.KD_WEIGHT"),
        label_weight=_number(weights.get("CE_WEIGHT", CE_WEIGHT), "KD.LOSS.CE_WEIGHT"),
    )
    return Conversion(result, [*unsaid, *_left(document)])


def _training(solver: Mapping[str, Any]) -> dict[str, Any]:
    epochs = round(_number(solver["EPOCHS"], "SOLVER.EPOCHS"))
    stages = [stage for stage in solver.get("LR_DECAY_STAGES", STAGES) if 0 < stage < epochs]
    rate = _number(solver.get("LR_DECAY_RATE", RATE), "SOLVER.LR_DECAY_RATE")
    schedule: dict[str, Any] = {"name": "constant"}
    if stages and rate != 1:
        schedule = {"name": "step", "step_epochs": stages, "step_factor": rate}
    batch = round(_number(solver["BATCH_SIZE"], "SOLVER.BATCH_SIZE"))
    return {"epochs": epochs, "batch_size": batch, "schedule": schedule}


def _optimizer(solver: Mapping[str, Any], unsaid: list[str]) -> dict[str, Any]:
    key = str(solver.get("TYPE", "SGD"))
    settings = {"learning_rate": solver["LR"], "weight_decay": solver["WEIGHT_DECAY"]}
    if key.upper() in ("SGD", "RMSPROP"):
        settings["momentum"] = solver["MOMENTUM"]
    return optimizer_of(key, settings, unsaid, _number)


def _dataset(name: str, unsaid: list[str]) -> dict[str, Any]:
    for record in catalogue.DATASETS.values():
        if name == record.mdistiller:
            return {"name": record.name, "augmentation": "crop_flip"}
    near = next((entry for entry in catalogue.DATASETS if entry.lower() == str(name).lower()), None)
    if near is None:
        unsaid.append(f"The data set {name} is not known here: name one of the catalogue, or npz or image_folder.")
    unsaid.append("How images were augmented stands in mdistiller's code: set dataset.augmentation.")
    return {"name": near or str(name)}


def _model(name: Any, role: str, unsaid: list[str]) -> dict[str, Any]:
    """A residual network by mdistiller's name of it; any other name as it is."""
    resnet = re.fullmatch(r"resnet(\d+)(?:x(\d+))?", str(name))
    if resnet and int(resnet[1]) in DEPTHS:
        depth, width = int(resnet[1]), int(resnet[2] or 1)
        return check_model({"name": "resnet", "arguments": {"depth": depth, "width": width}}, role, unsaid)
    wide = re.fullmatch(r"wrn_(\d+)_(\d+)", str(name))
    if wide:
        return check_model({"name": "wrn", "arguments": {"depth": int(wide[1]), "width": int(wide[2])}}, role, unsaid)
    return check_model({"name": str(name)}, role, unsaid)


def _left(document: Mapping[str, Any]) -> list[str]:
    """What the file says beyond what is read."""
    keys = [
        f"{section}.{key}"
        for section, content in document.items()
        if isinstance(content, Mapping) and section in READ
        for key in content
        if key not in READ[section]
    ]
    keys += [str(section) for section in document if section not in READ]
    return [f"Not taken over: {', '.join(keys)}."] if keys else []
