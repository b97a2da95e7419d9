"""A teacher with other classes answers those of the job that its own belong to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from search.spec.fields import DOOR
from search.spec.job import JobSpec
from tests.trainers.problems import problem
from tests.trainers.test_preprocessing import MODEL, OWN, own_script
from tests.trainers.test_teacher import PERMIT, put
from trainers import run
from trainers.data import datasets, pixel_storage
from trainers.disk_budget import DiskBudget
from trainers.errors import DiskBudgetExceeded, TeacherInvalid
from trainers.preprocessing import Preprocessing
from trainers.spec import Classes, Data, Problem, Teacher
from trainers.teaching.class_map import Mapped, mapped
from trainers.zoo import models, weights

EVEN_AND_ODD = ((0, 2, 4, 6, 8), (1, 3, 5, 7, 9))
PARITY = Data("digits", train_size=300, classes=Classes("map", map=(0, 1) * 5))


def given(roots: run.Roots, groups: tuple[tuple[int, ...], ...], data: Data = PARITY) -> Problem:
    tensors, _, _ = own_script("unit")
    artifact = put(roots.store, tensors)
    teacher = Teacher("weights", MODEL, artifact=artifact, preprocessing=Preprocessing("unit"), class_map=groups)
    return problem(data=data, teacher=teacher)


def test_probabilities_are_summed() -> None:
    logits = torch.randn(50, 7, generator=torch.Generator().manual_seed(0)) * 4
    groups = ((3,), (0, 6, 2), (1, 5))
    summed = Mapped(torch.nn.Identity(), groups)(logits)
    shares = logits.double().softmax(-1)
    expected = torch.stack([shares[:, list(group)].sum(-1) for group in groups], -1)
    assert torch.allclose(summed.double().softmax(-1), expected / expected.sum(-1, keepdim=True), atol=1e-6)
    assert torch.equal(Mapped(torch.nn.Identity(), ((3,), (1,)))(logits), logits[:, [3, 1]])


def test_is_worth_what_it_is_in_its_own_script(roots: run.Roots) -> None:
    ready = run.prepare(given(roots, EVEN_AND_ODD), roots, "cpu")
    split = datasets.load(PARITY, roots.data)
    model = models.build(MODEL, 1, (8, 8), 10, seed=0).eval()
    weights.fill(model, own_script("unit")[0], "own")
    with torch.no_grad():
        shares = model(OWN["unit"](split.validation.images.float())).softmax(-1)
    odd = shares[:, 1::2].sum(-1) > shares[:, ::2].sum(-1)
    expected = int((odd.long() == split.validation.labels).sum())
    assert round(ready.facts.validation.accuracy * ready.facts.validation_images) == expected > 200
    assert isinstance(ready, run.Prepared)
    part, logits = ready.test.open(PERMIT)
    assert logits.shape == (len(part.labels), 2)
    assert (logits.argmax(-1) == part.labels).double().mean() > 0.85


def test_another_map_is_another_teacher(roots: run.Roots) -> None:
    wanted = given(roots, EVEN_AND_ODD)
    turned = replace(wanted, teacher=replace(wanted.teacher, class_map=(EVEN_AND_ODD[0][::-1], EVEN_AND_ODD[1])))
    swapped = replace(wanted, teacher=replace(wanted.teacher, class_map=EVEN_AND_ODD[::-1]))
    none = replace(wanted, teacher=replace(wanted.teacher, class_map=()))
    assert turned.teacher_fingerprint() == wanted.teacher_fingerprint()
    assert len({each.teacher_fingerprint() for each in (wanted, swapped, none)}) == 3


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ((), "its head has 10 classes and the data have 2. Say in teacher.class_map"),
        (((0,), (1,), (2,)), "class_map has 3 entries and the data 2 classes"),
        (((0,), (10,)), "names class 10, and the teacher has 10, from 0 to 9"),
    ],
)
def test_what_does_not_fit_is_refused(roots: run.Roots, groups: tuple[tuple[int, ...], ...], words: str) -> None:
    with pytest.raises(TeacherInvalid, match=words):
        run.prepare(given(roots, groups), roots, "cpu")


def of_logits(roots: run.Roots, groups: tuple[tuple[int, ...], ...], classes: int = 10) -> Problem:
    """A teacher known by its logits alone, of ten classes where the job has two."""
    sizes = {"train": (1, 300), "validation": (359,), "test": (359,)}
    chance = torch.Generator().manual_seed(0)
    logits = {name: torch.randn((*size, classes), generator=chance) for name, size in sizes.items()}
    teacher = Teacher("logits", artifact=put(roots.store, logits), class_map=groups)
    return problem(data=PARITY, views=1, teacher=teacher)


def test_logits_are_mapped_as_a_model_is(roots: run.Roots) -> None:
    wanted = of_logits(roots, EVEN_AND_ODD)
    ready = run.prepare(wanted, roots, "cpu")
    assert isinstance(ready, run.Prepared)
    file = weights.load_artifact(roots.store, str(wanted.teacher.artifact))
    model = Mapped(torch.nn.Identity(), EVEN_AND_ODD)
    assert torch.equal(ready.train_logits[0], model(file["train"][0]))
    assert torch.equal(ready.validation_logits, model(file["validation"]))
    assert torch.equal(ready.test.open(PERMIT)[1], model(file["test"]))
    another = replace(wanted, teacher=replace(wanted.teacher, class_map=EVEN_AND_ODD[::-1]))
    assert another.teacher_fingerprint() != wanted.teacher_fingerprint()


def test_mapped_logits_that_memory_does_not_hold_lie_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, model = torch.randn(2, 1500, 10), Mapped(torch.nn.Identity(), EVEN_AND_ODD)
    monkeypatch.setattr(pixel_storage, "MEMORY_BYTES", 0)
    answer = mapped(logits, EVEN_AND_ODD, DiskBudget(tmp_path))
    assert torch.allclose(answer, torch.stack([model(view) for view in logits]))
    assert pixel_storage.path_of(answer) is not None
    with pytest.raises(DiskBudgetExceeded, match=r"mapped logits need .* lower teacher.views"):
        mapped(logits, EVEN_AND_ODD, DiskBudget(tmp_path, 1000))


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ((), "teacher.class_map which of its classes"),
        (((0,), (10,)), "names class 10, and the teacher has 10"),
        (((0,), (1,), (2,)), "has 3 entries and the data 2 classes"),
    ],
)
def test_logits_that_do_not_fit_are_refused(roots: run.Roots, groups: tuple[tuple[int, ...], ...], words: str) -> None:
    with pytest.raises(TeacherInvalid, match=words):
        run.prepare(of_logits(roots, groups), roots, "cpu")


GIVEN = {"source": "weights", "model": {"name": "cnn"}, "artifact": "0" * 64}


def spec(teacher: dict[str, Any]) -> JobSpec:
    document = {"name": "x", "dataset": {"name": "digits"}, "teacher": teacher, "student": {"name": "mlp"}}
    return JobSpec.model_validate(document, context=DOOR)


def test_in_a_spec() -> None:
    asked = spec({**GIVEN, "class_map": [3, [4, 5], 0]})
    assert asked.problem(1, "fp32").teacher.class_map == ((3,), (4, 5), (0,))
    asked = spec({"source": "logits", "artifact": "0" * 64, "class_map": [3, [4, 5], 0]})
    assert asked.problem(1, "fp32").teacher.class_map == ((3,), (4, 5), (0,))


@pytest.mark.parametrize(
    ("teacher", "words"),
    [
        ({**GIVEN, "class_map": [3, [4, 3]]}, "has 3 twice"),
        ({**GIVEN, "class_map": [3, []]}, "at least 1 item"),
        ({**GIVEN, "class_map": [3]}, "at least 2 items"),
        ({**GIVEN, "class_map": [3, -1]}, "greater than or equal to 0"),
        ({**GIVEN, "class_map": [3, "cat"]}, "valid tuple"),
        (
            {"model": {"name": "mlp"}, "training": {}, "optimizer": {}, "class_map": [3, 4]},
            "class_map belongs to source: weights or logits",
        ),
    ],
)
def test_maps_that_are_none_are_refused(teacher: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        spec(teacher)
