"""The front door: preparing, measuring on test under the seal, and what a worker tells of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers.problems import assignment, problem
from trainers import run
from trainers.data import datasets
from trainers.errors import DatasetInvalid, DatasetMissing, ModelUnavailable, TeacherInvalid, TestSplitSealed
from trainers.spec import Data, EpochReport, Model, TestPermit, Training

PERMIT = TestPermit("job", confirmed_at=1.0)


def finished(ready: run.Prepared, path: Path, seed: int = 1) -> list[EpochReport]:
    engine = run.open_engine(ready)
    lane = engine.admit(assignment(seed=seed))
    reports = [report for _ in range(ready.problem.training.epochs) for report in engine.step_epoch()]
    engine.save_student(lane, path)
    return [report for report in reports if isinstance(report, EpochReport)]


def test_a_broken_test_part_is_found_before_anything_is_trained(roots: run.Roots) -> None:
    chance = np.random.default_rng(0)
    arrays = {
        name: chance.integers(0, 256, (60, 8, 8), dtype=np.uint8) if "images" in name else np.arange(60) % 10
        for name in ("images", "labels", "test_images", "test_labels")
    }
    np.savez(roots.data / "set.npz", **(arrays | {"test_labels": np.arange(60) % 11}))
    with pytest.raises(DatasetInvalid, match="label 10, training has 10"):
        run.prepare(problem(data=Data("npz", path="set.npz")), roots, "cpu")
    assert not (roots.store / "teachers").exists()


def test_a_student_is_measured_on_test_with_a_permit_only(ready: run.Prepared, tmp_path: Path) -> None:
    path = tmp_path / "student.safetensors"
    finished(ready, path)
    configuration = assignment().configuration
    with pytest.raises(TestSplitSealed):
        run.evaluate_test(ready, path, configuration, TestPermit("job", confirmed_at=0.0))
    measured = run.evaluate_test(ready, path, configuration, PERMIT)
    assert measured == run.evaluate_test(ready, path, configuration, PERMIT)
    right = np.unpackbits(np.frombuffer(measured.right, np.uint8))
    assert measured.images <= len(right) < measured.images + 8
    assert right[: measured.images].mean() == pytest.approx(measured.metrics.accuracy)
    assert 0 < right.sum() < measured.images
    with pytest.raises(TestSplitSealed):  # still, after it has been open
        run.evaluate_test(ready, path, configuration, None)  # type: ignore[arg-type]
    with pytest.raises(TeacherInvalid, match="is missing"):
        run.evaluate_test(ready, tmp_path / "absent.safetensors", configuration, PERMIT)


def test_nothing_before_confirmation_depends_on_the_test_part(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    content: dict[str, Any] = {
        "images": chance.integers(0, 256, (90, 8, 8)).astype(np.uint8),
        "labels": np.arange(90) % 3,
        "test_images": chance.integers(0, 256, (30, 8, 8)).astype(np.uint8),
        "test_labels": np.arange(30) % 3,
    }
    said = []
    for name in ("plain", "shuffled"):
        roots = run.Roots(tmp_path / name, tmp_path / name)
        roots.data.mkdir()
        np.savez(roots.data / "a.npz", **content)
        ready = run.prepare(problem(data=Data("npz", path="a.npz"), views=1), roots, "cpu")
        reports = finished(ready, roots.store / "student.safetensors")
        measured = run.evaluate_test(ready, roots.store / "student.safetensors", assignment().configuration, PERMIT)
        said.append(([(report.train_loss, report.validation) for report in reports], ready.facts, measured))
        content["test_labels"] = chance.permutation(content["test_labels"])
    assert said[0][:2] == said[1][:2]
    assert said[0][2].metrics.nll != said[1][2].metrics.nll


def test_a_test_part_of_its_own_is_not_opened_by_prepare(monkeypatch: pytest.MonkeyPatch, roots: run.Roots) -> None:
    def opened(*_: object) -> None:
        raise AssertionError("the test part was opened")

    monkeypatch.setattr(datasets, "load_test", opened)
    ready = run.prepare(problem(training=Training(1, 64)), roots, "cpu")
    engine = run.open_engine(ready)
    engine.admit(assignment())
    assert len(engine.step_epoch()) == 1


def test_what_cannot_be_prepared_says_so(roots: run.Roots) -> None:
    with pytest.raises(DatasetMissing):
        run.prepare(problem(data=Data("CIFAR10")), roots, "cpu")
    with pytest.raises(ModelUnavailable, match="did you mean"):
        run.prepare(problem(student=Model("resnet_18")), roots, "cpu")
    with pytest.raises(ModelUnavailable, match="alexnet"):
        run.prepare(problem(student=Model("alexnet")), roots, "cpu")
    assert not (roots.store / "teachers").exists()


def test_bf16_trains_and_differs_from_fp32(ready: run.Prepared, roots: run.Roots, tmp_path: Path) -> None:
    rough = run.prepare(problem(precision="bf16"), roots, "cpu")
    assert (ready.train_logits.dtype, rough.train_logits.dtype) == (torch.float32, torch.float16)
    reports = [finished(one, tmp_path / "s.safetensors")[-1] for one in (ready, rough)]
    assert reports[1].validation.accuracy > 0.3
    assert reports[0].validation.nll != reports[1].validation.nll


def test_softness_rises_with_temperature(ready: run.Prepared) -> None:
    softness = run.teacher_softness(ready, [1.0, 4.0, 40.0])
    assert softness == sorted(softness)
    assert softness[0] == pytest.approx(ready.facts.validation.teacher_entropy)


def test_capabilities_are_plain_and_threads_are_set() -> None:
    before = torch.get_num_threads()
    run.set_threads(1)
    told = json.loads(json.dumps(run.capabilities()))
    assert told["threads"] == 1
    assert told["torch"] == torch.__version__
    assert told["device"] in ("cpu", "cuda")
    run.set_threads(before)


def test_an_unknown_device_is_refused(roots: run.Roots) -> None:
    with pytest.raises(RuntimeError):
        run.prepare(problem(), roots, "abacus")
