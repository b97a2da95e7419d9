"""What all students of one job share in memory: data, views, labels and the teacher's logits, on one device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from thermowell.plugin import Targets
from trainers.data.targets import kind_of
from trainers.data.views import Normaliser, Views
from trainers.disk_budget import DiskBudget
from trainers.spec import Problem, TeacherFacts
from trainers.teaching.test_split import SealedTest
from trainers.teaching.weight_cache import Shared


@dataclass(frozen=True, slots=True)
class Roots:
    """The two folders that the operator configured: data sets below `data`, artifacts and teachers below `store`.

    `shared` is what of the store other machines have too, where they do not see the folder itself. `disk_bytes` is how
    much disk a job may take below the store, None for as much as is free there.
    """

    data: Path
    store: Path
    shared: Shared | None = None
    disk_bytes: int | None = None

    def budget(self) -> DiskBudget:
        """What a job may take of the disk, nothing of it taken."""
        return DiskBudget(self.store, self.disk_bytes)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A problem ready to train on `device`.

    `views` shows the training part, of which an epoch draws from the first `images`: all of them, unless somebody wants
    a short epoch. The teacher's `train_logits` [views, n, classes] (float16 or float32, on a CPU a mapped file) are
    widened where they are used; its `validation_logits` [m, classes] are float32. `train_labels` and
    `validation_labels` are classes [n] (int64), or as `targets` says; `validation_images` are uint8. `test` stays shut
    until it is given a permit. `start` is the state with which every student begins, None where each has random weights
    of its own. `class_map` has a class for each of the data set's own, where they are not the same.
    """

    problem: Problem
    roots: Roots
    device: torch.device
    channels: int
    size: tuple[int, ...]
    classes: int
    normalise: Normaliser
    views: Views
    images: int
    train_labels: Tensor
    train_logits: Tensor
    validation_images: Tensor
    validation_labels: Tensor
    validation_logits: Tensor
    facts: TeacherFacts
    test: SealedTest
    start: Mapping[str, Tensor] | None = None
    class_map: tuple[int, ...] | None = None

    @property
    def targets(self) -> Targets:
        """What the labels are."""
        return kind_of(self.train_labels)
