"""torchdistill as a side of a race, driven as its example for image classification drives it: its distillation box, its
KDLoss and its loaders, with the settings of its CIFAR-100 samples. Run by the Python of `peers.torchdistill`.

As it ships, the teacher runs at every step, in training mode. Images are loaded in the process itself: workers would
be started anew for each of the short epochs measured here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torchdistill
from torch.utils.data import RandomSampler, SequentialSampler
from torchdistill.core.distillation import get_distillation_box
from torchdistill.misc.log import MetricLogger, SmoothedValue

from benchmarks.engines import problems
from benchmarks.engines.child import Epoch, serve
from benchmarks.engines.peer_data import TEST, TRAIN, Pictures, arrays
from trainers.zoo import models

LOG_FREQUENCY = 100


def build(options: dict[str, Any]) -> tuple[Epoch, dict[str, Any]]:
    """The same student and teacher as the engines', on the same images. Options: images, root, threads, batch."""
    torch.set_num_threads(options["threads"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train, test = arrays(Path(options["root"]), options["images"])
    teacher = models.build(problems.RESNET_TEACHER, 3, (32, 32), problems.CLASSES, seed=0).to(device)
    student = models.build(problems.RESNET_STUDENT, 3, (32, 32), problems.CLASSES, seed=1).to(device)
    box = get_distillation_box(
        teacher,
        student,
        {"train": Pictures(train, TRAIN), "val": Pictures(test, TEST)},
        _settings(options["batch"]),
        device,
        None,
        False,
        1,
    )

    def epoch() -> int:
        box.pre_epoch_process(epoch=0)
        meters = MetricLogger(delimiter="  ")
        meters.add_meter("lr", SmoothedValue(window_size=1, fmt="{value}"))
        images = 0
        for batch, targets, extra in meters.log_every(box.train_data_loader, LOG_FREQUENCY, "Epoch"):
            batch, targets = batch.to(device), targets.to(device)
            loss = box.forward_process(batch, targets=targets, supp_dict=extra)
            box.post_forward_process(loss=loss)
            meters.update(loss=loss.item(), lr=box.optimizer.param_groups[0]["lr"])
            images += len(batch)
        _validate(box, device)
        box.post_epoch_process()
        return images

    return epoch, {"images": options["images"], "device": str(device), "version": torchdistill.__version__}


@torch.inference_mode()
def _validate(box: Any, device: torch.device) -> None:
    box.student_model.eval()
    meters = MetricLogger(delimiter="  ")
    for batch, targets in meters.log_every(box.val_data_loader, LOG_FREQUENCY, "Validation"):
        output, targets = box.student_model(batch.to(device)), targets.to(device)
        meters.update(accuracy=(output.argmax(1) == targets).float().mean().item())


def settings(
    *,
    batch: int,
    validation_batch: int,
    epochs: int,
    temperature: float,
    label_share: float,
    optimizer: dict[str, Any],
    scheduler: dict[str, Any],
    log_frequency: int,
) -> dict[str, Any]:
    """The part `train` of its samples for image classification (configs/sample/cifar100/kd/*-final_run.yaml).

    `label_share` is its alpha, the weight of the labels; optimizer and scheduler are SGD's and MultiStepLR's arguments.
    """

    def loader(name: str, sampler: type, size: int) -> dict[str, Any]:
        sampling = {"class_or_func": sampler, "kwargs": None}
        return {"dataset_id": name, "sampler": sampling, "kwargs": {"batch_size": size, "num_workers": 0}}

    loss = {
        "student_module_path": ".",
        "student_module_io": "output",
        "teacher_module_path": ".",
        "teacher_module_io": "output",
        "temperature": temperature,
        "alpha": label_share,
        "reduction": "batchmean",
    }
    terms = {"kd": {"criterion": {"key": "KDLoss", "kwargs": loss}, "weight": 1.0}}
    return {
        "log_freq": log_frequency,
        "num_epochs": epochs,
        "train_data_loader": loader("train", RandomSampler, batch),
        "val_data_loader": {**loader("val", SequentialSampler, validation_batch), "requires_supp": False},
        "teacher": {"forward_proc": "forward_batch_only", "sequential": [], "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only", "sequential": [], "requires_grad": True},
        "optimizer": {"key": "SGD", "kwargs": optimizer},
        "scheduler": {"key": "MultiStepLR", "kwargs": scheduler},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": terms}},
    }


def _settings(batch: int) -> dict[str, Any]:
    """Its CIFAR-100 sample's own, with this race's batch size."""
    return settings(
        batch=batch,
        validation_batch=batch,
        epochs=200,
        temperature=4.0,
        label_share=0.9,
        optimizer={"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0005},
        scheduler={"milestones": [60, 120, 160], "gamma": 0.2},
        log_frequency=LOG_FREQUENCY,
    )


if __name__ == "__main__":
    serve(build)
