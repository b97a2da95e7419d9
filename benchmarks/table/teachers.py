"""Teachers that were trained elsewhere first: on another data set of the same image size, then on their own."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace

import torch
from filelock import FileLock
from torch import Tensor, nn

from trainers.data import datasets
from trainers.data.views import Normaliser, Views
from trainers.run import Roots
from trainers.spec import Data, Optimizer, Problem, Schedule, Training, digest
from trainers.training import losses
from trainers.training.epoch import Trainee, place, train_epoch
from trainers.zoo import models, weights

CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Pretraining:
    """On which set, how many of its images, and for how many epochs; then for how many on the problem's own."""

    data: str
    images: int
    epochs: int
    finetuning: int


def finetuned(problem: Problem, first: Pretraining, roots: Roots) -> Problem:
    """The problem with its teacher's weights in the artifact store and named: trained on the other set with a learning
    rate of .05, then on the problem's own training part with .02, SGD with momentum .9, cosine.
    """
    teacher = problem.teacher
    assert teacher.model is not None
    roots.store.mkdir(parents=True, exist_ok=True)
    noted = roots.store / f"finetuned-{digest([problem.teacher_fingerprint(), repr(first)])[:16]}.txt"
    with FileLock(noted.with_suffix(".lock")):
        if not noted.is_file():
            noted.write_text(_make(problem, first, roots))
    return replace(problem, teacher=replace(teacher, artifact=noted.read_text()))


def _make(problem: Problem, first: Pretraining, roots: Roots) -> str:
    own = problem.data
    elsewhere = Data(
        first.data, validation_fraction=1 / 60, train_size=first.images, image_size=_size(problem, roots),
        augmentation=own.augmentation,
    )  # fmt: skip
    split = datasets.load(own, roots.data)
    assert problem.teacher.model is not None
    model = models.build(problem.teacher.model, split.channels, split.size, split.classes, problem.teacher.seed)
    _train(model, elsewhere, Training(first.epochs, 64, Schedule("cosine", 1)), 0.05, roots)
    _train(model, own, Training(first.finetuning, 64, Schedule("cosine", 1)), 0.02, roots)
    partial = roots.store / f".finetuned-{os.getpid()}.safetensors"
    weights.save(model.state_dict(), partial)
    name = hashlib.sha256(partial.read_bytes()).hexdigest()
    (roots.store / name[:2]).mkdir(exist_ok=True)
    os.replace(partial, roots.store / name[:2] / name)
    return name


def _size(problem: Problem, roots: Roots) -> int:
    return datasets.load(problem.data, roots.data).size[0]


def _train(model: nn.Module, data: Data, training: Training, rate: float, roots: Roots) -> None:
    part = datasets.load(data, roots.data)
    normalise = Normaliser(part.mean, part.std, CPU)
    views = Views(part.train.images, normalise, data.augmentation, data.split_seed, training.epochs)
    trainee = Trainee.fresh(place(model, CPU), Optimizer("sgd", rate, 5e-4, 0.9), 0)
    targets = part.train.labels

    def loss(logits: Tensor, numbers: Tensor, view: int) -> Tensor:
        return losses.labels(logits, targets[numbers])

    for _ in range(training.epochs):
        train_epoch(trainee, views, len(targets), training, "fp32", loss)
