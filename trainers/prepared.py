"""What all students of one job share in memory: data, views, labels and the teacher's logits, on one device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from trainers.sealed import SealedTest
from trainers.spec import Problem, TeacherFacts
from trainers.views import Normaliser, Views


@dataclass(frozen=True, slots=True)
class Roots:
    """The two folders that the operator configured: data sets below `data`, artifacts and teachers below `store`."""

    data: Path
    store: Path


@dataclass(frozen=True, slots=True)
class Prepared:
    """A problem ready to train on `device`.

    `views` shows the training part; `train_logits` [views, n, classes] and `validation_logits` [m, classes] are the
    teacher's (float32); `train_labels` [n] and `validation_labels` [m] are int64; `validation_images` are uint8.
    `test` stays shut until it is given a permit.
    """

    problem: Problem
    roots: Roots
    device: torch.device
    channels: int
    size: tuple[int, int]
    classes: int
    normalise: Normaliser
    views: Views
    train_labels: Tensor
    train_logits: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    validation_logits: Tensor
    facts: TeacherFacts
    test: SealedTest
