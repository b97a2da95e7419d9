"""Initial weights of students where these are not random: made once, as a teacher is, and shared."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from trainers.errors import TeacherInvalid
from trainers.spec import Problem
from trainers.teaching import pretraining
from trainers.teaching.prepared import Prepared
from trainers.teaching.supervised import SupervisedTask, train_on_labels
from trainers.teaching.teacher import Setting
from trainers.teaching.weight_cache import cached
from trainers.training import threads
from trainers.training.epoch import place
from trainers.zoo import models, weights

_FORMAT = "1"  # part of the stored files' names: raise it when views or training change


def start(setting: Setting) -> dict[str, Tensor] | None:
    """The state with which every student of the problem begins, on the CPU; None where each has random weights.

    Stored below `store/initial/`, under a name with all in it that it depends on. Raises TeacherInvalid or
    DatasetMissing.
    """
    problem, split = setting.problem, setting.split
    if problem.initial.source == "random":
        return None
    stamp = pretraining.stamp(problem.initial.pretrained_on, setting.data)
    name = f"{_FORMAT}-{split.train.digest()[:20]}{stamp}.safetensors"
    path = setting.store / "initial" / problem.initial_fingerprint() / name
    return cached(path, lambda: _make(setting), setting.shared)


def student(prepared: Prepared, seed: int) -> nn.Module:
    """A student of the prepared problem before its first step, on the CPU; `seed` makes its weights if it is random."""
    model = models.build(prepared.problem.student, prepared.channels, prepared.size, prepared.classes, seed)
    if prepared.start is not None:
        weights.fill(model, prepared.start, "what students begin with")
    return model


def _make(setting: Setting) -> Mapping[str, Tensor]:
    problem, split = setting.problem, setting.split
    initial, head = problem.initial, frozenset[str]()
    if initial.source == "weights":
        if initial.artifact is None:
            raise TeacherInvalid("students that begin with weights need the artifact that holds them")
        pupil = setting.pupil(problem.student, initial.seed)
        return pretraining.model_from_file(pupil, initial.artifact, split.classes, keep_head=True)[0].state_dict()
    if initial.source == "trained":
        model = models.build(problem.student, split.channels, split.size, split.classes, initial.seed)
    else:
        if initial.pretrained_on is None:
            raise TeacherInvalid(f"students that begin {initial.source} need data that they are pretrained on")
        pupil = setting.pupil(problem.student, initial.seed)
        model, head = pretraining.pretrained_model(pupil, initial.pretrained_on, problem.data, split.classes)
    if initial.source != "pretrained":
        _learn(model, setting, head if initial.finetune == "head" else frozenset())
    return model.state_dict()


def _learn(model: nn.Module, setting: Setting, head: frozenset[str]) -> None:
    problem: Problem = setting.problem
    initial, split = problem.initial, setting.split
    if initial.training is None or initial.optimizer is None:
        raise TeacherInvalid(f"students that begin {initial.source} need a training and an optimizer for it")
    lesson = SupervisedTask(
        who="the student with whose weights all begin",
        split=split,
        data=problem.data,
        training=initial.training,
        optimizer=initial.optimizer,
        seed=initial.seed,
        precision=problem.precision,
        head=head,
    )
    operations = threads.step_operations(model, split.channels, split.size, initial.training.batch_size)
    with threads.exactly(threads.suited(operations)):
        train_on_labels(place(model, setting.device), lesson, setting.device)
