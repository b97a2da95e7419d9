"""Coarser classes: other labels of the same images in the same parts, for students, teachers and the test alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainers.problems import assignment, problem, teacher
from trainers import run, superclasses
from trainers.catalogue import SUPERCLASSES
from trainers.data import datasets
from trainers.errors import DatasetInvalid
from trainers.spec import Classes, Data, Teacher, TestPermit, Training
from trainers.teaching import clusters

PERMIT = TestPermit("job", confirmed_at=1.0)
HALVES = Classes("map", map=(0, 0, 0, 0, 0, 1, 1, 1, 1, 1))
QUICK = teacher(training=Training(2, 16))


def test_the_same_images_are_in_each_part_under_other_labels(tmp_path: Path) -> None:
    fine, coarse = Data("digits", train_size=300), Data("digits", train_size=300, classes=HALVES)
    one, other = datasets.load(fine, tmp_path), datasets.load(coarse, tmp_path)
    tests = datasets.load_test(fine, tmp_path, PERMIT), datasets.load_test(coarse, tmp_path, PERMIT)
    assert (one.classes, other.classes) == (10, 2)
    for before, after in ((one.train, other.train), (one.validation, other.validation), tests):
        assert torch.equal(before.images, after.images)
        assert torch.equal(before.labels >= 5, after.labels == 1)
        counts = torch.bincount(before.labels)  # stratified by what is finer
        assert int(counts.max() - counts.min()) <= 0.1 * len(before.labels) / 2
    assert (one.mean, one.std) == (other.mean, other.std)


def test_a_test_part_of_its_own_follows(tmp_path: Path) -> None:
    images = np.arange(60 * 16, dtype=np.uint8).reshape(60, 4, 4)
    labels = np.arange(60) % 3
    np.savez(tmp_path / "a.npz", images=images, labels=labels, test_images=images[:9], test_labels=labels[:9])
    part = datasets.load_test(Data("npz", path="a.npz", classes=Classes("map", map=(1, 0, 1))), tmp_path, PERMIT)
    assert part.labels.tolist() == [1, 0, 1] * 3


def test_teacher_student_and_evaluation_follow(roots: run.Roots) -> None:
    ready = run.prepare(problem(data=Data("digits", train_size=300, classes=HALVES), teacher=QUICK), roots, "cpu")
    assert (ready.classes, ready.facts.classes, ready.train_logits.shape[-1]) == (2, 2, 2)
    engine = run.open_engine(ready)
    lane = engine.admit(assignment())
    (report,) = engine.step_epoch()
    engine.save_student(lane, roots.store / "student.safetensors")
    tested = run.evaluate_test(ready, roots.store / "student.safetensors", assignment().configuration, PERMIT)
    assert tested.images == 359
    assert report.validation.accuracy > 0.5  # type: ignore[union-attr]
    assert report.validation.teacher_entropy <= np.log(2) + 1e-6  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (Classes("coarse"), "no superclasses of its own: give a map"),
        (Classes("map", map=(0, 1)), "give one for each"),
        (Classes("map", map=(0,) * 10), "two or more"),
        (Classes("map", map=(0, 2) * 5), "without a gap"),
    ],
)
def test_classes_that_cannot_be(classes: Classes, words: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match=words):
        datasets.load(Data("digits", classes=classes), tmp_path)


def test_cifar_100_has_twenty_superclasses_of_five() -> None:
    coarse = SUPERCLASSES["CIFAR100"]
    assert sorted(coarse) == sorted(list(range(20)) * 5)
    assert list(superclasses.CIFAR100) == sorted(superclasses.CIFAR100)
    # the first images of the published training file: (fine, coarse) as they lie in it
    names = sorted(name for members in superclasses.CIFAR100.values() for name in members)
    for fine, number, superclass in (("apple", 0, 4), ("cattle", 19, 11), ("dinosaur", 29, 15), ("worm", 99, 13)):
        assert (names[number], coarse[number]) == (fine, superclass)


def test_clusters_are_of_classes_that_are_confused(roots: run.Roots) -> None:
    """0 with 3, and 1 with 2 and 4; numbered in the order of their first classes."""
    logits = torch.full((1, 5, 5), -9.0)
    pairs = {0: (3,), 1: (2, 4), 2: (1, 4), 3: (0,), 4: (1, 2)}
    for label, near in pairs.items():
        logits[0, label, [label, *near]] = torch.tensor([5.0, *[1.0] * len(near)])
    confused = clusters.confusion(logits, torch.arange(5), 5)
    assert torch.allclose(confused.sum(1), torch.ones(5, dtype=torch.float64))
    assert clusters.grouped(confused, 2) == (0, 1, 1, 0, 1)
    assert clusters.grouped(confused, 4) == (0, 1, 2, 0, 3)
    assert sorted(set(clusters.grouped(confused, 3))) == [0, 1, 2]


def test_a_job_on_clusters_is_the_job_on_the_map_they_come_to(roots: run.Roots) -> None:
    data = Data("digits", train_size=300)
    fine = run.prepare(problem(data=data, teacher=QUICK, views=1), roots, "cpu")
    wanted = problem(data=replace(data, classes=Classes("clusters", clusters=3)), teacher=QUICK, views=1)
    ready = run.prepare(wanted, roots, "cpu")
    expected = clusters.grouped(clusters.confusion(fine.train_logits, fine.train_labels, 10), 3)
    assert ready.classes == 3
    assert torch.equal(ready.train_labels, torch.tensor(expected)[fine.train_labels])
    mapped = run.prepare(replace(wanted, data=replace(data, classes=Classes("map", map=expected))), roots, "cpu")
    assert torch.equal(mapped.train_logits, ready.train_logits)
    # one teacher on the fine classes, one on the clusters: neither the job on clusters nor that on the map has its own
    assert len(list((roots.store / "teachers").rglob("weights-*.safetensors"))) == 2
    part, said = ready.test.open(PERMIT)
    assert said.shape == (len(part.labels), 3)
    assert ready.problem.fingerprint() not in (mapped.problem.fingerprint(), fine.problem.fingerprint())


def test_clusters_that_cannot_be(roots: run.Roots) -> None:
    many = replace(Data("digits"), classes=Classes("clusters", clusters=10))
    with pytest.raises(DatasetInvalid, match="2 to 9 clusters"):
        run.prepare(problem(data=many), roots, "cpu")
    given = Teacher("logits", artifact="0" * 64)
    with pytest.raises(DatasetInvalid, match="give a map"):
        run.prepare(problem(data=replace(many, classes=Classes("clusters", clusters=3)), teacher=given), roots, "cpu")
