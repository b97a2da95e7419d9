"""A job whose workers are stopped, killed or frozen in the middle comes to what it comes to undisturbed, to the bit."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import optuna
import pytest
import structlog

from search.claims import artifacts, checkpointing, leases, reporting
from search.errors import DatabaseUnavailable
from search.optuna_bridge import study
from search.pruners import pruner_factory
from search.records import Job
from search.requests import jobs
from search.schema import migrate
from search.settings import Settings
from search.states import TrialState
from search.storage import tables
from search.storage.db import Database, open_database
from search.worker import checkpoint_store, training_loop
from search.worker import process as worker
from search.worker.context import Interruption
from tests.processes import Processes
from tests.search import factories
from tests.search.interrupted import (
    EPOCHS,
    JOB,
    PRUNER,
    calm_alone,
    outcome,
    process,
    rows,
    settings_for,
    starts,
    stop_after,
    submitted,
    until,
)

RUNGS = pruner_factory.rungs(factories.spec(training={"epochs": EPOCHS}, pruner=PRUNER))


@pytest.fixture
def settings(db: Database, tmp_path: Path) -> Settings:
    return settings_for(db, tmp_path)


@pytest.fixture(scope="module")
def undisturbed(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What the job comes to when nobody disturbs it."""
    return calm_alone(migrated_file, tmp_path_factory.mktemp("calm"))


def checkpoints(settings: Settings, job_id: str) -> list[str]:
    folder = (settings.artifact_root / artifacts.work(job_id)) / "checkpoints"
    return sorted(str(path.relative_to(folder)) for path in folder.glob("*/*"))


def test_stopped_again_and_again_it_comes_to_the_same(
    db: Database, settings: Settings, undisturbed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted(db)
    for reports in (3, 7, 9, 8):
        with monkeypatch.context() as patch:
            worker.run_worker(settings, interruption=stop_after(reports, patch))
        [waiting] = [row for row in rows(db, job) if row.checkpoint is not None]
        assert waiting.state == TrialState.WAITING
        assert waiting.checkpoint_epoch == waiting.epoch > 0
        assert checkpoints(settings, job.id) == [f"{waiting.number}/{waiting.checkpoint}"]  # older ones are gone
    worker.run_worker(settings, exit_when_idle=True)
    assert outcome(db, job, settings) == undisturbed
    resumed = [start for start in starts(db, job) if start["attempt"] > 1]
    assert len(resumed) == 4
    assert all(start["epoch"] > 0 for start in resumed)
    assert not (settings.artifact_root / artifacts.work(job.id)).exists()
    done = jobs.get_job(db, job.id, factories.ME)
    assert done.progress.epochs_done == sum(row.epoch for row in rows(db, job))
    check_mirror(db, job)


def check_mirror(db: Database, job: Job) -> None:
    """Optuna heard of each rung once, and of nothing between."""
    storage = study.optuna_storage(db)
    told = optuna.load_study(study_name=job.study_name, storage=storage).get_trials()
    study.close_storage(storage)
    ours = {row.optuna_number: row for row in rows(db, job)}
    assert len(told) == JOB["budget"]["trials"]
    for each in told:
        assert set(each.intermediate_values) == {rung for rung in RUNGS if rung <= ours[each.number].epoch}


@pytest.mark.parametrize("engines", [("loop", "bank"), ("bank", "loop"), ("loop", "processes"), ("processes", "bank")])
def test_a_trial_goes_on_in_another_engine(
    db: Database, settings: Settings, undisturbed: list[Any], monkeypatch: pytest.MonkeyPatch, engines: tuple[str, str]
) -> None:
    """With the same result, up to the order in which an engine adds."""
    before, after = (settings.model_copy(update={"engine": engine}) for engine in engines)
    job = submitted(db)
    with monkeypatch.context() as patch:
        worker.run_worker(before, interruption=stop_after(5, patch))
    worker.run_worker(after, exit_when_idle=True)
    [resumed] = [start for start in starts(db, job) if start["attempt"] > 1]
    assert (resumed["trial"], resumed["epoch"]) == (0, 5)
    first, expected = outcome(db, job, settings)[0], undisturbed[0]
    assert first[:5] == expected[:5]
    for one, other in zip(first[6], expected[6], strict=True):
        assert one[0] == other[0]
        assert one[1:3] == pytest.approx(other[1:3], rel=1e-3, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_process_ended_in_the_middle_of_training(
    db: Database, settings: Settings, undisturbed: list[Any], processes: Processes, end: signal.Signals
) -> None:
    """After `kill -9` its trial goes on from the last checkpoint, once the lease is over; else from its last epoch."""
    settings = settings.model_copy(update={"lease_seconds": 4.0})
    # One at a time: a worker that comes before the lease is over would take the next trial, and the pruner would be
    # asked in another order.
    job = submitted(db, fleet={"parallel": 1})
    first = process(processes, settings)
    until(
        lambda: any(row.state == TrialState.RUNNING and (row.checkpoint_epoch or 0) > 2 for row in rows(db, job)), first
    )
    first.signal(end)
    assert first.wait() == (-end if end is signal.SIGKILL else 0), first.output()
    [held] = [row for row in rows(db, job) if row.state in (TrialState.RUNNING, TrialState.WAITING)]
    assert held.state == (TrialState.RUNNING if end is signal.SIGKILL else TrialState.WAITING)
    if end is not signal.SIGKILL:
        assert held.checkpoint_epoch == held.epoch
    second = process(processes, settings, "--exit-when-idle")
    assert second.wait(120) == 0, second.output()
    assert outcome(db, job, settings) == undisturbed
    [again] = [start for start in starts(db, job) if start["attempt"] == 2]
    assert (again["trial"], again["epoch"]) == (held.number, held.checkpoint_epoch)
    assert again["epoch"] > 2


@pytest.mark.slow
def test_a_frozen_worker_finds_itself_fenced_and_writes_nothing(
    fresh_postgres_url: str, processes: Processes, tmp_path: Path
) -> None:
    """SIGSTOP until the lease is over and another has the trial; after SIGCONT nothing that it says is written.

    On PostgreSQL, which takes the locks away from a process that was frozen while it wrote.
    """
    db = open_database(fresh_postgres_url)
    migrate(db)
    settings = settings_for(db, tmp_path, lease_seconds=1.5)
    job = submitted(db, training={"epochs": 10_000}, pruner={"name": "none"}, budget={"trials": 1})
    frozen = process(processes, settings)
    until(lambda: any((row.checkpoint_epoch or 0) > 1 for row in rows(db, job)), frozen)
    frozen.signal(signal.SIGSTOP)
    until(lambda: bool(leases.reap(db).trials), frozen)
    mine = factories.taken(db, "other", 600.0)
    assert (mine.attempt, mine.epoch > 1) == (2, True)
    [before] = rows(db, job)
    frozen.signal(signal.SIGCONT)
    until(lambda: "lease lost" in frozen.output(), frozen)
    frozen.signal(signal.SIGTERM)
    assert frozen.wait() == 0
    assert rows(db, job) == [before]
    assert before.worker_id == "other"
    with db.read() as connection:
        reported = connection.execute(tables.reports.select()).all()
    assert [row.epoch for row in reported] == list(range(1, mine.epoch + 1))
    assert checkpoints(settings, job.id) == [f"0/{mine.checkpoint}"]
    db.close()


@pytest.mark.parametrize("harm", ["deleted", "damaged", "of another student", "out of sight"])
def test_without_a_good_checkpoint_a_trial_starts_over(
    db: Database,
    settings: Settings,
    undisturbed: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    harm: str,
) -> None:
    """With a warning; the trial neither fails nor is pruned at a rung that it passed before, and nothing is lost."""
    job = submitted(db)
    with monkeypatch.context() as patch:
        worker.run_worker(settings, interruption=stop_after(16, patch))
    [name] = checkpoints(settings, job.id)
    folder = (settings.artifact_root / artifacts.work(job.id)) / "checkpoints" / name
    if harm == "deleted":
        shutil.rmtree(folder)
    elif harm == "damaged":
        (folder / "state.safetensors").write_bytes(b"not what was written")
    elif harm == "of another student":
        (folder / "lane.json").write_text(
            (folder / "lane.json").read_text().replace('"assignment": "', '"assignment": "0')
        )
    else:  # another machine, without the volume
        settings = settings.model_copy(update={"artifact_root": tmp_path / "elsewhere"})
    with structlog.testing.capture_logs() as said:
        worker.run_worker(settings, exit_when_idle=True)
    assert outcome(db, job, settings) == undisturbed
    assert [(each["log_level"], each["trial"]) for each in said if each["event"] == "trial starts over"] == [
        ("warning", int(name.split("/")[0]))
    ]


def test_a_full_disk_costs_the_checkpoint_alone(
    db: Database, settings: Settings, undisturbed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainers.engines.checkpoints.write", full)
    job = submitted(db)
    worker.run_worker(settings, exit_when_idle=True)
    assert outcome(db, job, settings) == undisturbed


def test_an_epoch_longer_than_the_grace_period_is_broken_off(
    db: Database, settings: Settings, undisturbed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands on the lane then is worth nothing: the trial goes on from the checkpoint before."""
    interruption, train_epoch, calls = Interruption(), training_loop.EngineSession.step, [0]

    def interrupted(session: training_loop.EngineSession) -> Any:
        calls[0] += 1
        said = train_epoch(session) if calls[0] != 6 else None
        if said is None:
            session.settled = False
            session.running.step_epoch()  # half of it, say
            interruption.ask()  # the epoch may go on
            interruption.out_of_time()
            raise AssertionError("not reached")
        return said

    job = submitted(db)
    with monkeypatch.context() as patch:
        patch.setattr(training_loop.EngineSession, "step", interrupted)
        worker.run_worker(settings, interruption=interruption)
    [waiting] = rows(db, job)
    assert (waiting.state, waiting.checkpoint_epoch, waiting.epoch) == (TrialState.WAITING, 5, 5)
    worker.run_worker(settings, exit_when_idle=True)
    assert outcome(db, job, settings) == undisturbed


def test_an_epoch_that_was_not_written_down_is_not_saved(
    db: Database, settings: Settings, undisturbed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is gone just when the worker is told to stop; it answers again when the trials are given back."""
    interruption, report_all, said = Interruption(), reporting.report_all, [0]

    def gone(*given: Any) -> Any:
        said[0] += 1
        if said[0] < 6:
            return report_all(*given)
        interruption.ask()
        raise DatabaseUnavailable("gone")

    job = submitted(db)
    with monkeypatch.context() as patch:
        patch.setattr(training_loop.reporting, "report_all", gone)
        with pytest.raises(DatabaseUnavailable):
            worker.run_worker(settings, interruption=interruption)
    [waiting] = rows(db, job)
    assert (waiting.state, waiting.checkpoint_epoch, waiting.epoch) == (TrialState.WAITING, 5, 5)
    worker.run_worker(settings, exit_when_idle=True)
    assert outcome(db, job, settings) == undisturbed


def test_students_are_saved_at_rungs_and_when_much_would_be_lost(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[tuple[int, int]] = []
    checkpoint_all = checkpointing.checkpoint_all

    def noted(database: Database, checkpoints: Any) -> Any:
        saved.extend((each.trial_id, each.epoch) for each in checkpoints)
        return checkpoint_all(database, checkpoints)

    monkeypatch.setattr(checkpoint_store.checkpointing, "checkpoint_all", noted)
    job = submitted(db, pruner=PRUNER | {"startup_trials": 100})
    worker.run_worker(settings.model_copy(update={"checkpoint_seconds": 600.0}), exit_when_idle=True)
    searched = [row.id for row in rows(db, job) if row.stage == "search"]
    assert sorted(saved) == sorted((trial, rung) for trial in searched for rung in RUNGS)


def test_what_jobs_that_failed_have_left_is_swept_up(db: Database, settings: Settings) -> None:
    failed, going_on = submitted(db, dataset={"name": "CIFAR10"}), submitted(db)
    for job in (failed, going_on):
        ((settings.artifact_root / artifacts.work(job.id)) / "checkpoints" / "0" / "1-1").mkdir(parents=True)
    (settings.artifact_root / "work" / "not-a-job").mkdir()
    jobs.pause_job(db, going_on.id, factories.ME)
    worker.run_worker(settings, exit_when_idle=True)
    worker.run_worker(settings, exit_when_idle=True)
    assert not (settings.artifact_root / artifacts.work(failed.id)).exists()
    assert (settings.artifact_root / artifacts.work(going_on.id)).exists()
    assert (settings.artifact_root / "work" / "not-a-job").exists()
