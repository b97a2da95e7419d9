"""A model with other classes begins with its weights and a new head, as a teacher that is finetuned or as a student."""

from __future__ import annotations

import pytest
import torch

from search.spec.fields import DOOR
from search.spec.job import JobSpec
from search.worker.shared_files import artifact_digests
from tests.trainers.problems import problem, teacher
from tests.trainers.test_teacher import put
from trainers import run
from trainers.errors import TeacherInvalid
from trainers.spec import Data, Initial, Model, Training
from trainers.teaching import initial
from trainers.zoo import models, weights

MODEL = Model("cnn", {"width": 4, "depth": 2})
DATA = Data("digits", train_size=100)


def state(classes: int) -> dict[str, torch.Tensor]:
    return models.build(MODEL, 1, (8, 8), classes, seed=9).state_dict()


def test_a_teachers_head_alone_is_trained(roots: run.Roots) -> None:
    origin = put(roots.store, state(1000))
    taught = teacher(model=MODEL, origin=origin, finetune="head", training=Training(2, 16))
    ready = run.prepare(problem(data=DATA, teacher=taught, views=1), roots, "cpu")
    assert isinstance(ready, run.Prepared)
    assert ready.train_logits.shape == (1, 100, 10)
    (kept,) = (roots.store / "teachers").rglob("weights-*.safetensors")
    tensors = weights.load(kept)
    before = state(1000)
    assert all(torch.equal(tensors[name], before[name]) for name in before if not name.startswith("head."))
    assert tensors["head.weight"].shape == (10, before["head.weight"].shape[1])


@pytest.mark.parametrize("classes", [1000, 10])
def test_a_student_begins_with_a_file(roots: run.Roots, classes: int) -> None:
    beginning = Initial("weights", artifact=put(roots.store, state(classes)))
    wanted = problem(data=DATA, student=MODEL, initial=beginning, views=1, teacher=teacher(training=Training(1, 16)))
    ready = run.prepare(wanted, roots, "cpu")
    assert isinstance(ready, run.Prepared)
    student, before = initial.student(ready, seed=5).state_dict(), state(classes)
    same = {name for name in student if torch.equal(student[name], before[name])} if classes == 10 else set()
    rest = {name for name in student if not name.startswith("head.")}
    assert same == (set(student) if classes == 10 else set())
    assert all(torch.equal(student[name], before[name]) for name in rest)
    assert student["head.weight"].shape[0] == 10
    assert torch.equal(student["head.weight"], initial.student(ready, seed=6).state_dict()["head.weight"])


def test_what_does_not_fill_the_rest_is_refused(roots: run.Roots) -> None:
    foreign = put(roots.store, models.build(Model("cnn", {"width": 8, "depth": 2}), 1, (8, 8), 10, 0).state_dict())
    with pytest.raises(TeacherInvalid, match="does not fit the model"):
        run.prepare(problem(data=DATA, student=MODEL, initial=Initial("weights", artifact=foreign)), roots, "cpu")


def test_in_a_spec() -> None:
    document = {
        "name": "x", "dataset": {"name": "digits"},
        "teacher": {"model": {"name": "cnn"}, "training": {}, "optimizer": {}, "origin": {"weights": "0" * 64}},
        "student": {"name": "mlp", "initial": {"source": "weights", "artifact": "1" * 64}},
    }  # fmt: skip
    asked = JobSpec.model_validate(document, context=DOOR).problem(1, "fp32")
    assert (asked.teacher.origin, asked.initial.artifact) == ("0" * 64, "1" * 64)
    assert artifact_digests(asked) == {"0" * 64, "1" * 64}
    for origin in ({}, {"weights": "0" * 64, "pretrained_on": {"dataset": {"name": "MNIST"}}}):
        with pytest.raises(ValueError, match="either pretrained_on or weights"):
            JobSpec.model_validate(document | {"teacher": {**document["teacher"], "origin": origin}})  # type: ignore[dict-item]
