"""What a teacher's fingerprint changes with: everything that changes its logits, and nothing else. Both are listed."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest

from tests.trainers.elsewhere import quarters
from tests.trainers.problems import SGD, problem, teacher
from trainers.preprocessing import Preprocessing, PresetName
from trainers.spec import (
    Classes,
    Data,
    Initial,
    Model,
    Optimizer,
    Pretraining,
    Problem,
    Schedule,
    Teacher,
    Training,
    digest,
    to_jsonable,
)

DATA = problem().data
WEIGHTS = Teacher("weights", model=Model("cnn", {"width": 4}), artifact="0" * 64)
LOGITS = Teacher("logits", artifact="0" * 64)
ADAM = Optimizer("adam", 1e-3)
ELSEWHERE = teacher(pretrained_on=quarters())
TRAINING = Training(6, 16)


def data(**changes: Any) -> Problem:
    return problem(data=replace(DATA, **changes))


def taught(**changes: Any) -> Problem:
    return problem(teacher=teacher(**changes))


def from_elsewhere(**changes: Any) -> Problem:
    return taught(pretrained_on=replace(quarters(), **changes))


def prepared(preset: PresetName, **changes: Any) -> Problem:
    return problem(teacher=replace(WEIGHTS, preprocessing=Preprocessing(preset, **changes)))


def ensemble(*members: Teacher) -> Problem:
    return problem(teacher=Teacher("ensemble", members=members))


CHANGES: dict[str, tuple[Problem, Problem]] = {
    "data.name": (problem(), data(name="MNIST")),
    "data.path": (data(name="npz", path="a.npz"), data(name="npz", path="b.npz")),
    "data.split_seed": (problem(), data(split_seed=1)),
    "data.validation_fraction": (problem(), data(validation_fraction=0.3)),
    "data.test_fraction": (problem(), data(test_fraction=0.3)),  # on digits, which have no test part of their own
    "data.train_size": (problem(), data(train_size=200)),
    "data.image_size": (problem(), data(image_size=16)),
    "data.augmentation": (problem(), data(augmentation="crop")),
    "data.classes": (problem(), data(classes=Classes("map", map=(0,) * 5 + (1,) * 5))),
    "data.layout": (
        data(name="image_folder", path="a", layout="classes"),
        data(name="image_folder", path="a", layout="parts"),
    ),
    "data.code": (data(name="acme/words", code="0" * 64), data(name="acme/words", code="1" * 64)),
    "data.arguments": (
        data(name="acme/words", arguments={"most": 1}),
        data(name="acme/words", arguments={"most": 2}),
    ),
    "data.augmentation_code": (
        data(augmentation="acme/noise", augmentation_code="0" * 64),
        data(augmentation="acme/noise", augmentation_code="1" * 64),
    ),
    "data.targets": (data(name="npz", path="a"), data(name="npz", path="a", targets="several")),
    "data.targets: another kind": (
        data(name="npz", path="a", targets="soft"),
        data(name="npz", path="a", targets="several"),
    ),
    "data.classes: another map": (data(classes=Classes("map", map=(0, 1))), data(classes=Classes("map", map=(1, 0)))),
    "data.classes: more clusters": (
        data(classes=Classes("clusters", clusters=2)),
        data(classes=Classes("clusters", clusters=3)),
    ),
    "teacher.source": (problem(teacher=WEIGHTS), problem(teacher=LOGITS)),
    "teacher.model": (problem(), taught(model=Model("cnn", {"width": 8}))),
    "teacher.model: code": (
        taught(model=Model("acme/gru", code="0" * 64)),
        taught(model=Model("acme/gru", code="1" * 64)),
    ),
    "teacher.model: vocabulary": (
        taught(model=Model("acme/gru", vocabulary=40)),
        taught(model=Model("acme/gru", vocabulary=50)),
    ),
    "teacher.training": (problem(), taught(training=Training(7, 16))),
    "teacher.training: batch": (problem(), taught(training=Training(6, 32))),
    "teacher.training: schedule": (problem(), taught(training=Training(6, 16, Schedule("constant")))),
    "teacher.training: step": (
        taught(training=Training(6, 16, Schedule("step", step_epochs=(3,)))),
        taught(training=Training(6, 16, Schedule("step", step_epochs=(3,), step_factor=0.5))),
    ),
    "teacher.optimizer": (problem(), taught(optimizer=ADAM)),
    "teacher.optimizer: momentum": (problem(), taught(optimizer=replace(SGD, momentum=0.5))),
    "teacher.label_smoothing": (problem(), taught(label_smoothing=0.1)),
    "teacher.seed": (problem(), taught(seed=1)),
    "teacher.artifact": (problem(teacher=WEIGHTS), problem(teacher=replace(WEIGHTS, artifact="1" * 64))),
    "teacher.class_map": (problem(teacher=WEIGHTS), problem(teacher=replace(WEIGHTS, class_map=((0, 1), (2,))))),
    "teacher.stop_epoch": (problem(), taught(stop_epoch=5)),
    "teacher.pretrained_on": (problem(), problem(teacher=ELSEWHERE)),
    "teacher.pretrained_on: data": (from_elsewhere(), from_elsewhere(data=Data("MNIST"))),
    "teacher.pretrained_on: training": (from_elsewhere(), from_elsewhere(training=Training(3, 16))),
    "teacher.pretrained_on: optimizer": (from_elsewhere(), from_elsewhere(optimizer=ADAM)),
    "teacher.finetune": (problem(teacher=ELSEWHERE), problem(teacher=replace(ELSEWHERE, finetune="head"))),
    "teacher.origin": (problem(), taught(origin="0" * 64)),
    "teacher.origin: another": (taught(origin="0" * 64), taught(origin="1" * 64)),
    "teacher.origin: head": (taught(origin="0" * 64), taught(origin="0" * 64, finetune="head")),
    "teacher.preprocessing": (problem(teacher=WEIGHTS), prepared("unit")),
    "teacher.preprocessing: another": (prepared("unit"), prepared("half")),
    "teacher.preprocessing: size": (prepared("unit"), prepared("unit", size=(16, 16))),
    "teacher.preprocessing: measured": (problem(teacher=WEIGHTS), prepared("measured")),
    "teacher.members": (ensemble(teacher(), teacher(seed=1)), ensemble(teacher(), teacher(seed=2))),
    "teacher.members: one more": (
        ensemble(teacher(), teacher(seed=1)),
        ensemble(teacher(), teacher(seed=1), teacher(seed=2)),
    ),
    "views": (problem(), problem(views=3)),
    "precision": (problem(), problem(precision="bf16")),
}
KEEPS: dict[str, tuple[Problem, Problem]] = {
    "student": (problem(), problem(student=Model("cnn"))),
    "training": (problem(), problem(training=Training(30, 8))),
    "initial": (problem(), problem(initial=Initial("trained", TRAINING, SGD))),
    "given weights have no seed": (problem(teacher=WEIGHTS), problem(teacher=replace(WEIGHTS, seed=1))),
    "given weights have no training": (
        problem(teacher=WEIGHTS),
        problem(teacher=replace(WEIGHTS, training=TRAINING, optimizer=SGD, label_smoothing=0.1)),
    ),
    "images as students have them": (problem(teacher=WEIGHTS), prepared("dataset")),
    "given logits have no preprocessing": (
        problem(teacher=LOGITS),
        problem(teacher=replace(LOGITS, preprocessing=Preprocessing("unit"))),
    ),
    "given logits have no model": (
        problem(teacher=LOGITS),
        problem(teacher=replace(LOGITS, model=Model("cnn"), seed=1)),
    ),
    "members in another order": (ensemble(teacher(), ELSEWHERE), ensemble(ELSEWHERE, teacher())),
    "a member's head of no other origin": (ensemble(teacher(), WEIGHTS), ensemble(teacher(finetune="head"), WEIGHTS)),
    "an ensemble has no seed": (
        ensemble(teacher(), WEIGHTS),
        problem(teacher=Teacher("ensemble", seed=1, members=(teacher(), WEIGHTS))),
    ),
    "stopped where it ends": (problem(), taught(stop_epoch=6)),
    "a head of no other origin": (problem(), taught(finetune="head")),
    "a map that maps nothing": (problem(), data(classes=Classes("map", map=tuple(range(10))))),
    "steps that are not taken": (
        taught(training=Training(6, 16, Schedule("cosine"))),
        taught(training=Training(6, 16, Schedule("cosine", step_factor=0.5))),
    ),
    "momentum that adam has not": (taught(optimizer=ADAM), taught(optimizer=replace(ADAM, momentum=0.9))),
    "the same of other data": (
        from_elsewhere(optimizer=ADAM),
        from_elsewhere(optimizer=replace(ADAM, momentum=0.9)),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_it_changes_with(what: str) -> None:
    one, other = CHANGES[what]
    assert one.teacher_fingerprint() != other.teacher_fingerprint()
    assert one.fingerprint() != other.fingerprint()


@pytest.mark.parametrize("what", KEEPS)
def test_it_does_not_change_with(what: str) -> None:
    one, other = KEEPS[what]
    assert one != other
    assert one.teacher_fingerprint() == other.teacher_fingerprint()


def test_no_field_is_forgotten() -> None:
    listed = {what.partition(":")[0] for what in CHANGES}
    fields = {f"data.{each.name}" for each in dataclasses.fields(Data)}
    fields |= {f"teacher.{each.name}" for each in dataclasses.fields(Teacher)}
    assert listed == fields | {"views", "precision"}
    assert {each.name for each in dataclasses.fields(Pretraining)} == {"data", "training", "optimizer"}


def test_what_was_stored_before_is_found_still() -> None:
    """Of a problem that says nothing of what came since: as these were before there were origins and classes."""
    wanted = problem()
    assert wanted.fingerprint() == "db9aa79b90ecb331dd09502a9062b526ab78b0bfb01ac49145f713b6d8b7c9a5"
    assert wanted.teacher_fingerprint() == "cc9d6bdc3367107d23330e680067f5ed5525004c3a77a3fea5617b44c6f3cfca"


def test_plain_leaves_out_what_says_nothing_new() -> None:
    assert "classes" not in to_jsonable(DATA)
    assert to_jsonable(replace(DATA, classes=Classes("coarse")))["classes"] == {
        "kind": "coarse",
        "map": [],
        "clusters": 0,
    }
    assert to_jsonable({"a": (1, Model("cnn"))}) == {"a": [1, {"name": "cnn", "arguments": {}}]}
    assert digest([Model("cnn")]) == digest([to_jsonable(Model("cnn"))])


def test_initial_weights_depend_on_what_makes_them_alone() -> None:
    one = problem(initial=Initial("finetuned", TRAINING, SGD, quarters()))
    keeps = [
        replace(one, teacher=LOGITS),
        replace(one, training=Training(30, 8)),
        replace(one, views=5),
    ]
    changes = [
        replace(one, student=Model("mlp")),
        replace(one, data=replace(DATA, split_seed=1)),
        replace(one, precision="bf16"),
        *(
            replace(one, initial=replace(one.initial, **changed))
            for changed in (
                {"source": "pretrained"}, {"training": Training(7, 16)}, {"optimizer": ADAM}, {"seed": 1},
                {"pretrained_on": replace(quarters(), optimizer=ADAM)}, {"finetune": "head"},
            )
        ),
    ]  # fmt: skip
    assert {each.initial_fingerprint() for each in keeps} == {one.initial_fingerprint()}
    assert len({each.initial_fingerprint() for each in [one, *changes]}) == 1 + len(changes)
