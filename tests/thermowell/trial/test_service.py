"""The loop of a training script against a real service."""

from __future__ import annotations

import gc
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

import thermowell
from search.records import Job
from search.requests import jobs, keys, results, trials
from search.states import JobState, TrialState
from tests.claimed import Program
from tests.search.factories import EPOCHS, ME
from thermowell.trial import transport
from thermowell.trial.handle import Trial


def value_of(trial: Trial) -> float:
    return 0.5 + trial.configuration.temperature / 1000 + trial.seed % 100 / 100_000


def state_of(own: Program, job: Job, number: int = 0) -> Any:
    return trials.get_trial(own.db, job.id, number, ME)[0]


@pytest.mark.slow
def test_a_job_is_trained_to_its_answer(own: Program, concluding: None) -> None:
    job = own.submit(name="words")
    stages = []
    for trial in thermowell.trials(queue="q"):
        with trial:
            stages.append(trial.stage)
            for epoch in trial.left():
                if trial.report(epoch, accuracy=value_of(trial)):
                    break
            trial.complete(test={"accuracy": 0.125} if trial.test else None)
    assert jobs.get_job(own.db, job.id, ME).state is JobState.COMPLETED
    assert set(stages) == {"search", "baseline", "select", "estimate"}
    test = results.get_result(own.db, job.id, ME).winner.test
    assert test is not None
    assert test["accuracy"].mean == 0.125


def test_a_pruned_trial_has_ended(own: Program) -> None:
    pruner = {"name": "median", "min_epochs": 1, "reduction_factor": 2, "startup_trials": 1}
    job = own.submit(pruner=pruner, budget={"trials": 4})
    loop = thermowell.trials(job=job.id)
    with next(loop) as trial:
        assert [trial.report(epoch, accuracy=0.9) for epoch in trial.left()] == [False] * EPOCHS
        trial.complete()
    with next(loop) as trial:
        assert trial.rungs
        assert trial.report(1, accuracy=0.1)
        trial.complete()
    assert trial.stopped == "pruned"
    assert state_of(own, job, 1).state is TrialState.PRUNED


def test_a_trial_that_another_has_is_lost(own: Program, caplog: pytest.LogCaptureFixture) -> None:
    own.submit()
    mine = next(thermowell.trials(queue="q", client="n1"))
    again = next(thermowell.trials(queue="q", client="n1"))  # the same client after a restart
    assert (again.number, again.attempt) == (mine.number, 2)
    with mine:
        assert mine.report(1, accuracy=0.5)
        mine.complete()
    assert mine.stopped == "lost"
    assert not again.report(1, accuracy=0.5)
    assert next(thermowell.trials(queue="q")).number == 1  # a generated name is another client
    assert "claimed by another" in caplog.text


def test_a_failure_is_kept_with_its_log(own: Program) -> None:
    job = own.submit()

    def train() -> None:
        with next(thermowell.trials(queue="q")) as trial:
            trial.log("reading", "data")
            raise ZeroDivisionError("no data")

    with pytest.raises(ZeroDivisionError):
        train()
    row = state_of(own, job)
    assert (row.state, row.reason.type, row.reason.detail) == (
        TrialState.FAILED, "crashed", "ZeroDivisionError: no data",
    )  # fmt: skip
    assert row.log_tail.startswith("reading data\nTraceback")
    with next(thermowell.trials(queue="q")) as trial:
        trial.report(1, accuracy=float("nan"))
    assert state_of(own, job, 1).reason.type == "diverged"


def test_what_is_given_back_goes_on_elsewhere(own: Program) -> None:
    own.submit()

    def train() -> None:
        with next(thermowell.trials(queue="q")) as trial:
            trial.report(1, accuracy=0.5, resume="s3://bucket/1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    with next(thermowell.trials(queue="q")) as trial:
        assert trial.resume is not None
        assert (trial.number, trial.resume.epoch, trial.resume.at) == (0, 1, "s3://bucket/1")
        assert list(trial.left()) == list(range(2, EPOCHS + 1))
        trial.give_back()


def renewals() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "thermowell-renewal"}


def test_the_lease_is_renewed_while_an_epoch_takes_long(own: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    own.submit()
    before = renewals()
    renewed = threading.Event()
    send = transport.Transport.send

    def noted(self: Any, method: str, path: str, *rest: Any) -> Any:
        answer = send(self, method, path, *rest)
        if path.endswith("/renew"):
            assert list(answer["leases"].values()) == ["current"]
            renewed.set()
        return answer

    monkeypatch.setattr(transport.Transport, "send", noted)
    with next(thermowell.trials(queue="q", lease_seconds=5)) as trial:
        [thread] = renewals() - before
        assert renewed.wait(10)
        trial.give_back()
    thread.join(5)
    assert not thread.is_alive()


def test_a_trial_that_is_forgotten_is_renewed_no_more(own: Program) -> None:
    own.submit()
    before = renewals()
    trial = next(thermowell.trials(queue="q"))
    [thread] = renewals() - before
    del trial
    gc.collect()
    thread.join(5)
    assert not thread.is_alive()


def test_files_are_kept_with_their_digest(own: Program, tmp_path: Path) -> None:
    job = own.submit()
    file = tmp_path / "student.bin"
    file.write_bytes(b"weights" * 100)
    with next(thermowell.trials(queue="q")) as trial:
        trial.artifact(file)
        trial.artifact(b"words", "notes.txt")
        with pytest.raises(thermowell.Refused, match="larger than"):
            trial.artifact(b"x" * 5000, "big")
        trial.give_back()
    assert own.client.get(f"/v1/jobs/{job.id}/artifacts/trial-0-student.bin").content == b"weights" * 100
    assert own.client.get(f"/v1/jobs/{job.id}/artifacts/trial-0-notes.txt").content == b"words"


def test_a_spec_names_its_queue(own: Program, tmp_path: Path) -> None:
    own.submit()
    spec = tmp_path / "job.json"
    spec.write_text(json.dumps({"trainer": {"external": {"queue": "q"}}}))
    with next(thermowell.trials(job=spec)) as trial:
        assert trial.number == 0
        trial.give_back()


@pytest.mark.parametrize("where", [{}, {"queue": "q", "study": "s"}, {"queue": "q", "job": "j"}])
def test_one_of_queue_job_and_study_is_named(where: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="one of queue, job and study"):
        thermowell.trials(url="http://localhost", **where)


def test_what_cannot_be_had_is_said(own: Program, caplog: pytest.LogCaptureFixture) -> None:
    assert list(thermowell.trials(queue="nobody")) == []
    assert "was ever submitted" in caplog.text
    with pytest.raises(thermowell.NotFound, match="no such job"):
        next(thermowell.trials(job="0" * 16))
    _, _ = keys.create_key(own.db, "someone", frozenset({"submit"}))
    with pytest.raises(thermowell.Unauthenticated):
        next(thermowell.trials(queue="q"))


def test_what_a_job_waits_for_is_said_once(own: Program, caplog: pytest.LogCaptureFixture) -> None:
    job = own.submit()
    jobs.pause_job(own.db, job.id, ME)
    caplog.set_level(logging.WARNING)
    loop = thermowell.trials(queue="q")
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(next(loop, None)), daemon=True)
    waits = transport.Transport.post
    asked = threading.Semaphore(0)

    def soon(self: Any, path: str, document: Any = None, **rest: Any) -> Any:
        answer = waits(self, path, {**document, "wait_seconds": 0} if path == "/v1/claims" else document, **rest)
        if path == "/v1/claims" and answer["retry_after"]:
            answer["retry_after"] = 0.01
        asked.release()
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport.Transport, "post", soon)
        thread.start()
        for _ in range(3):
            assert asked.acquire(timeout=20)
        jobs.cancel_job(own.db, job.id, ME)
        thread.join(20)
    assert answers == [None]
    assert caplog.text.count(f"job {job.id} is paused") == 1
