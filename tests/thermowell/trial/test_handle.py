"""A trial in a script's hands: settings by name, decisions, and every way in which it may end."""

from __future__ import annotations

import copy
import logging
import math
import os
import pickle
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

import thermowell
from tests.thermowell.trial import folders
from thermowell.trial.documents import Configuration
from thermowell.trial.folder import FolderChannel, read_lines
from thermowell.trial.handle import Trial, Unfinished
from thermowell.trial.ranks import Ranks


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = folders.make(tmp_path / "trial")
    monkeypatch.setenv("THERMOWELL_TRIAL", str(path))
    return path


def only() -> Trial:
    return next(thermowell.trials())


def test_settings_have_their_names() -> None:
    document = folders.claim()["configuration"] | {"optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": None}}
    settings = Configuration(document)
    assert (settings.temperature, settings["lr"], settings.pooling, settings.learning_rate) == (4.0, 0.01, "cls", 0.1)
    assert settings.parameters == {"lr": 0.01, "pooling": "cls"}
    assert "momentum" not in settings
    with pytest.raises(AttributeError, match="did you mean temperature"):
        settings.temprature  # noqa: B018
    with pytest.raises(KeyError, match="there are"):
        settings["x"]
    for other in (copy.deepcopy(settings), pickle.loads(pickle.dumps(settings))):
        assert (other, other.parameters) == (settings, settings.parameters)


def test_a_trial_is_trained_to_its_end(folder: Path) -> None:
    with folders.deciding(folder):
        for trial in thermowell.trials(queue="any"):
            with trial:
                assert (trial.seed, trial.arm, trial.test, list(trial.left())) == (11, "joint", False, [1, 2, 3, 4])
                for epoch in trial.left():
                    assert not trial.report(epoch, {"eval/loss": 1.0}, accuracy=epoch / 10, resume=f"at {epoch}")
                trial.artifact(b"weights", "student.bin")
                trial.artifact(folder / "trial.json")
                trial.complete()
    assert folders.result(folder) == {"epoch": 4, "metrics": {"eval/loss": 1.0, "accuracy": 0.4}, "test": None}
    first = next(read_lines(folder / "reports.jsonl"))
    assert first.pop("seconds") >= 0
    assert first == {"epoch": 1, "metrics": {"eval/loss": 1.0, "accuracy": 0.1}, "resume": {"epoch": 1, "at": "at 1"}}
    assert sorted(path.name for path in (folder / "artifacts").iterdir()) == ["student.bin", "trial.json"]


def test_a_later_attempt_goes_on(folder: Path) -> None:
    folders.make(folder, resume={"epoch": 2, "at": "here"}, attempt=2)
    trial = only()
    assert (list(trial.left()), trial.resume.at) == ([3, 4], "here")  # type: ignore[union-attr]
    (trial.checkpoint / "state").write_text("kept")
    assert (folder / "checkpoint" / "state").exists()
    trial.fail("infeasible")


@pytest.mark.parametrize("stop", ["pruned", "ended", "lost"])
def test_a_stopped_trial_needs_nothing_more(folder: Path, stop: str) -> None:
    with folders.deciding(folder, lambda report: stop if report["epoch"] == 2 else None):
        for trial in thermowell.trials():
            with trial:
                epochs = [epoch for epoch in trial.left() if not trial.report(epoch, accuracy=0.5)]
                trial.complete(test=None)
            assert (epochs, trial.stopped, trial.ended) == ([1], stop, True)
    assert len(list(read_lines(folder / "reports.jsonl"))) == 2
    assert not (folder / "result.json").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("by_report", [True, False])
def test_an_objective_that_is_no_number_has_diverged(folder: Path, value: float, by_report: bool) -> None:
    with only() as trial:
        if by_report:
            assert trial.report(1, accuracy=value)
        else:
            trial.complete(accuracy=value)
        assert trial.stopped == "diverged"
        trial.complete()
    fail = folders.result(folder)["fail"]
    assert (fail["type"], fail["detail"].split(" at ")[1]) == ("diverged", "epoch " + ("1" if by_report else "4"))


def test_other_metrics_that_are_no_numbers_are_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with folders.deciding(folder), only() as trial:
        for epoch in (1, 2):
            trial.report(epoch, accuracy=0.5, loss=math.nan)
        trial.complete()
    assert folders.result(folder)["metrics"] == {"accuracy": 0.5}
    assert caplog.text.count("loss is nan") == 1


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda trial: trial.complete(), ValueError, "the objective is accuracy, and there is nothing"),
        (lambda trial: trial.complete(acuracy=1), ValueError, "did you mean acuracy"),
        (lambda trial: trial.complete(accuracy="high"), TypeError, "accuracy must be a number"),
        (lambda trial: trial.complete(accuracy=1, test={"accuracy": 1}), ValueError, "only where trial.test"),
        (lambda trial: trial.fail("broken"), ValueError, "kind must be one of"),
        (lambda trial: trial.artifact(b"x"), ValueError, "name must have"),
        (lambda trial: trial.artifact(b"x", "../x"), ValueError, "name must have"),
        (lambda trial: 1 / 0, ZeroDivisionError, "division"),
        (lambda trial: exec("raise SystemExit(3)"), SystemExit, "3"),
    ],
)
def test_an_exception_fails_the_trial_as_crashed(folder: Path, act: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words), only() as trial:
        act(trial)
    fail = folders.result(folder)["fail"]
    assert fail["type"] == "crashed"
    assert fail["detail"].startswith(error.__name__)


def test_a_rung_needs_the_objective(folder: Path) -> None:
    folders.make(folder, rungs=[2])
    trial = only()
    with folders.deciding(folder):
        trial.report(1, loss=1)
    with pytest.raises(ValueError, match="epoch 2 is a rung"):
        trial.report(2, loss=1)


def test_leaving_without_a_result_is_an_error(folder: Path) -> None:
    with pytest.raises(Unfinished, match="was left without a result"), only():
        pass
    assert folders.result(folder)["fail"]["type"] == "crashed"


def test_leaving_without_a_result_is_an_error_of_the_loop_too(folder: Path) -> None:
    with pytest.raises(Unfinished, match="trial 3 was left"):
        for _ in thermowell.trials():
            pass


@pytest.mark.parametrize(
    ("error", "kind"), [(thermowell.Diverged("loss 9e9"), "diverged"), (thermowell.Infeasible("memory"), "infeasible")]
)
def test_exceptions_may_say_how_it_ends(folder: Path, error: Exception, kind: str) -> None:
    with only() as trial:
        raise error
    assert folders.result(folder)["fail"] == {"type": kind, "detail": str(error)}
    assert trial.ended


def test_sigterm_gives_the_trial_back(folder: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def train() -> None:
        with only():
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(20)

    with pytest.raises(SystemExit) as end:
        train()
    assert end.value.code == 75
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (folder / "result.json").exists()


def test_an_interrupt_gives_the_trial_back(folder: Path) -> None:
    with pytest.raises(SystemExit) as end, only():
        raise KeyboardInterrupt
    assert end.value.code == 75
    assert not (folder / "result.json").exists()


def test_a_programs_handler_of_sigterm_stays(folder: Path) -> None:
    calls: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: calls.append(number))
    try:
        with only() as trial:
            os.kill(os.getpid(), signal.SIGTERM)
            trial.fail("infeasible")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert calls == [signal.SIGTERM]


def test_a_forked_child_ends_by_sigterm_as_ever(folder: Path) -> None:
    with only() as trial:
        ready, begun = os.pipe()
        child = os.fork()
        if child == 0:  # a data loader's process
            os.write(begun, b"x")
            for _ in range(200):
                threading.Event().wait(0.1)
            os._exit(0)
        os.read(ready, 1)
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        trial.fail("infeasible")
    os.close(ready)
    os.close(begun)
    assert os.WTERMSIG(status) == signal.SIGTERM


def test_the_first_result_counts(folder: Path) -> None:
    channel = FolderChannel(folder)
    channel.fail("crashed", "rank 1", "")
    channel.complete({"epoch": 1, "metrics": {}, "test": None})
    assert folders.result(folder)["fail"]["detail"] == "rank 1"


def test_ranks_obey_the_decision_of_their_epoch(folder: Path) -> None:
    first = Trial(only().claim, FolderChannel(folder), Ranks({"RANK": "0", "WORLD_SIZE": "2"}))
    second = Trial(first.claim, FolderChannel(folder), Ranks({"RANK": "1", "WORLD_SIZE": "2"}))
    with folders.deciding(folder, lambda report: "pruned" if report["epoch"] == 3 else None):
        stops = [first.report(epoch, accuracy=0.5) for epoch in (1, 2, 3)]
        assert [second.report(epoch) for epoch in (1, 2, 3)] == stops == [False, False, True]
    assert len(list(read_lines(folder / "reports.jsonl"))) == 3


def test_another_rank_stops_where_the_first_has_ended(folder: Path) -> None:
    second = Trial(only().claim, FolderChannel(folder), Ranks({"RANK": "1", "WORLD_SIZE": "2"}))
    first = Trial(second.claim, FolderChannel(folder), Ranks({"RANK": "0", "WORLD_SIZE": "2"}))
    assert first.report(1, accuracy=math.nan)
    assert second.report(1, accuracy=0.5)
    second.complete(accuracy=1)
    assert folders.result(folder)["fail"]["type"] == "diverged"


def test_a_decision_that_never_comes_is_an_error(folder: Path) -> None:
    trial = Trial(only().claim, FolderChannel(folder, patience=0.01))
    with pytest.raises(thermowell.Unreachable, match="nobody has decided about epoch 1"):
        trial.report(1, accuracy=0.5)


def test_optimize_calls_for_each_trial(folder: Path) -> None:
    def objective(trial: Trial) -> float:
        for epoch in trial.left():
            if trial.report(epoch, accuracy=0.1):
                raise thermowell.Pruned
        return 0.5

    with folders.deciding(folder):
        thermowell.optimize(objective, job="j")
    assert folders.result(folder) == {"epoch": 4, "metrics": {"accuracy": 0.5}, "test": None}


def test_optimize_takes_mappings_and_catches_what_it_is_told_to(folder: Path) -> None:
    thermowell.optimize(lambda trial: {"accuracy": 0.5, "nll": 1})
    assert folders.result(folder)["metrics"] == {"accuracy": 0.5, "nll": 1.0}
    (folder / "result.json").unlink()
    thermowell.optimize(lambda trial: [][0], catch=(IndexError,))
    assert folders.result(folder)["fail"]["type"] == "crashed"
    with pytest.raises(TypeError, match="answered None"):
        thermowell.optimize(lambda trial: None)


def test_a_folder_without_a_trial_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERMOWELL_TRIAL", str(tmp_path))
    with pytest.raises(ValueError, match="unset THERMOWELL_TRIAL"):
        thermowell.trials()
    (tmp_path / "trial.json").write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        thermowell.trials()
    (tmp_path / "trial.json").write_text('{"seed": 1}')
    with pytest.raises(ValueError, match="lacks configuration, epochs"):
        thermowell.trials()


def test_by_hand_a_script_trains_default_settings(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("THERMOWELL_TRIAL", "THERMOWELL_URL"):
        monkeypatch.delenv(name, raising=False)
    spec = tmp_path / "job.yaml"
    spec.write_text("training: {epochs: 2}\nspace: {temperature: {low: 1, high: 16}, parameters: {lr: [1, 2, 3]}}\n")
    caplog.set_level(logging.WARNING)
    for trial in thermowell.trials(job=str(spec), settings={"kd_weight": 0.25, "lr": 9}):
        with trial:
            settings = trial.configuration
            assert (settings.temperature, settings.label_weight, settings.lr) == (4.0, 0.75, 9)
            for epoch in trial.left():
                trial.report(epoch, accuracy=0.5)
            trial.artifact(b"123", "x")
            trial.complete()
    assert capsys.readouterr().out.splitlines()[1:] == [
        "epoch 2: accuracy 0.5 (0.0 s)",
        "x (3 bytes) would be kept by the service",
        "complete at epoch 2: accuracy 0.5",
    ]
    assert "no service is named (THERMOWELL_URL)" in caplog.text
