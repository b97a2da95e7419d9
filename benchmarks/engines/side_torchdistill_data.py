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
from torch.utils.data import DataLoader
from torchdistill.core.distillation import get_distillation_box
from torchvision import transforms

from benchmarks.engines import side_torchdistill
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
    return side_torchdistill.settings(
        batch=options["batch"],
        validation_batch=1000,
        epochs=options["epochs"],
        temperature=options["temperature"],
        label_share=1 - options["kd_weight"],
        optimizer=options["optimizer"],
        scheduler={"milestones": options["milestones"], "gamma": 0.1},
        log_frequency=1000,
    )


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the libraries print
    given = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    students = [distil(given, seed) for seed in given["seeds"]]
    answers.write(json.dumps({"version": torchdistill.__version__, "students": students}) + "\n")
    answers.close()
