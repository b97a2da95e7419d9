"""A student that went on from a checkpoint is the one that never stopped, and a checkpoint that is none is refused."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.processes import Processes
from tests.trainers.problems import assignment, problem
from trainers import run
from trainers.engines import checkpoints
from trainers.engines.loop import LoopEngine
from trainers.errors import CheckpointInvalid, TrainingError
from trainers.spec import Assignment, EpochReport, LaneFailure, Model, Optimizer

ROOT = Path(__file__).parents[2]
OPTIMIZERS = {
    "sgd": Optimizer("sgd", 0.1, 1e-4),
    "momentum": Optimizer("sgd", 0.05, 1e-3, 0.9),
    "nesterov": Optimizer("sgd", 0.05, 0.0, 0.9, nesterov=True),
    "adam": Optimizer("adam", 0.01, 1e-3),
    "adamw": Optimizer("adamw", 0.01, 0.1),
}
STUDENTS = {
    "mlp with dropout": Model("mlp", {"width": 16, "dropout": 0.2}),
    "cnn with batch norm": Model("cnn", {"width": 4, "dropout": 0.1}),
}


@pytest.fixture(
    scope="module", params=["mlp with dropout", pytest.param("cnn with batch norm", marks=pytest.mark.slow)]
)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> run.Prepared:
    folder = tmp_path_factory.mktemp("checkpoints")
    return run.prepare(problem(student=STUDENTS[request.param]), run.Roots(folder, folder), "cpu")


def epoch(engine: LoopEngine) -> list[EpochReport]:
    """One epoch's reports without what may differ: the time and the lane."""
    said = [each for each in engine.step_epoch() if isinstance(each, EpochReport)]
    return [dataclasses.replace(each, seconds=0.0, lane=0) for each in said]


def train(engine: LoopEngine) -> list[EpochReport]:
    """All that is left to report."""
    said = []
    while step := epoch(engine):
        said.extend(step)
    return said


def student(engine: LoopEngine, lane: int, path: Path) -> bytes:
    engine.save_student(lane, path)
    return path.read_bytes()


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_stopped_at_any_epoch_and_continued_is_never_stopped(
    prepared: run.Prepared, tmp_path: Path, optimizer: str
) -> None:
    """Weights, buffers, moments and reports are equal to the bit."""
    one = assignment(optimizer=OPTIMIZERS[optimizer])
    engine = LoopEngine(prepared)
    lane = engine.admit(one)
    reports = []
    for epochs in range(4):
        engine.save_lane(lane, tmp_path / str(epochs))
        reports += epoch(engine)
    assert [each.epoch for each in reports] == [1, 2, 3]
    expected = student(engine, lane, tmp_path / "whole.safetensors")
    for epochs in range(4):
        again = LoopEngine(prepared, lanes=2)
        again.admit(assignment("other", seed=5))  # a neighbour does not matter
        lane = again.admit(one, tmp_path / str(epochs))
        assert [each for each in train(again) if each.trial == "a"] == reports[epochs:]
        assert student(again, lane, tmp_path / "again.safetensors") == expected
        again.save_lane(lane, tmp_path / f"end-{epochs}")
        ends = [(tmp_path / name / "state.safetensors").read_bytes() for name in ("end-0", f"end-{epochs}")]
        assert ends[0] == ends[1]


def test_it_goes_on_in_another_process(prepared: run.Prepared, tmp_path: Path, processes: Processes) -> None:
    script = """
import sys
from pathlib import Path
from tests.trainers.problems import assignment, problem
from trainers import run
from trainers.engines.loop import LoopEngine
from trainers.spec import Model, Optimizer
import json
name, arguments, store, folder, student = sys.argv[1:]
run.set_threads(1)
wanted = problem(student=Model(name, json.loads(arguments)))
engine = LoopEngine(run.prepare(wanted, run.Roots(Path(store), Path(store)), "cpu"))
lane = engine.admit(assignment(optimizer=Optimizer("adamw", 0.01, 0.1)), Path(folder))
while engine.step_epoch():
    pass
engine.save_student(lane, Path(student))
"""
    engine = LoopEngine(prepared)
    lane = engine.admit(assignment(optimizer=OPTIMIZERS["adamw"]))
    engine.step_epoch()
    engine.save_lane(lane, tmp_path / "one")
    train(engine)
    expected = student(engine, lane, tmp_path / "whole.safetensors")
    model, other = prepared.problem.student, tmp_path / "other.safetensors"
    started = processes.start(
        sys.executable, "-c", script, model.name, json.dumps(dict(model.arguments)), prepared.roots.store,
        tmp_path / "one", other, cwd=ROOT,
    )  # fmt: skip
    assert started.wait() == 0, started.output()
    assert other.read_bytes() == expected


def test_the_last_finite_loss_goes_along(ready: run.Prepared, tmp_path: Path) -> None:
    engine = LoopEngine(ready)
    lane = engine.admit(assignment())
    engine.save_lane(lane, tmp_path / "fresh")
    engine.step_epoch()
    engine.save_lane(lane, tmp_path / "one")
    fresh, one = (
        checkpoints.read_checkpoint(tmp_path / name, ready.problem.fingerprint(), assignment())
        for name in ("fresh", "one")
    )
    assert (fresh.epochs, fresh.last_finite_loss, dict(fresh.first), dict(fresh.second)) == (0, None, {}, {})
    assert one.epochs == 1
    assert one.last_finite_loss is not None
    assert set(one.first) == {name for name in one.weights if name in dict(fresh.weights)}
    assert not one.second


def test_a_failed_or_free_lane_cannot_be_saved(ready: run.Prepared, tmp_path: Path) -> None:
    engine = LoopEngine(ready)
    with pytest.raises(RuntimeError, match="not occupied"):
        engine.save_lane(0, tmp_path / "none")
    lane = engine.admit(assignment(optimizer=Optimizer("sgd", 1e30, 0.0, 0.9)))
    assert isinstance(engine.step_epoch()[0], LaneFailure)
    with pytest.raises(RuntimeError, match="failed"):
        engine.save_lane(lane, tmp_path / "none")
    engine.close()
    engine.close()
    assert engine.free() == 1
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def saved(ready: run.Prepared, tmp_path: Path) -> Path:
    """A checkpoint after one epoch of `assignment()`."""
    engine = LoopEngine(ready)
    lane = engine.admit(assignment())
    engine.step_epoch()
    engine.save_lane(lane, tmp_path / "saved")
    return tmp_path / "saved"


def test_it_is_written_whole_or_not_at_all(ready: run.Prepared, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(entry.name for entry in saved.parent.iterdir()) == ["saved"]
    engine = LoopEngine(ready)
    lane = engine.admit(assignment())
    before = (saved / checkpoints.PAPERS).read_bytes()
    with pytest.raises(FileExistsError, match="never overwritten"):
        engine.save_lane(lane, saved)
    assert (saved / checkpoints.PAPERS).read_bytes() == before

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        engine.save_lane(lane, saved.parent / "second")
    assert sorted(entry.name for entry in saved.parent.iterdir()) == ["saved"]


def refusal(ready: run.Prepared, folder: Path, one: Assignment | None = None) -> str:
    """Why an engine does not go on from there; its lane stays free."""
    engine = LoopEngine(ready)
    with pytest.raises(CheckpointInvalid, match="over") as caught:
        engine.admit(one or assignment(), folder)
    assert engine.free() == 1
    assert not isinstance(caught.value, TrainingError)  # that would fail the job
    return str(caught.value)


def test_what_is_missing_or_somebody_else_s_is_refused(ready: run.Prepared, saved: Path, roots: run.Roots) -> None:
    assert "missing" in refusal(ready, saved.parent / "nowhere")
    for other in (assignment(seed=2), assignment(temperature=5.0), assignment("b")):
        assert "another student" in refusal(ready, saved, other)
    elsewhere = dataclasses.replace(ready, problem=problem(views=1))
    assert "another problem" in refusal(elsewhere, saved)


def test_what_is_damaged_is_refused(ready: run.Prepared, saved: Path) -> None:
    state, papers = saved / checkpoints.STATE, saved / checkpoints.PAPERS
    whole, said = state.read_bytes(), papers.read_text()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for content in (b"", whole[:-10], bytes(flipped)):
        state.write_bytes(content)
        assert "damaged" in refusal(ready, saved)
    state.unlink()
    assert "damaged" in refusal(ready, saved)
    state.write_bytes(whole)
    document = json.loads(said)
    for text in ("", "{", "[]", "\0", json.dumps(document | {"epochs": -1}), json.dumps(document | {"sha256": None})):
        papers.write_text(text)
        assert "damaged" in refusal(ready, saved)
    for changes in ({"epochs": document["epochs"] + 1}, {"last_finite_loss": 0.125}, {"papers": "0" * 64}):
        papers.write_text(json.dumps(document | changes))
        assert "damaged" in refusal(ready, saved)
    papers.write_text(json.dumps({"format": checkpoints.FORMAT + 1}))
    assert "newer version" in refusal(ready, saved)
    papers.write_text(json.dumps({name: value for name, value in document.items() if name != "papers"}))
    LoopEngine(ready).admit(assignment(), saved)  # as they were before papers had a digest of their own
    papers.write_text(said)
    LoopEngine(ready).admit(assignment(), saved)


def test_what_does_not_fit_the_model_is_refused(ready: run.Prepared, saved: Path) -> None:
    fingerprint = ready.problem.fingerprint()
    state = checkpoints.read_checkpoint(saved, fingerprint, assignment())
    name, moment = next(iter(state.first.items()))
    wrong = {
        "weights": dataclasses.replace(state, weights={}),
        "shape": dataclasses.replace(state, first=dict(state.first) | {name: moment[:1]}),
        "name": dataclasses.replace(state, second={"nobody": torch.zeros(1)}),
    }
    for kind, each in wrong.items():
        checkpoints.write(saved.parent / kind, each, fingerprint, assignment())
        assert "does not fit" in refusal(ready, saved.parent / kind)
