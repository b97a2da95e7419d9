"""Pretraining on other data, once for all teachers, students and jobs whose images have one shape."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from trainers import spec
from trainers.data import datasets, sources
from trainers.data.fitting import fit_images
from trainers.disk_budget import DiskBudget
from trainers.errors import DatasetInvalid
from trainers.spec import Data, Model, Pretraining
from trainers.teaching.supervised import SupervisedTask, train_on_labels
from trainers.teaching.weight_cache import Shared, cached
from trainers.training import threads
from trainers.training.epoch import place
from trainers.zoo import given, heads, models, weights

_FORMAT = "1"  # part of the stored files' names: raise it when fitting, views or training change


@dataclass(frozen=True, slots=True)
class PretrainedModel:
    """A model that is to know other data, in the shape of the problem's images, with its seed; and where all lies."""

    model: Model
    channels: int
    size: tuple[int, ...]
    seed: int
    precision: spec.Precision
    data: Path
    store: Path
    device: torch.device
    shared: Shared | None = None
    budget: DiskBudget | None = None


def pretrained_model(
    pupil: PretrainedModel, pretraining: Pretraining, data: Data, classes: int
) -> tuple[nn.Module, frozenset[str]]:
    """The pupil (on the CPU) with what it knows from there and a new head of so many classes, and the head's names.

    The head is as the seed makes it. `data` are the problem's data, which must be others: a model that had seen their
    validation and test images would be judged by what it knows. Raises DatasetMissing or DatasetInvalid.
    """
    if (pretraining.data.name, pretraining.data.path) == (data.name, data.path):
        raise DatasetInvalid(f"{data.name} cannot be pretrained on {data.name}: name another data set")
    model = models.build(pupil.model, pupil.channels, pupil.size, classes, pupil.seed)
    head = heads.names(pupil.model, pupil.channels, pupil.size, classes)
    path = _place(pupil, pretraining)
    tensors = cached(path, lambda: _train(pupil, pretraining), pupil.shared)
    heads.replace_head(model, tensors, head, f"the weights from {pretraining.data.name}")
    return model, head


def model_from_file(
    pupil: PretrainedModel, artifact: str, classes: int, keep_head: bool = False
) -> tuple[nn.Module, frozenset[str]]:
    """The pupil (on the CPU) with the weights of a file, by its digest or its name, and a new head of so many classes,
    as the seed makes it, and the head's names. With `keep_head` the file's own head stays where it has so many classes.

    Raises TeacherInvalid where the file does not fill the rest of the model.
    """
    model = models.build(pupil.model, pupil.channels, pupil.size, classes, pupil.seed)
    find = heads.changing if keep_head else heads.names
    head = find(pupil.model, pupil.channels, pupil.size, classes)
    tensors = given.load(pupil.store, artifact, pupil.model, pupil.channels, pupil.size)
    state = model.state_dict()
    fits = keep_head and all(name in tensors and tensors[name].shape == state[name].shape for name in head)
    if not fits:
        tensors |= {name: state[name] for name in head}
    weights.fill(model, tensors, f"artifact {artifact}")
    return model, head


def stamp(pretraining: Pretraining | None, root: Path) -> str:
    """What the names of files have in them that depend on other data: those data's own content, where it may change."""
    return "" if pretraining is None else sources.stamp(pretraining.data, root)[:20]


def _place(pupil: PretrainedModel, pretraining: Pretraining) -> Path:
    identity = [spec.canonicalize(pretraining), pupil.model, pupil.channels, pupil.size, pupil.seed, pupil.precision]
    name = f"{_FORMAT}-{stamp(pretraining, pupil.data)}.safetensors"
    return pupil.store / "pretrained" / spec.digest(identity) / name


def _train(pupil: PretrainedModel, pretraining: Pretraining) -> dict[str, Tensor]:
    budget = None if pupil.budget is None else pupil.budget.anew()
    split = fit_images(datasets.load(pretraining.data, pupil.data, budget), pupil.channels, pupil.size, budget)
    model = models.build(pupil.model, pupil.channels, pupil.size, split.classes, pupil.seed)
    lesson = SupervisedTask(
        who=f"the model that is pretrained on {pretraining.data.name}",
        split=split,
        data=pretraining.data,
        training=pretraining.training,
        optimizer=pretraining.optimizer,
        seed=pupil.seed,
        precision=pupil.precision,
    )
    operations = threads.step_operations(model, pupil.channels, pupil.size, pretraining.training.batch_size)
    with threads.exactly(threads.suited(operations)):
        train_on_labels(place(model, pupil.device), lesson, pupil.device)
    return model.state_dict()
