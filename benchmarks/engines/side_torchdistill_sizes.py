"""torchdistill on a folder of pictures and a teacher that are given, for some steps, driven as its example for image
classification drives it. Run by the Python of `peers.torchdistill`; its last line is one JSON object.

Pictures are read one by one through torchvision's ImageFolder and transforms, in the process itself; the given teacher
looks at every batch, in evaluation mode.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torchdistill
from safetensors.torch import load_file
from torchdistill.core.distillation import get_distillation_box
from torchvision import datasets, transforms

from benchmarks.engines import side_torchdistill
from trainers.spec import Model
from trainers.zoo import models

WARM = 2  # steps before the clock starts


def rate(options: dict[str, Any]) -> float:
    """Images a second, of so many steps after the first ones."""
    torch.manual_seed(options["seed"])
    folder, size = Path(options["folder"]), options["size"]
    teacher, student = (
        models.build(Model(options[name]), 3, (size, size), options["classes"], 0) for name in ("teacher", "student")
    )
    teacher.load_state_dict(load_file(folder / "teacher.safetensors"))
    transform = transforms.Compose(
        [
            transforms.RandomCrop(size, padding=size // 8),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(options["mean"], options["std"]),
        ]
    )
    pictures = datasets.ImageFolder(str(folder / "data" / "pictures"), transform)
    settings = side_torchdistill.settings(
        batch=options["batch"],
        validation_batch=options["batch"],
        epochs=1,
        temperature=options["temperature"],
        label_share=1 - options["kd_weight"],
        optimizer=options["optimizer"],
        scheduler={"milestones": [1], "gamma": 0.1},
        log_frequency=1000,
    )
    parts = {"train": pictures, "val": pictures}
    box = get_distillation_box(teacher, student, parts, settings, torch.device("cpu"), None, False, 1)
    box.pre_epoch_process(epoch=0)
    teacher.eval()
    images, start = 0, 0.0
    for step, (batch, targets, extra) in enumerate(itertools.islice(box.train_data_loader, WARM + options["steps"])):
        if step == WARM:
            start = time.perf_counter()
        box.post_forward_process(loss=box.forward_process(batch, targets=targets, supp_dict=extra))
        images += len(batch) if step >= WARM else 0
    return images / (time.perf_counter() - start)


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the libraries print
    given = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    answers.write(json.dumps({"version": torchdistill.__version__, "images_per_s": rate(given)}) + "\n")
    answers.close()
