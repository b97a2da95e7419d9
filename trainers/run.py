"""The room's front door: make a problem ready, open an engine on it, and, with a permit, measure a student on test."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torchvision

from trainers import datasets, evaluate, models, teacher, weights
from trainers.engine import Engine
from trainers.epoch import predict
from trainers.loop import LoopEngine
from trainers.prepared import Prepared, Roots
from trainers.sealed import SealedTest
from trainers.spec import Configuration, Metrics, Problem, TestPermit
from trainers.views import Normaliser, Views

__all__ = [
    "Prepared",
    "Roots",
    "capabilities",
    "evaluate_test",
    "open_engine",
    "prepare",
    "set_threads",
    "teacher_softness",
]


def prepare(problem: Problem, roots: Roots, device: str = "auto") -> Prepared:
    """Loads the data, makes or loads the teacher's logits, and puts all of it on the device.

    `device` is auto (an accelerator where there is one), cpu, cuda or cuda:N. Raises a TrainingError, whose slug says
    which: DatasetMissing, DatasetInvalid, ModelUnavailable or TeacherInvalid.
    """
    place = _device(device)
    split = datasets.load(problem.data, roots.data)
    models.check(problem.student, split.channels, split.size, split.classes)
    if problem.teacher.model is not None:
        models.check(problem.teacher.model, split.channels, split.size, split.classes)
    setting = teacher.Setting(problem, split, roots.store, place)
    answers = teacher.answers(setting)
    normalise = Normaliser(split.mean, split.std, place)
    data = problem.data
    return Prepared(
        problem=problem,
        roots=roots,
        device=place,
        channels=split.channels,
        size=split.size,
        classes=split.classes,
        normalise=normalise,
        views=Views(split.train.images.to(place), normalise, data.augmentation, data.split_seed, problem.views),
        train_labels=split.train.labels.to(place),
        train_logits=answers.train.to(place),
        validation_images=split.validation.images.to(place),
        validation_labels=split.validation.labels.to(place),
        validation_logits=answers.validation.to(place),
        facts=answers.facts,
        test=SealedTest(setting, roots.data),
    )


def open_engine(prepared: Prepared, lanes: int = 1) -> Engine:
    """An engine with so many lanes."""
    return LoopEngine(prepared, lanes)


def evaluate_test(prepared: Prepared, student: Path, configuration: Configuration, permit: TestPermit) -> Metrics:
    """The metrics, on the test part, of the student in a file that `save_student` wrote.

    Raises TestSplitSealed without a permit, TeacherInvalid where the file or the teacher does not fit,
    evaluate.NotFinite where the student has diverged.
    """
    problem = prepared.problem
    part, said = prepared.test.open(permit)
    model = models.build(problem.student, prepared.channels, prepared.size, prepared.classes, seed=0)
    weights.fill(model, weights.load(student), f"the student in {student.name}")
    model.to(prepared.device)
    logits = predict(model, part.images.to(prepared.device), prepared.normalise, problem.precision).cpu()
    return evaluate.measure(logits, part.labels, said, configuration.temperature)


def teacher_softness(prepared: Prepared, temperatures: Sequence[float]) -> list[float]:
    """Mean entropy (nats) of softmax(z / T) of the teacher's logits on validation, for each T."""
    return [float(evaluate.entropy(prepared.validation_logits, temperature)) for temperature in temperatures]


def capabilities() -> dict[str, Any]:
    """What this process can train on and with, as plain JSON, for the worker's heartbeat."""
    device = _device("auto")
    return {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "bf16": device.type == "cuda" and torch.cuda.is_bf16_supported(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "extras": ["timm"] if models.has_timm() else [],
    }


def set_threads(threads: int) -> None:
    """How many threads torch computes with, in this process; part of what makes numbers the same twice."""
    torch.set_num_threads(threads)


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
