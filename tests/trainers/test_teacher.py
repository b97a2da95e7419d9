"""The teacher's answers: trained once and shared by processes, or given, and refused where they do not fit."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import safetensors.torch
import torch

from search.claims import artifacts
from search.storage.folder import Folder
from tests.trainers.problems import assignment, problem, teacher
from trainers import run
from trainers.data import datasets
from trainers.errors import TeacherInvalid
from trainers.spec import Data, Model, Optimizer, Precision, Problem, Teacher, TestPermit, Training, to_jsonable
from trainers.teaching import supervised
from trainers.teaching import teacher as room
from trainers.training import evaluate
from trainers.zoo import models, weights

PERMIT = TestPermit("job", confirmed_at=1.0)


def setting(wanted: Problem, roots: run.Roots) -> room.Setting:
    return room.Setting(wanted, datasets.load(wanted.data, roots.data), roots.store, torch.device("cpu"), roots.data)


def put(store: Path, tensors: dict[str, torch.Tensor]) -> str:
    """Puts tensors into the artifact store and answers their digest."""
    content = safetensors.torch.save(tensors)
    digest = hashlib.sha256(content).hexdigest()
    path = store / digest[:2] / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return digest


def stored(store: Path, name: str) -> list[Path]:
    return sorted((store / "teachers").rglob(name))


def test_trains_once_and_shares(roots: run.Roots) -> None:
    first = room.answers(setting(problem(), roots))
    assert first.train.shape == (2, 300, 10)
    assert first.validation.shape == (359, 10)
    assert first.train.dtype == torch.float32
    assert not torch.equal(first.train[0], first.train[1])
    (kept,) = stored(roots.store, "weights-*.safetensors")
    written = kept.stat().st_mtime_ns
    # another student, another training: the same teacher
    again = room.answers(setting(problem(student=Model("cnn")), roots))
    assert torch.equal(first.train, again.train)
    assert first.facts == again.facts
    assert kept.stat().st_mtime_ns == written
    assert not list(roots.store.rglob("*.partial"))


def test_facts_describe_the_teacher(roots: run.Roots) -> None:
    wanted = problem()
    given = room.answers(setting(wanted, roots))
    split = datasets.load(wanted.data, roots.data)
    expected = evaluate.measure(given.validation, split.validation.labels, given.validation, 1.0)
    assert given.facts.validation == expected
    assert given.facts.validation.accuracy > 0.6
    assert given.facts.validation.teacher_agreement == 1.0
    assert given.facts.fingerprint == wanted.teacher_fingerprint()
    assert (given.facts.classes, given.facts.train_images, given.facts.validation_images) == (10, 300, 359)
    (facts,) = stored(roots.store, "*.json")
    assert json.loads(facts.read_text()) == to_jsonable(given.facts)


def test_logits_are_those_of_the_stored_weights_on_the_students_views(ready: run.Prepared) -> None:
    (kept,) = stored(ready.roots.store, "weights-*.safetensors")
    model = models.build(Model("cnn", {"width": 16}), 1, (8, 8), 10, seed=0)
    model.load_state_dict(safetensors.torch.load_file(kept))
    numbers = torch.arange(300)
    with torch.no_grad():
        for view in (0, 1):
            said = model.eval()(ready.views.batch(view, numbers))
            torch.testing.assert_close(ready.train_logits[view], said, atol=1e-4, rtol=1e-4)


def test_half_the_bits_for_bf16_and_read_from_a_map_of_the_file(roots: run.Roots) -> None:
    wanted = problem(precision="bf16", teacher=teacher(training=Training(1, 64)))
    first = room.answers(setting(wanted, roots))
    assert (first.train.dtype, first.validation.dtype) == (torch.float16, torch.float32)
    (kept,) = [path for path in stored(roots.store, "*.safetensors") if not path.name.startswith("weights-")]
    assert kept.stat().st_size < 2 * 300 * 10 * 2 + 359 * 10 * 4 + 1000
    if sys.platform == "linux":
        assert kept.name in Path("/proc/self/maps").read_text()


def test_each_view_is_shown_once(roots: run.Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    predict = room.predict_batches

    def counted(model: torch.nn.Module, batches: Iterable[torch.Tensor], precision: Precision) -> torch.Tensor:
        logits = predict(model, batches, precision)
        shown.append(len(logits))
        return logits

    monkeypatch.setattr(room, "predict_batches", counted)
    quick = teacher(training=Training(1, 64))
    for views, data in ((3, problem().data), (3, Data("digits", train_size=100))):
        room.answers(setting(problem(views=views, data=data, teacher=quick), roots))
    assert shown == [300, 300, 300, 100]  # without augmentation all views are one
    run.prepare(problem(views=3, teacher=quick), roots, "cpu")
    assert len(shown) == 4


def test_streamed_images_teach_and_train_the_same(roots: run.Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for name, fits in (("one", True), ("two", False)):
        monkeypatch.setattr(supervised, "fits", lambda images, device, fits=fits: fits)
        ready = run.prepare(problem(), run.Roots(roots.data, roots.store / name), "cpu")
        assert ready.views.streams is not fits
        engine = run.open_engine(ready)
        engine.admit(assignment())
        (report,) = engine.step_epoch()
        said.append((ready.facts, report.train_loss, report.validation))  # type: ignore[union-attr]
    assert said[0] == said[1]


def test_without_augmentation_all_views_are_the_same(roots: run.Roots) -> None:
    plain = problem(data=Data("digits", train_size=100), views=3)
    given = room.answers(setting(plain, roots)).train
    assert given.shape[0] == 3
    assert torch.equal(given[0], given[2])


def test_changed_files_are_not_taken_for_those_the_teacher_saw(roots: run.Roots) -> None:
    import numpy as np

    wanted = problem(data=Data("npz", path="a.npz"), views=1)
    for seed in (0, 1):
        images = np.random.default_rng(seed).integers(0, 256, (60, 8, 8)).astype(np.uint8)
        np.savez(roots.data / "a.npz", images=images, labels=np.arange(60) % 3)
        room.answers(setting(wanted, roots))
    assert len(stored(roots.store, "weights-*.safetensors")) == 2


def prepare_in_a_process(roots: run.Roots, gate: object, answers: object) -> None:
    run.set_threads(1)
    gate.wait()  # type: ignore[attr-defined]
    prepared = run.prepare(problem(), roots, "cpu")
    answers.put(float(prepared.train_logits.double().sum()))  # type: ignore[attr-defined]


@pytest.mark.slow
def test_processes_train_it_once_between_them(roots: run.Roots) -> None:
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(2), context.Queue()
    process = context.Process(target=prepare_in_a_process, args=(roots, gate, answers))
    process.start()
    gate.wait()
    ours = run.prepare(problem(), roots, "cpu")
    assert answers.get(timeout=120) == float(ours.train_logits.double().sum())
    process.join()
    assert process.exitcode == 0
    assert len(stored(roots.store, "weights-*.safetensors")) == 1


def test_given_weights(roots: run.Roots) -> None:
    model = Model("cnn", {"width": 4})
    state = models.build(model, 1, (8, 8), 10, seed=3).state_dict()
    wanted = problem(teacher=Teacher("weights", model=model, artifact=put(roots.store, state)))
    ready = run.prepare(wanted, roots, "cpu")
    assert ready.facts.validation.accuracy < 0.5  # they are untrained weights
    part, said = ready.test.open(PERMIT)
    assert said.shape == (len(part.labels), 10)


def test_weights_that_the_store_took_in_are_found(roots: run.Roots, tmp_path: Path) -> None:
    model = Model("cnn", {"width": 4})
    weights.save(models.build(model, 1, (8, 8), 10, seed=3).state_dict(), tmp_path / "mine.safetensors")
    digest = artifacts.keep(Folder(roots.store), tmp_path / "mine.safetensors")
    ready = run.prepare(problem(teacher=Teacher("weights", model=model, artifact=digest)), roots, "cpu")
    assert ready.train_logits.shape == (2, 300, 10)


def given_logits(wanted: Problem, roots: run.Roots) -> dict[str, torch.Tensor]:
    split = datasets.load(wanted.data, roots.data)
    tests = datasets.load_test(wanted.data, roots.data, PERMIT)
    chance = torch.Generator().manual_seed(0)
    shapes = {"train": (2, len(split.train.labels)), "validation": (359,), "test": (len(tests.labels),)}
    return {name: torch.randn((*shape, 10), generator=chance) for name, shape in shapes.items()}


def test_given_logits_need_no_model(roots: run.Roots) -> None:
    tensors = given_logits(problem(), roots)
    ready = run.prepare(problem(teacher=Teacher("logits", artifact=put(roots.store, tensors))), roots, "cpu")
    assert torch.equal(ready.train_logits, tensors["train"])
    assert torch.equal(ready.validation_logits, tensors["validation"])
    assert torch.equal(ready.test.open(PERMIT)[1], tensors["test"])
    assert not (roots.store / "teachers").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": torch.zeros(1, 300, 10)}, "shape"),
        ({"validation": torch.zeros(359, 9)}, "shape"),
        ({"validation": torch.zeros(359, 10, dtype=torch.int64)}, "floats"),
        ({"train": torch.full((2, 300, 10), float("nan"))}, "finite"),
        ({"train": None}, "only test, validation"),
        ({"test": None}, "no tensor `test`"),
        ({"test": torch.zeros(358, 10)}, "shape"),
        ({"test": torch.full((359, 10), float("inf"))}, "finite"),
    ],
)
def test_given_logits_that_do_not_fit(roots: run.Roots, change: dict[str, torch.Tensor | None], words: str) -> None:
    tensors = {name: t for name, t in (given_logits(problem(), roots) | change).items() if t is not None}
    wanted = problem(teacher=Teacher("logits", artifact=put(roots.store, tensors)))
    with pytest.raises(TeacherInvalid, match=words):
        run.prepare(wanted, roots, "cpu")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Teacher("weights", model=Model("cnn"), artifact="0" * 64), "not in the artifact store"),
        (Teacher("weights", model=Model("cnn"), artifact="../../etc/passwd"), "64 hex digits"),
        (Teacher("weights", artifact="0" * 64), "needs a model"),
        (Teacher("logits"), "needs an artifact"),
        (Teacher("train", model=Model("cnn")), "needs a training"),
        (teacher(optimizer=Optimizer("sgd", 1e30, 0.0, 0.9)), "diverged|not finite"),
    ],
)
def test_teachers_that_cannot_be(roots: run.Roots, given: Teacher, words: str) -> None:
    with pytest.raises(TeacherInvalid, match=words):
        run.prepare(problem(teacher=given), roots, "cpu")
    assert not list(roots.store.rglob("*.json"))


def test_damaged_and_foreign_artifacts_are_refused(roots: run.Roots) -> None:
    model = Model("cnn", {"width": 4})
    foreign = put(roots.store, {"head.weight": torch.zeros(10, 3)})
    with pytest.raises(TeacherInvalid, match="does not fit"):
        run.prepare(problem(teacher=Teacher("weights", model=model, artifact=foreign)), roots, "cpu")
    path = roots.store / foreign[:2] / foreign
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(TeacherInvalid, match="damaged"):
        run.prepare(problem(teacher=Teacher("weights", model=model, artifact=foreign)), roots, "cpu")
    content = b"no safetensors"
    digest = hashlib.sha256(content).hexdigest()
    (roots.store / digest[:2]).mkdir(exist_ok=True)
    (roots.store / digest[:2] / digest).write_bytes(content)
    with pytest.raises(TeacherInvalid, match="not a safetensors file"):
        run.prepare(problem(teacher=Teacher("weights", model=model, artifact=digest)), roots, "cpu")
