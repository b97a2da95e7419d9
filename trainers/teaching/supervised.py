"""Training of a model on labels alone, for teachers and for initial weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainers import spec
from trainers.data.datasets import Split
from trainers.data.views import Normaliser, Views, fits
from trainers.errors import TeacherInvalid
from trainers.training import losses
from trainers.training.epoch import Trainee, train_epoch
from trainers.zoo import heads


@dataclass(frozen=True, slots=True)
class SupervisedTask:
    """What a model learns from: a split's training part, each epoch a view of its own, and how.

    `stop_epoch` ends it early, the schedule is that of all epochs. Where `head` names tensors, these alone are trained.
    `who` learns, for what is said when it fails.
    """

    who: str
    split: Split
    data: spec.Data
    training: spec.Training
    optimizer: spec.Optimizer
    seed: int
    precision: spec.Precision
    label_smoothing: float = 0.0
    stop_epoch: int | None = None
    head: frozenset[str] = frozenset()


def views(
    split: Split, data: spec.Data, count: int, device: torch.device, normalise: Normaliser | None = None
) -> Views:
    """So many views of the training part, on the device where they fit; as students see them, unless told otherwise."""
    images = split.train.images
    normalise = normalise or Normaliser.of(split, device)
    return Views(images, normalise, data.augmentation, data.split_seed, count, not fits(images, device), split.budget)


def train_on_labels(model: nn.Module, lesson: SupervisedTask, device: torch.device) -> None:
    """Trains the model, which must lie on the device. Raises TeacherInvalid where its loss is no longer finite."""
    training, targets = lesson.training, lesson.split.train.labels.to(device)
    training_views = views(lesson.split, lesson.data, training.epochs, device)
    trainee = Trainee.fresh(model, lesson.optimizer, lesson.seed)

    def loss(logits: Tensor, numbers: Tensor, view: int) -> Tensor:
        return losses.labels(logits, training_views.targets(targets, view, numbers), lesson.label_smoothing)

    with heads.train_only(model, lesson.head) as resting:
        trainee.resting = resting
        for _ in range(lesson.stop_epoch or training.epochs):
            epoch_losses = train_epoch(trainee, training_views, len(targets), training, lesson.precision, loss)
            if not torch.isfinite(epoch_losses).all():
                raise TeacherInvalid(f"{lesson.who} diverged in epoch {trainee.epochs}: lower its learning rate")
