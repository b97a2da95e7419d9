"""Reads an exported file as torchdistill's own example does, trains one step with it and prints what came of it.

Run by a Python that has torchdistill: FILE FOLDER, where FOLDER takes the checkpoints. The data set is a small one in
CIFAR-100's place: nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import torch
import torchvision
from torchdistill.common import yaml_util
from torchdistill.core.distillation import get_distillation_box
from torchdistill.models.official import get_image_classification_model
from torchdistill.models.registry import get_model

IMAGES = 32


def fake(**given: Any) -> Any:
    """32 images of CIFAR-100's size."""
    assert set(given) == {"root", "download", "train", "transform"}
    return torchvision.datasets.FakeData(IMAGES, (3, 32, 32), 100, given["transform"])


def load_model(settings: dict[str, Any]) -> torch.nn.Module:
    """As `load_model` of image_classification.py."""
    model: torch.nn.Module | None = get_image_classification_model(settings, False)
    return get_model(settings["key"], None, **settings["kwargs"]) if model is None else model


def main(file: str, folder: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    torchvision.datasets.CIFAR100 = fake
    config = yaml_util.load_yaml_file(file)
    os.chdir(folder)
    torch.manual_seed(0)
    teacher = load_model(config["models"]["teacher_model"])
    student = load_model(config["models"]["student_model"])
    train = config["train"]
    train["train_data_loader"]["kwargs"] |= {"num_workers": 0, "pin_memory": False}
    box = get_distillation_box(teacher, student, config["datasets"], train, torch.device("cpu"), None, False, 1)
    box.pre_epoch_process(epoch=0)
    images, targets, extra = next(iter(box.train_data_loader))
    loss = box.forward_process(images, targets=targets, supp_dict=extra)
    with torch.no_grad():
        logits = {"student": student(images).tolist(), "teacher": teacher(images).tolist()}
    group = {name: value for name, value in box.optimizer.param_groups[0].items() if name != "params"}
    rate = group["lr"]
    box.post_forward_process(loss=loss)
    box.post_epoch_process()
    return {
        "loss": loss.item(),
        "targets": targets.tolist(),
        "optimizer": [type(box.optimizer).__name__, rate, group["weight_decay"], group.get("momentum")],
        "next_rate": box.optimizer.param_groups[0]["lr"],
        "models": [type(teacher).__name__, type(student).__name__],
        "epochs": box.num_epochs,
        **logits,
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
