"""torchdistill on pictures and a teacher that are given, seed after seed, driven as its example for image
classification drives it. Run by the Python of `peers.torchdistill`; its last line is one JSON object.

Pictures are read one by one through PIL and torchvision's transforms, in the process itself; the given teacher looks at
every batch, in evaluation mode.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchdistill
from safetensors.torch import load_file
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler
from torchdistill.core.distillation import get_distillation_box
from torchvision import transforms

from benchmarks.engines.peer_data import Pictures
from trainers.spec import Model
from trainers.zoo import models


def distil(options: dict[str, Any], seed: int) -> dict[str, Any]:
    """One student's accuracy on the test pictures, and what it took."""
    start, processor = time.perf_counter(), time.process_time()
    torch.manual_seed(seed)
    folder, device = Path(options["folder"]), torch.device("cpu")
    with np.load(folder / "pictures.npz") as stored:
        train, validation, test = (
            (stored[f"{part}_images"], stored[f"{part}_labels"]) for part in ("train", "validation", "test")
        )
    teacher, student = (_model(options[name], seed) for name in ("teacher", "student"))
    teacher.load_state_dict(load_file(folder / "teacher.safetensors"))
    plain = _transform(options, False)
    parts = {"train": Pictures(train, _transform(options, True)), "val": Pictures(validation, plain)}
    box = get_distillation_box(teacher, student, parts, _settings(options), device, None, False, 1)
    for epoch in range(options["epochs"]):
        box.pre_epoch_process(epoch=epoch)
        teacher.eval()
        for images, targets, extra in box.train_data_loader:
            box.post_forward_process(loss=box.forward_process(images, targets=targets, supp_dict=extra))
        _accuracy(box, box.val_data_loader)
        box.post_epoch_process()
    return {
        "accuracy": _accuracy(box, DataLoader(Pictures(test, plain), batch_size=1000)),
        "seconds": time.perf_counter() - start,
        "core_seconds": time.process_time() - processor,
    }


def _model(described: dict[str, Any], seed: int) -> torch.nn.Module:
    return models.build(Model(described["name"], described["arguments"]), 1, (28, 28), 10, seed=seed)


def _transform(options: dict[str, Any], augmented: bool) -> Any:
    moved = [transforms.RandomCrop(28, padding=28 // 8), transforms.RandomHorizontalFlip()] if augmented else []
    normalized = [transforms.ToTensor(), transforms.Normalize(options["mean"], options["std"])]
    return transforms.Compose([*moved, *normalized])


@torch.inference_mode()
def _accuracy(box: Any, loader: Any) -> float:
    box.student_model.eval()
    right = [box.student_model(images).argmax(1) == targets for images, targets in loader]
    return float(torch.cat(right).float().mean())


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """The part `train` of its samples for image classification, with the job's settings."""

    def loader(name: str, sampler: type, size: int) -> dict[str, Any]:
        sampling = {"class_or_func": sampler, "kwargs": None}
        return {"dataset_id": name, "sampler": sampling, "kwargs": {"batch_size": size, "num_workers": 0}}

    loss = {
        "student_module_path": ".",
        "student_module_io": "output",
        "teacher_module_path": ".",
        "teacher_module_io": "output",
        "temperature": options["temperature"],
        "alpha": 1 - options["kd_weight"],
        "reduction": "batchmean",
    }
    terms = {"kd": {"criterion": {"key": "KDLoss", "kwargs": loss}, "weight": 1.0}}
    return {
        "log_freq": 1000,
        "num_epochs": options["epochs"],
        "train_data_loader": loader("train", RandomSampler, options["batch"]),
        "val_data_loader": {**loader("val", SequentialSampler, 1000), "requires_supp": False},
        "teacher": {"forward_proc": "forward_batch_only", "sequential": [], "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only", "sequential": [], "requires_grad": True},
        "optimizer": {"key": "SGD", "kwargs": options["optimizer"]},
        "scheduler": {"key": "MultiStepLR", "kwargs": {"milestones": options["milestones"], "gamma": 0.1}},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": terms}},
    }


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the libraries print
    given = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    students = [distil(given, seed) for seed in given["seeds"]]
    answers.write(json.dumps({"version": torchdistill.__version__, "students": students}) + "\n")
    answers.close()
