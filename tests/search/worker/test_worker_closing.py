"""Faults while a worker closes a job, chooses its finalists or makes it ready, each counted against whose it is."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import UnidentifiedImageError

from search.analysis.job.build import Answer, answer_of
from search.claims import artifacts, attempts
from search.records import Job
from search.requests import jobs, trials
from search.settings import Settings
from search.states import JobState, TrialState
from search.storage import tables
from search.storage.db import Database
from search.storage.store import open_store
from search.worker import checkpoint_store, faults, finalists, job_finalizer, trial_finisher
from search.worker import process as worker
from search.worker.context import Interruption
from tests.search import factories
from tests.search.worker.test_worker import submitted
from trainers import errors, run

Raise = Callable[..., Any]


@pytest.fixture
def settings(db: Database, tmp_path: Path) -> Settings:
    return Settings(var=tmp_path, database_url=db.url, lease_seconds=30, poll_seconds=0.05, threads=1, engine="loop")


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One attempt suffices, so that nobody waits for the next."""
    monkeypatch.setattr(attempts, "ATTEMPTS", 1)


def raising(error: BaseException) -> Raise:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def now(db: Database, job: Job) -> tuple[JobState, str | None]:
    found = jobs.get_job(db, job.id, factories.ME)
    return found.state, None if found.problem is None else found.problem.type


def goes_on(db: Database, job: Job, settings: Settings) -> None:
    """Resumed, the job is answered, and none of its trials is trained again."""
    before = {trial.number: (trial.attempt, trial.value) for trial in trials.iter_trials(db, job.id, factories.ME)}
    jobs.resume_job(db, job.id, factories.ME)
    worker.run_worker(settings, exit_when_idle=True)
    assert now(db, job) == (JobState.COMPLETED, None)
    after = {trial.number: (trial.attempt, trial.value) for trial in trials.iter_trials(db, job.id, factories.ME)}
    assert before.items() <= after.items()


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize(
    "error",
    [OSError(24, "Too many open files"), MemoryError()],
    ids=lambda error: type(error).__name__,
)
def test_a_closing_that_a_machine_cannot_do_waits_for_the_user_and_keeps_what_there_is(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    job = submitted(db)
    with monkeypatch.context() as patched:
        patched.setattr(job_finalizer, "answer_of", raising(error))
        worker.run_worker(settings, exit_when_idle=True)
    assert now(db, job) == (JobState.PAUSED, "closing-failed")
    files = open_store(settings)
    assert files.names(artifacts.work(job.id)), "the students that were estimated"
    monkeypatch.setattr(run, "open_engine", raising(AssertionError("no student is trained again")))
    goes_on(db, job, settings)


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize("error", [np.linalg.LinAlgError("Singular matrix"), KeyError("none")])
def test_an_analysis_that_cannot_be_computed_fails_with_its_own_reason(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(job_finalizer, "answer_of", raising(error))
    job = submitted(db)
    worker.run_worker(settings, exit_when_idle=True)
    assert now(db, job) == (JobState.FAILED, "analysis-failed")
    problem = jobs.get_job(db, job.id, factories.ME).problem
    assert problem is not None
    assert problem.detail.startswith(faults.words(error))


def test_it_is_tried_again_after_a_while_before_anybody_gives_up(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, calls = answer_of, [0]

    def second(**given: Any) -> Any:
        calls[0] += 1
        if calls[0] == 1:
            raise np.linalg.LinAlgError("not this time")
        return build(**given)

    monkeypatch.setattr(job_finalizer, "answer_of", second)
    job = submitted(db)
    worker.run_worker(settings.model_copy(update={"lease_seconds": 1.0}), exit_when_idle=True)
    assert (now(db, job), calls) == ((JobState.COMPLETED, None), [2])


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.DatasetMissing("digits is not below the data root"), (JobState.PAUSED, "closing-failed")),
        (errors.DatasetInvalid("the test part has no images"), (JobState.FAILED, "dataset-invalid")),
    ],
)
def test_data_that_went_away_is_waited_for_and_a_test_part_that_is_wrong_is_not(
    db: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    outcome: tuple[JobState, str],
) -> None:
    monkeypatch.setattr(Answer, "undecided", False)
    monkeypatch.setattr(run, "evaluate_test", raising(error))
    job = submitted(db)
    worker.run_worker(settings, exit_when_idle=True)
    assert now(db, job) == outcome


@pytest.mark.usefixtures("once")
def test_finalists_wait_for_memory_and_are_ranked_by_value_where_they_cannot_be_computed(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted(db)
    with monkeypatch.context() as patched:
        patched.setattr(finalists, "choose_finalists", raising(MemoryError()))
        worker.run_worker(settings, exit_when_idle=True)
    assert now(db, job) == (JobState.PAUSED, "choosing-failed")
    monkeypatch.setattr(finalists, "choose_finalists", raising(TypeError("a fault of the program")))
    goes_on(db, job, settings)


@pytest.mark.usefixtures("once")
@pytest.mark.parametrize("error", [MemoryError(), OSError(24, "Too many open files")])
def test_a_teacher_that_a_machine_cannot_make_ready_costs_no_trial(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    job = submitted(db)
    with monkeypatch.context() as patched:
        patched.setattr(worker, "prepare", raising(error))
        worker.run_worker(settings, exit_when_idle=True)
    assert now(db, job) == (JobState.PAUSED, "preparing-failed")
    jobs.resume_job(db, job.id, factories.ME)
    worker.run_worker(settings, exit_when_idle=True)
    assert now(db, job) == (JobState.COMPLETED, None)
    assert {trial.state for trial in trials.iter_trials(db, job.id, factories.ME)} == {TrialState.COMPLETED}


def test_data_that_goes_away_in_the_middle_pauses_the_job(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker comes, which does not have it."""
    job, interruption = submitted(db), Interruption()
    end = trial_finisher.TrialFinisher.end

    def end_and_stop(*given: Any, **named: Any) -> None:
        end(*given, **named)
        interruption.asked.set()

    with monkeypatch.context() as patched:
        patched.setattr(trial_finisher.TrialFinisher, "end", end_and_stop)
        worker.run_worker(settings, interruption=interruption)
    with monkeypatch.context() as patched:
        patched.setattr(worker, "prepare", raising(errors.DatasetMissing("digits is not there")))
        worker.run_worker(settings, exit_when_idle=True)
    assert now(db, job) == (JobState.PAUSED, "dataset-missing")
    jobs.resume_job(db, job.id, factories.ME)
    worker.run_worker(settings, exit_when_idle=True)
    assert now(db, job) == (JobState.COMPLETED, None)


@pytest.mark.parametrize(("slug", "kept"), [("closing-lost", True), ("choosing-lost", True), ("no-trials", False)])
def test_what_was_kept_of_a_job_that_may_go_on_is_not_swept(
    db: Database, settings: Settings, slug: str, kept: bool
) -> None:
    job, files = submitted(db), open_store(settings)
    source = settings.var / "student"
    source.write_bytes(b"weights")
    files.put(f"{artifacts.work(job.id)}/0.safetensors", source)
    with db.write() as connection:
        failed = {"state": JobState.FAILED, "problem": {"type": slug, "detail": "before"}}
        connection.execute(tables.jobs.update().values(**failed))
    context: Any = type("Shared", (), {"files": files, "database": db})()
    checkpoint_store.CheckpointStore(context).sweep()
    assert bool(files.names(artifacts.work(job.id))) is kept


@pytest.mark.parametrize(
    ("error", "of_machine", "lasting"),
    [
        (OSError(28, "No space left on device"), True, False),
        (OSError("said by a library"), True, False),
        (MemoryError(), True, False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), True, False),
        (RuntimeError("unknown"), False, False),
        (subprocess.CalledProcessError(-9, "child"), False, False),
        (ValueError("no"), False, True),
        (FloatingPointError("overflow"), False, True),
        (errors.DatasetMissing("where?"), True, False),
        (errors.OffGrid("not in the table"), False, False),
    ],
    ids=lambda value: repr(value) if isinstance(value, Exception) else None,
)
def test_whose_fault_an_error_is(error: Exception, of_machine: bool, lasting: bool) -> None:
    assert faults.of_machine(error) is of_machine
    assert faults.failure(error).lasting is lasting


def test_an_error_in_other_words_is_judged_by_its_cause() -> None:
    for cause, of_machine in [(OSError(5, "EIO"), True), (UnidentifiedImageError("no picture"), False)]:
        for wrapping in (errors.DatasetInvalid("cannot be read"), ValueError("cannot be read")):
            wrapping.__cause__ = cause
            assert faults.of_machine(wrapping) is of_machine
            assert faults.failure(wrapping).lasting is (isinstance(wrapping, ValueError) and not of_machine)
