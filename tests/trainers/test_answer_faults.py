"""Answers of a given teacher that are not what they should be: found by the labels, or by the numbers themselves, said
with the way out, and no reason to end a job that accepts them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from tests.trainers.problems import problem
from tests.trainers.test_preprocessing import MODEL, own_script
from tests.trainers.test_teacher import put
from tests.trainers.test_teacher_inputs import elsewhere
from trainers import quality, run, teacher_inputs
from trainers.data import datasets
from trainers.errors import TeacherInvalid
from trainers.preprocessing import Preprocessing
from trainers.spec import Data, Problem, Teacher, TestPermit
from trainers.teaching import answer_faults

Logits = dict[str, Tensor]
DATA = Data("digits", train_size=300)
ORDER = [0, 1, 3, 4, 5, 6, 7, 8, 9, 2]
"""The class that the teacher knows under each number."""


@cache
def right_logits() -> Logits:
    split = datasets.load(DATA, Path())
    test = datasets.load_test(DATA, Path(), TestPermit("job", 1.0))
    parts = {"train": split.train, "validation": split.validation, "test": test}
    return {name: elsewhere(part.images.numpy()) for name, part in parts.items()}


def wanted(store: Path, logits: Logits, **teacher: object) -> Problem:
    artifact = put(store, {name: tensor.contiguous() for name, tensor in logits.items()})
    return problem(data=DATA, teacher=Teacher("logits", artifact=artifact, **teacher), views=1)  # type: ignore[arg-type]


def shuffled(logits: Tensor) -> Tensor:
    return logits[torch.randperm(len(logits), generator=torch.Generator().manual_seed(0))]


KINDS: dict[str, tuple[Callable[[Logits], Logits], str]] = {
    "probabilities": (lambda parts: {name: z.softmax(-1) for name, z in parts.items()}, "are probabilities"),
    "in half precision": (lambda parts: {name: z.softmax(-1).half() for name, z in parts.items()}, "are probabilities"),
    "a shuffled training part": (
        lambda parts: parts | {"train": shuffled(parts["train"])}, "near chance on the training part alone",
    ),
    "a shuffled validation part": (
        lambda parts: parts | {"validation": shuffled(parts["validation"])}, "near chance on the validation part alone",
    ),
    "other classes": (
        lambda parts: {name: z[:, ORDER] for name, z in parts.items()},
        r"another order than the data's: say `class_map: \[0, 1, 9, 2, 3, 4, 5, 6, 7, 8\]`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_found_and_said(roots: run.Roots, kind: str) -> None:
    change, words = KINDS[kind]
    facts = run.prepare(wanted(roots.store, change(right_logits())), roots, "cpu").facts
    (fault,) = facts.faults
    assert quality.is_weak(facts)
    reason = quality.weakness(facts)
    assert fault in reason
    assert "accept it with teacher.accept_weak: true" in reason
    assert re.search(words, fault)


@pytest.mark.parametrize(
    "change", [lambda z: z, lambda z: z.log_softmax(-1), lambda z: z.half(), lambda z: z.double() * 3 - 1]
)
def test_logits_of_every_kind_have_none(roots: run.Roots, change: Callable[[Tensor], Tensor]) -> None:
    logits = {name: change(tensor) for name, tensor in right_logits().items()}
    facts = run.prepare(wanted(roots.store, logits), roots, "cpu").facts
    assert facts.faults == ()
    assert not quality.is_weak(facts)


def test_the_map_that_is_said_puts_classes_right(roots: run.Roots) -> None:
    moved = {name: tensor[:, ORDER] for name, tensor in right_logits().items()}
    mended = tuple((ORDER.index(number),) for number in range(10))
    facts = run.prepare(wanted(roots.store, moved, class_map=mended), roots, "cpu").facts
    assert facts.faults == ()
    assert facts.validation == run.prepare(wanted(roots.store, right_logits()), roots, "cpu").facts.validation
    wrong = tuple((number,) for number in range(10))
    (fault,) = run.prepare(wanted(roots.store, moved, class_map=wrong), roots, "cpu").facts.faults
    assert (
        f"entries of teacher.class_map are in another order than the data's: say `class_map: {[[i] for (i,) in mended]}"
        in fault
    )


def test_classes_of_weights_are_looked_at_too(roots: run.Roots) -> None:
    tensors, _, _ = own_script("half")
    moved = {name: tensor[ORDER] if name.startswith("head.") else tensor for name, tensor in tensors.items()}
    given = Teacher("weights", MODEL, artifact=put(roots.store, moved), preprocessing=Preprocessing("half"))
    members = tuple(
        Teacher("weights", MODEL, artifact=put(roots.store, t), preprocessing=Preprocessing("half"))
        for t in (tensors, moved)
    )
    (fault,) = run.prepare(problem(data=DATA, teacher=given, views=1), roots, "cpu").facts.faults
    assert "class_map: [0, 1, 9, 2" in fault
    ensemble = problem(data=DATA, teacher=Teacher("ensemble", members=members), views=1)
    (fault,) = run.prepare(ensemble, roots, "cpu").facts.faults
    assert fault.startswith("member ")


def test_a_training_part_without_its_dimension_of_views_is_taken(roots: run.Roots) -> None:
    parts = right_logits()
    flat = run.prepare(wanted(roots.store, parts), roots, "cpu")
    whole = run.prepare(wanted(roots.store, parts | {"train": parts["train"][None]}), roots, "cpu")
    assert flat.facts.validation == whole.facts.validation
    assert isinstance(flat, run.Prepared)
    assert flat.train_logits.shape == (1, 300, 10)


def test_an_order_that_few_images_suggest_is_none() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 10
    random = torch.randn(40, 10, generator=generator)
    assert answer_faults.other_order((random, labels), (random.roll(1, 0), labels)) is None
    sure = torch.nn.functional.one_hot(labels, 10).float()
    assert answer_faults.other_order((sure, labels), (sure, labels)) is None
    turned = sure.roll(1, 1)
    assert answer_faults.other_order((turned, labels), (turned, labels)) == (*range(1, 10), 0)
    # classes without images keep their own
    few = labels < 5
    assert answer_faults.other_order((sure[few], labels[few]), (sure[few], labels[few])) is None
    many = torch.zeros(20, 2001)
    assert answer_faults.other_order((many, labels[:20]), (many, labels[:20])) is None, "too many to look for"


def test_sigmoids_of_several_labels_are_no_logits() -> None:
    logits = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    assert "sigmoid" in (answer_faults.probabilities(logits.sigmoid(), "several") or "")
    for targets in ("several", "classes"):
        assert answer_faults.probabilities(logits, targets) is None
        assert answer_faults.probabilities(torch.zeros(50, 4), targets) is None
    assert answer_faults.probabilities(logits.sigmoid(), "classes") is None


def test_the_command_says_them(roots: run.Roots, tmp_path: Path) -> None:
    manifest = teacher_inputs.export(DATA, 1, roots.data, tmp_path, pictures=False)
    parts = right_logits()
    with pytest.raises(TeacherInvalid, match=r"train: its logits are probabilities.*their logarithms"):
        teacher_inputs.take(manifest, {name: z.softmax(-1) for name, z in parts.items()})
    _, lines = teacher_inputs.take(manifest, {name: z[:, ORDER] for name, z in parts.items()})
    assert [line for line in lines if "say `class_map: [0, 1, 9" in line]
    _, lines = teacher_inputs.take(manifest, parts)
    assert not [line for line in lines if "caution" in line]


def test_each_view_is_judged(roots: run.Roots, tmp_path: Path) -> None:
    shifted = Data("digits", train_size=300, augmentation="shift")
    manifest = teacher_inputs.export(shifted, 2, roots.data, tmp_path, pictures=False)
    with np.load(tmp_path / "inputs.npz") as file:
        answers = {name: elsewhere(file[name]) for name in file.files}
    answers["train"][1] = shuffled(answers["train"][1])
    _, lines = teacher_inputs.take(manifest, answers)
    assert any(line.startswith("train, view 1: ") for line in lines)
    assert sum("caution: that is near chance" in line for line in lines) == 1
    given = Teacher("logits", artifact=put(roots.store, answers))
    (fault,) = run.prepare(problem(data=shifted, teacher=given, views=2), roots, "cpu").facts.faults
    assert "near chance on the training part (view 1) alone" in fault


@pytest.mark.parametrize("form", ["npz", "npz of other bytes", "pth", "safetensors"])
def test_answers_come_in_each_form(tmp_path: Path, form: str) -> None:
    answers = {name: tensor.numpy() for name, tensor in right_logits().items()}
    path = tmp_path / f"answers.{form.split()[0]}"
    if form.startswith("npz"):
        kind = ">f4" if form != "npz" else "<f8"
        np.savez(path, **{name: values.astype(kind) for name, values in answers.items()})
    elif form == "pth":
        torch.save({"logits": right_logits(), "epoch": 3}, path)
    else:
        path.write_bytes(safetensors.torch.save({n: z.contiguous() for n, z in right_logits().items()}))
    taken = teacher_inputs.read_answers(path)
    assert all(np.allclose(taken[name].numpy(), values) for name, values in answers.items())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04cut", b"\x93NUMPY"])
def test_damaged_answers_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "answers.npz").write_bytes(content)
    with pytest.raises(TeacherInvalid, match=r"answers\.npz is no npz file of numbers"):
        teacher_inputs.read_answers(tmp_path / "answers.npz")
