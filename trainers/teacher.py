"""What does the teacher say of each image? Answered once per (teacher, data, views, precision) and stored: all trials,
workers and jobs that ask the same share one answer.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor, nn

from trainers import evaluate, losses, models, weights
from trainers.datasets import Split
from trainers.epoch import Trainee, pieces, predict, predict_batches, train_epoch
from trainers.errors import TeacherInvalid
from trainers.spec import Metrics, Model, Precision, Problem, Teacher, TeacherFacts
from trainers.views import Normaliser, Views

_FORMAT = "1"  # part of the stored files' names: raise it when views or training change


@dataclass(frozen=True, slots=True)
class Answers:
    """The teacher's logits (float32, CPU), train [views, n, classes] and validation [m, classes], and facts."""

    train: Tensor
    validation: Tensor
    facts: TeacherFacts


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a teacher works: the problem, its data, the artifact store and the device."""

    problem: Problem
    split: Split
    store: Path
    device: torch.device


def answers(setting: Setting) -> Answers:
    """The teacher's logits on every view of train and on validation.

    They are stored below `store/teachers/<fingerprint>/`, under a name that has the data's own digest in it, so that
    files which changed under the same name are not mistaken for those the teacher saw. One process computes, others
    wait for it (an advisory lock, which ends with its holder). Raises TeacherInvalid or ModelUnavailable.
    """
    if setting.problem.teacher.source == "logits":
        return _given(setting)
    path = _place(setting)
    if not _facts_path(path).is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not _facts_path(path).is_file():
                _compute(setting, path)
    stored = weights.load(path)
    return Answers(stored["train"], stored["validation"], _read_facts(_facts_path(path)))


def test_logits(setting: Setting, images: Tensor) -> Tensor:
    """The teacher's logits [n, classes] on the test images (uint8), from its stored weights."""
    teacher = setting.problem.teacher
    if teacher.source == "logits":
        given = weights.load_artifact(setting.store, _artifact(teacher))
        return _shaped(given, "test", (len(images), setting.split.classes))
    answers(setting)  # the weights are there once the logits are
    model = _untrained(setting)
    if teacher.source == "weights":
        tensors = weights.load_artifact(setting.store, _artifact(teacher))
    else:
        tensors = weights.load(_weights_path(_place(setting)))
    weights.fill(model, tensors, "the teacher's file")
    model.to(setting.device)
    return predict(model, images.to(setting.device), _normaliser(setting), setting.problem.precision).cpu()


def _place(setting: Setting) -> Path:
    split = setting.split
    data = f"{split.train.digest()[:20]}{split.validation.digest()[:20]}"
    folder = setting.store / "teachers" / setting.problem.teacher_fingerprint()
    return folder / f"{_FORMAT}-{data}.safetensors"


def _facts_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _weights_path(path: Path) -> Path:
    return path.with_name(f"weights-{path.name}")


def _compute(setting: Setting, path: Path) -> None:
    """Trains or loads the teacher and writes weights, logits and, as the sign that all is there, facts."""
    problem, split = setting.problem, setting.split
    teacher, normalise = problem.teacher, _normaliser(setting)
    if teacher.source == "weights":
        model = _untrained(setting)
        weights.fill(model, weights.load_artifact(setting.store, _artifact(teacher)), f"artifact {teacher.artifact}")
        model.to(setting.device)
    else:
        model = _train(setting, normalise)
        weights.save(model.state_dict(), _weights_path(path))
    train = _on_views(model, setting, normalise)
    validation = predict(model, split.validation.images.to(setting.device), normalise, problem.precision).cpu()
    facts = _facts(setting, train, validation)
    weights.save({"train": train, "validation": validation}, path)
    partial = path.with_suffix(".json.partial")
    partial.write_text(json.dumps(dataclasses.asdict(facts)))
    os.replace(partial, _facts_path(path))


def _train(setting: Setting, normalise: Normaliser) -> nn.Module:
    """Trains the teacher on the labels; each of its epochs shows a view of its own."""
    problem, split, device = setting.problem, setting.split, setting.device
    teacher, data = problem.teacher, problem.data
    if teacher.training is None or teacher.optimizer is None:
        raise TeacherInvalid("a teacher that the job trains needs a training and an optimizer")
    model = _untrained(setting).to(device)
    images, targets = split.train.images.to(device), split.train.labels.to(device)
    views = Views(images, normalise, data.augmentation, data.split_seed, teacher.training.epochs)
    trainee = Trainee.fresh(model, teacher.optimizer, teacher.seed)

    def loss(logits: Tensor, numbers: Tensor, view: int) -> Tensor:
        return losses.labels(logits, targets[numbers], teacher.label_smoothing)

    for _ in range(teacher.training.epochs):
        epoch_losses = train_epoch(trainee, views, len(images), teacher.training, problem.precision, loss)
        if not torch.isfinite(epoch_losses).all():
            raise TeacherInvalid(f"the teacher diverged in epoch {trainee.epochs}: lower its learning rate")
    return model


def _on_views(model: nn.Module, setting: Setting, normalise: Normaliser) -> Tensor:
    """The model's logits on the views that students are shown, [views, n, classes], in evaluation mode."""
    problem, images = setting.problem, setting.split.train.images.to(setting.device)
    data = problem.data
    if data.augmentation == "none":
        clean = predict(model, images, normalise, problem.precision).cpu()
        return clean.expand(problem.views, -1, -1).contiguous()
    views = Views(images, normalise, data.augmentation, data.split_seed, problem.views)
    return torch.stack([_on_view(model, views, view, len(images), problem.precision) for view in range(problem.views)])


def _on_view(model: nn.Module, views: Views, view: int, images: int, precision: Precision) -> Tensor:
    device = next(model.parameters()).device
    numbers = torch.arange(images, device=device)
    return predict_batches(model, (views.batch(view, part) for part in pieces(numbers)), precision).cpu()


def _given(setting: Setting) -> Answers:
    problem, split = setting.problem, setting.split
    given = weights.load_artifact(setting.store, _artifact(problem.teacher))
    train = _shaped(given, "train", (problem.views, len(split.train.labels), split.classes))
    validation = _shaped(given, "validation", (len(split.validation.labels), split.classes))
    if "test" not in given:
        raise TeacherInvalid("the logits' file has no tensor `test`, which the confirmation will need")
    return Answers(train, validation, _facts(setting, train, validation))


def _shaped(given: dict[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    if name not in given or tuple(given[name].shape) != shape or not given[name].is_floating_point():
        found = (
            f"{given[name].dtype} {list(given[name].shape)}" if name in given else f"only {', '.join(sorted(given))}"
        )
        raise TeacherInvalid(f"the logits' file needs floats {name!r} of shape {list(shape)}, it has {found}")
    logits = given[name].float()
    if not torch.isfinite(logits).all():
        raise TeacherInvalid(f"the given logits {name!r} are not all finite")
    return logits


def _facts(setting: Setting, train: Tensor, validation: Tensor) -> TeacherFacts:
    """Measured on validation at T = 1; TeacherInvalid where logits are not finite."""
    split = setting.split
    if not torch.isfinite(train).all():
        raise TeacherInvalid("the teacher's logits on the training part are not finite")
    try:
        quality = evaluate.measure(validation, split.validation.labels, validation, temperature=1.0)
    except evaluate.NotFinite as error:
        raise TeacherInvalid("the teacher's logits on the validation part are not finite") from error
    return TeacherFacts(
        fingerprint=setting.problem.teacher_fingerprint(),
        classes=split.classes,
        train_images=len(split.train.labels),
        validation_images=len(split.validation.labels),
        validation=quality,
    )


def _read_facts(path: Path) -> TeacherFacts:
    stored = json.loads(path.read_text())
    return TeacherFacts(**{**stored, "validation": Metrics(**stored["validation"])})


def _untrained(setting: Setting) -> nn.Module:
    split, teacher = setting.split, setting.problem.teacher
    return models.build(_model(teacher), split.channels, split.size, split.classes, teacher.seed)


def _normaliser(setting: Setting) -> Normaliser:
    return Normaliser(setting.split.mean, setting.split.std, setting.device)


def _model(teacher: Teacher) -> Model:
    if teacher.model is None:
        raise TeacherInvalid(f"a teacher from {teacher.source} needs a model")
    return teacher.model


def _artifact(teacher: Teacher) -> str:
    if teacher.artifact is None:
        raise TeacherInvalid(f"a teacher from {teacher.source} needs an artifact")
    return teacher.artifact
