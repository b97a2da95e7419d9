"""Problems on which speed and memory are measured: students and data."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch

from trainers.fetch import fetch
from trainers.run import Roots
from trainers.spec import Assignment, Configuration, Data, Model, Optimizer, Problem, Teacher, Training
from trainers.zoo import models

FOREVER = 1_000_000  # epochs: no lane ends while it is measured
RANDOM_IMAGES = "random32.npz"
DATA = {"mlp": "digits", "cnn8": "digits", "cnn28": "FashionMNIST", "resnet8x4": "npz"}
"""The data set of each problem, by its name."""
CLASSES = 100
RESNET_TEACHER, RESNET_STUDENT = Model("resnet", {"depth": 32, "width": 4}), Model("resnet", {"depth": 8, "width": 4})


@dataclass(frozen=True, slots=True)
class Measured:
    """A problem of the tables: how it is called, what it needs below the roots, and whether optimizers are mixed."""

    name: str
    words: str
    problem: Problem
    mixed: bool


def make(name: str, images: int, roots: Roots) -> Measured:
    """The problem of that name with so many training images (0: all there are), its files laid below the roots.

    A quarter as many again validate; each epoch is followed by its validation, as in a job.
    """
    small = Teacher(
        model=Model("cnn", {"width": 16, "depth": 2}),
        training=Training(1, 64),
        optimizer=Optimizer("sgd", 0.05, 5e-4, 0.9),
    )
    endless = Training(FOREVER, 64)
    size = images or None
    digits = Data("digits", train_size=size, augmentation="shift")
    cnn = Model("cnn", {"width": 8, "depth": 2})
    if name == "mlp":
        student = Model("mlp", {"width": 64, "depth": 1})
        return Measured(name, "MLP 64-64-10, digits 8x8", Problem(digits, small, student, endless, 4), True)
    if name == "cnn8":
        return Measured(name, "CNN 1-8-16-10, digits 8x8", Problem(digits, small, cnn, endless, 4), True)
    if name == "cnn28":
        fetch("FashionMNIST", roots.data)
        shown = images or 1024
        clothes = Data(
            "FashionMNIST", train_size=shown, validation_fraction=shown / 4 / 60_000, augmentation="crop_flip"
        )
        return Measured(name, "CNN 1-8-16-10, clothes 28x28", Problem(clothes, small, cnn, endless, 4), True)
    if name != "resnet8x4":
        raise ValueError(f"there is no problem {name!r}")
    shown = images or 256
    random_images(roots.data / RANDOM_IMAGES, shown)
    photographs = Data("npz", path=RANDOM_IMAGES, train_size=shown, augmentation="crop_flip")
    teacher = Teacher("weights", RESNET_TEACHER, artifact=untrained(RESNET_TEACHER, roots.store))
    return Measured(
        name, "ResNet32x4 -> ResNet8x4, 32x32", Problem(photographs, teacher, RESNET_STUDENT, endless, 4), False
    )


def random_images(path: Path, train: int) -> None:
    """Random pixels with labels in turn, enough for `train` images and splits of a fifth each; the same every time."""
    if path.exists():
        return
    total = math.ceil(train / 0.6) + 3
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 256, (total, 32, 32, 3), dtype=np.uint8)
    np.savez(path, images=pixels, labels=np.arange(total, dtype=np.int64) % CLASSES)


def untrained(model: Model, store: Path) -> str:
    """Random weights as an artifact of the store; its digest. How fast a teacher answers does not depend on them."""
    content = safetensors.torch.save(models.build(model, 3, (32, 32), CLASSES, seed=0).state_dict())
    digest = hashlib.sha256(content).hexdigest()
    path = store / digest[:2] / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


def assignment(number: int, mixed: bool) -> Assignment:
    """The student of that number, as a search would ask: T between 1 and 40, SGD and AdamW in turn if `mixed`."""
    adamw = mixed and number % 2 == 1
    optimizer = Optimizer("adamw", 0.003, 0.01) if adamw else Optimizer("sgd", 0.02, 5e-4, 0.9)
    temperature = 40 ** ((number * 0.618) % 1)
    return Assignment(
        str(number),
        Configuration(temperature=temperature, kd_weight=0.9, label_weight=0.1, optimizer=optimizer),
        seed=number,
    )
