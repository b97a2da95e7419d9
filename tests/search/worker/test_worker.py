"""A worker trains whole jobs, survives what happens to it, and leaves nothing half done."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.analysis.job import build, cautions
from search.claims import artifacts, reporting, sent_weights
from search.errors import DatabaseUnavailable
from search.optuna_bridge import proposals, study
from search.records import Job
from search.requests import jobs, results, trials
from search.settings import Settings
from search.states import JobState, Stage, TrialState
from search.storage import tables
from search.storage.db import Database
from search.storage.store import open_store
from search.worker import admission, checkpoint_store, training_loop, trial_finisher
from search.worker import process as worker
from search.worker.context import Interruption
from tests.processes import Processes
from tests.search import factories
from trainers import run

SMALL: dict[str, Any] = {
    "dataset": {"name": "digits", "train_size": 100},
    "teacher": {"model": {"name": "mlp"}, "training": {"epochs": 2}, "optimizer": {}},
    "student": {"name": "mlp", "arguments": {"width": 8}},
    "training": {"epochs": 3},
    "budget": {"trials": 4},
    "confirmation": {"finalists": 2, "select_seeds": 1, "estimate_seeds": 2},
}


@pytest.fixture
def settings(db: Database, tmp_path: Path) -> Settings:
    return Settings(var=tmp_path, database_url=db.url, lease_seconds=30, poll_seconds=0.05, threads=1)


def submitted(db: Database, **changes: Any) -> Job:
    return factories.submitted(db, **(SMALL | changes))


def seen(db: Database, job: Job) -> Job:
    return jobs.get_job(db, job.id, factories.ME)


def all_trials(db: Database, job: Job) -> list[Any]:
    return list(trials.iter_trials(db, job.id, factories.ME))


@pytest.mark.parametrize(("by", "searched"), [("arm", 4), ("surface", 6)])
def test_a_whole_job(db: Database, settings: Settings, by: str, searched: int) -> None:
    job = submitted(db, baselines={"by": by, "share": 0.25}, budget={"trials": searched})
    worker.run_worker(settings, exit_when_idle=True)
    factories.open_sealed(db, job, lambda: worker.run_worker(settings, exit_when_idle=True))
    assert seen(db, job).state is JobState.COMPLETED
    by_stage = [trial.stage for trial in all_trials(db, job)]
    assert by_stage.count(Stage.SEARCH) == searched
    assert all(trial.test_metrics for trial in all_trials(db, job) if trial.stage is Stage.ESTIMATE)
    assert not any(trial.test_metrics for trial in all_trials(db, job) if trial.stage is not Stage.ESTIMATE)
    result = results.get_result(db, job.id, factories.ME)
    assert result.winner.test is not None
    names = [artifact.name for artifact in artifacts.list_artifacts(db, job.id, factories.ME)]
    assert names == ["README.md", "student.json", "student.py", "student.safetensors", "test-right.npz"]
    files = open_store(settings)
    with (
        artifacts.open_artifact(db, files, job.id, "test-right.npz", factories.ME) as (_, kept),
        np.load(kept) as found,
    ):
        right = np.unpackbits(found["right"], axis=1, count=int(found["images"])).mean(axis=1)
        of_trial = dict(zip(found["trial"].tolist(), right, strict=True))
    tested = {trial.number: trial.test_metrics for trial in all_trials(db, job) if trial.test_metrics is not None}
    assert {number: metrics["accuracy"] for number, metrics in tested.items()} == pytest.approx(of_trial)
    assert all(gain.test_interval_images is not None for gain in result.gains)
    for one in (one for one in result.selection if one.arm == "joint"):  # one field may have nothing to race for
        assert [finalist.trial for finalist in one.finalists if finalist.winner] == [result.winner.origin_trial]
    with artifacts.open_artifact(db, files, job.id, "student.json", factories.ME) as (_, path):
        papers = json.loads(path.read_text())
    verdict = result.verdict
    assert verdict is not None
    assert papers["verdict"] == {"kind": verdict.kind, "headline": verdict.headline, "action": verdict.action}
    recommended = result.winner if verdict.validation is None else verdict  # what was not trained itself has no student
    assert papers["configuration"] == recommended.configuration.stored()
    assert reporting.unmirrored(db) == []
    assert not (settings.artifact_root / artifacts.work(job.id)).exists()


def test_what_decides_nothing_leaves_the_test_part_sealed_until_it_is_asked_for(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided = build.decide
    monkeypatch.setattr(build, "decide", lambda field: replace(decided(field), kind="undecided", shown=False))
    job = submitted(db, baselines={"share": 0.25})
    files = open_store(settings)
    with monkeypatch.context() as watched:
        watched.setattr(run, "evaluate_test", lambda *_: pytest.fail("the test part was read"))
        worker.run_worker(settings, exit_when_idle=True)
    assert (seen(db, job).state, seen(db, job).test_opened_at) == (JobState.COMPLETED, None)
    before = results.get_result(db, job.id, factories.ME)
    assert before.test_sealed
    assert cautions.SEALED in before.cautions
    assert all(one.test is None for one in (before.winner, *before.baselines))
    assert "test-right.npz" not in [one.name for one in artifacts.list_artifacts(db, job.id, factories.ME)]
    context: Any = type("Shared", (), {"files": files, "database": db})()
    checkpoint_store.CheckpointStore(context).sweep()
    assert len(files.names(artifacts.work(job.id))) >= len(before.winner.validation.seeds)
    trained = len(all_trials(db, job))
    jobs.open_test(db, job.id, factories.ME)
    worker.run_worker(settings, exit_when_idle=True)
    after = results.get_result(db, job.id, factories.ME)
    assert not after.test_sealed
    assert all(one.test for one in (after.winner, *after.baselines))
    assert (after.verdict, after.winner.validation) == (before.verdict, before.winner.validation)
    assert len(all_trials(db, job)) == trained
    assert not (settings.artifact_root / artifacts.work(job.id)).exists()


def test_a_missing_data_set_fails_the_job_and_says_how_to_get_it(db: Database, settings: Settings) -> None:
    job = submitted(db, dataset={"name": "CIFAR10"})
    worker.run_worker(settings, exit_when_idle=True)
    problem = seen(db, job).problem
    assert problem is not None
    assert problem.type == "dataset-missing"
    assert "thermowell data fetch CIFAR10" in problem.detail


def test_a_job_that_needs_more_disk_than_it_may_have_says_what_it_needs(db: Database, settings: Settings) -> None:
    job = submitted(db)
    worker.run_worker(settings.model_copy(update={"disk_gb": 1e-6}), exit_when_idle=True)
    problem = seen(db, job).problem
    assert problem is not None
    assert problem.type == "disk-budget-exceeded"
    assert "or raise THERMOWELL_DISK_GB" in problem.detail


def test_one_crash_fails_its_trial_and_three_in_a_row_their_job(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    propose, calls = proposals.propose, [0]

    def crash_once(storage: Any, claim: Any, worker: str = "") -> Any:
        calls[0] += 1
        if calls[0] == 1:
            raise RuntimeError("the first one")
        return propose(storage, claim, worker)

    monkeypatch.setattr(admission.proposals, "propose", crash_once)
    job = submitted(db)
    worker.run_worker(settings, exit_when_idle=True)
    assert seen(db, job).state is JobState.COMPLETED
    [failed] = [trial for trial in all_trials(db, job) if trial.state is TrialState.FAILED]
    assert failed.reason.type == "crashed"

    def crash(*_: Any) -> Any:
        raise RuntimeError("always")

    monkeypatch.setattr(admission.proposals, "propose", crash)
    job = submitted(db)
    worker.run_worker(settings, exit_when_idle=True)
    problem = seen(db, job).problem
    assert problem is not None
    assert (problem.type, len(all_trials(db, job))) == ("crashed", 3)


def test_a_database_that_fails_for_a_moment_disturbs_nothing(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, failures = reporting.finish, [0]

    def flaky(*given: Any, **named: Any) -> None:
        failures[0] += 1
        if failures[0] % 3 == 1:
            raise DatabaseUnavailable("a moment")
        finish(*given, **named)

    monkeypatch.setattr(trial_finisher.reporting, "finish", flaky)
    job = submitted(db)
    worker.run_worker(settings, exit_when_idle=True)
    assert failures[0] > 3
    assert seen(db, job).state is JobState.COMPLETED
    assert all(trial.attempt == 1 for trial in all_trials(db, job))


def test_a_connection_that_is_cut_while_the_worker_starts_is_made_again(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, calls = study.optuna_storage, [0]

    def cut_off(*given: Any) -> study.Storage:
        calls[0] += 1
        if calls[0] == 1:
            raise DatabaseUnavailable("cut off")
        return opened(*given)

    monkeypatch.setattr(worker.study, "optuna_storage", cut_off)
    job = submitted(db)
    worker.run_worker(settings, exit_when_idle=True)
    assert calls[0] == 2
    assert seen(db, job).state is JobState.COMPLETED


def test_short_epochs_are_written_down_several_at_a_time(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as nobody has to decide by them, they wait for the trial's end, and none is lost."""
    alone: list[int] = []
    monkeypatch.setattr(training_loop, "REPORT_SECONDS", 600.0)
    monkeypatch.setattr(training_loop.reporting, "report_all", lambda _, entries: alone.append(len(entries)))
    job = submitted(db, pruner={"name": "none"})
    worker.run_worker(settings, exit_when_idle=True)
    assert alone == []
    for trial in all_trials(db, job):
        reports = trials.get_trial(db, job.id, trial.number, factories.ME)[1]
        assert trial.state is TrialState.COMPLETED
        assert [each.epoch for each in reports] == list(range(1, SMALL["training"]["epochs"] + 1))


def test_a_worker_that_is_asked_to_stop_gives_its_trial_back(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    interruption, report_all = Interruption(), reporting.report_all

    def report_and_ask(*given: Any) -> Any:
        interruption.ask()
        return report_all(*given)

    monkeypatch.setattr(training_loop.reporting, "report_all", report_and_ask)
    monkeypatch.setattr(training_loop, "REPORT_SECONDS", 0.0)
    job = submitted(db)
    worker.run_worker(settings, interruption=interruption)
    [trial] = all_trials(db, job)
    assert (trial.state, trial.attempt) == (TrialState.WAITING, 1)
    with db.read() as connection:
        assert connection.execute(tables.leases.select()).all() == []
        [row] = connection.execute(tables.workers.select()).all()
    assert row.stopped_at is not None


@pytest.mark.slow
def test_sigterm_ends_the_process_with_zero(db: Database, settings: Settings, processes: Processes) -> None:
    job = submitted(db, training={"epochs": 10_000})
    env = {"THERMOWELL_VAR": str(settings.var), "THERMOWELL_DATABASE_URL": settings.database_url}
    started = processes.start(sys.executable, "-m", "search.worker", env=env | {"THERMOWELL_THREADS": "1"})
    trial_finisher = os.pidfd_open(started.pid)
    while "trial started" not in started.output():
        ended, _, _ = select.select([trial_finisher], [], [], 0.05)
        assert not ended, started.output()
    os.close(trial_finisher)
    started.signal(signal.SIGTERM)
    assert started.wait() == 0
    states = {trial.state for trial in all_trials(db, job)}
    assert states == {TrialState.WAITING}, "all that it had begun, several at once"


def test_weights_that_were_sent_and_no_job_names_are_deleted_by_a_worker(
    db: Database, settings: Settings, tmp_path: Path
) -> None:
    files, path = open_store(settings), tmp_path / "own.safetensors"
    path.write_bytes(b"weights")
    digest = sent_weights.keep(db, files, path)
    worker.run_worker(settings, exit_when_idle=True)
    assert files.exists(artifacts.place(digest))
    worker.run_worker(settings.model_copy(update={"weights_days": 1e-12}), exit_when_idle=True)
    assert not files.exists(artifacts.place(digest))
