"""Workers whose disk fills, breaks and comes back: the job ends as if nothing had happened, and nothing is counted."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

import pytest
import structlog

from search.analysis.job.build import Answer
from search.claims import finalization, reporting
from search.errors import StoreUnavailable
from search.logs import Lines
from search.records import Job
from search.requests import jobs
from search.settings import Settings
from search.states import JobState, TrialState
from search.storage import tables
from search.storage.db import Database
from search.worker import engine_cache, job_finalizer, resting, training_loop
from search.worker import process as worker
from search.worker.resting import Rest
from tests.disks import KINDS, Faulty, mounted
from tests.search import factories
from tests.search.interrupted import calm_alone, outcome, rows, settings_for, stop_after, submitted


@pytest.fixture(scope="module")
def undisturbed(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What the job comes to when nobody disturbs it."""
    return calm_alone(migrated_file, tmp_path_factory.mktemp("calm"))


@dataclass(frozen=True, slots=True)
class Scene:
    """A job, the settings of its worker, and its disk, which fills and empties."""

    db: Database
    job: Job
    settings: Settings
    fill: Callable[[], None]
    empty: Callable[[], None]

    def waits_for(self) -> str | None:
        return jobs.get_job(self.db, self.job.id, factories.ME).progress.waits_for


@pytest.fixture
def scene(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """On a real disk of 2 MB where one may be mounted, else on one whose system calls fail."""
    monkeypatch.setattr(resting, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(training_loop, "REPORT_SECONDS", 0.0)
    settings = settings_for(db, tmp_path, lease_seconds=4.0)
    with mounted(settings.artifact_root, megabytes=2) as small:
        if small is not None:
            yield Scene(db, submitted(db), settings, small.fill, small.empty)
            return
        faulty = Faulty(settings.artifact_root, monkeypatch)
        full = KINDS["full"]
        yield Scene(db, submitted(db), settings, lambda: faulty.fail(full[0], *full[1]), lambda: faulty.fail(0))


def after_failures(count: int, then: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> list[StoreUnavailable]:
    """Calls `then` once the worker has failed so often and said so; answers what it failed by."""
    fail, told = Rest.fail, []

    def failing(self: Rest, error: StoreUnavailable, most_seconds: float) -> None:
        if len(told) == count:
            then()
        told.append(error)
        fail(self, error, most_seconds)

    monkeypatch.setattr(Rest, "fail", failing)
    return told


def at_report(number: int, then: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    report_all, said = reporting.report_all, [0]

    def report(*given: Any) -> Any:
        said[0] += 1
        if said[0] == number:
            then()
        return report_all(*given)

    monkeypatch.setattr(training_loop.reporting, "report_all", report)


def at_closing(then: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    open_test, begun = finalization.open_test, []

    def opening(*given: Any) -> Any:
        if not begun:
            then()
        begun.append(1)
        return open_test(*given)

    monkeypatch.setattr(job_finalizer.finalization, "open_test", opening)
    monkeypatch.setattr(Answer, "undecided", False)


def nothing_counted(db: Database, job: Job) -> bool:
    assert jobs.get_job(db, job.id, factories.ME).problem is None
    return all(row.losses == 0 and row.state != TrialState.FAILED for row in rows(db, job))


@pytest.mark.parametrize("when", ["the beginning", "training", "closing"])
def test_a_disk_that_fills_and_empties_loses_nothing(
    scene: Scene, undisturbed: list[Any], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    waits: list[str | None] = []

    def empty() -> None:
        waits.append(scene.waits_for())
        scene.empty()

    if when == "training":
        at_report(3, scene.fill, monkeypatch)
        at_report(20, scene.empty, monkeypatch)
    else:
        after_failures(2, empty, monkeypatch)
    if when == "the beginning":
        scene.fill()
    if when == "closing":
        at_closing(scene.fill, monkeypatch)
    worker.run_worker(scene.settings, exit_when_idle=True)
    assert outcome(scene.db, scene.job, scene.settings) == undisturbed, "to the bit"
    assert nothing_counted(scene.db, scene.job)
    assert waits == ([] if when == "training" else ["room on the artifact store"])
    assert scene.waits_for() is None
    assert {path.name for path in scene.settings.artifact_root.iterdir()} & {"work"} == set() or not list(
        (scene.settings.artifact_root / "work").iterdir()
    )


def test_a_worker_that_is_to_stop_on_a_full_disk_gives_its_trials_back(
    scene: Scene, undisturbed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_report(3, scene.fill, monkeypatch)
    with monkeypatch.context() as patch:
        worker.run_worker(scene.settings, interruption=stop_after(5, patch))
    [trial] = rows(scene.db, scene.job)
    assert (trial.state, trial.losses) == (TrialState.WAITING, 0)
    with scene.db.read() as connection:
        assert connection.execute(tables.leases.select()).all() == []
    scene.empty()
    worker.run_worker(scene.settings, exit_when_idle=True)
    assert outcome(scene.db, scene.job, scene.settings) == undisturbed


def test_whatever_fails_while_saving_at_the_stop_the_trials_are_given_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = training_loop.TrainingLoop.drain

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    def draining(self: training_loop.TrainingLoop) -> None:
        monkeypatch.setattr(training_loop.CheckpointStore, "save", fail)
        drain(self)

    monkeypatch.setattr(training_loop.TrainingLoop, "drain", draining)
    worker.run_worker(scene.settings, interruption=stop_after(3, monkeypatch))
    [trial] = rows(scene.db, scene.job)
    assert trial.state == TrialState.WAITING
    with scene.db.read() as connection:
        assert connection.execute(tables.leases.select()).all() == []


@pytest.mark.parametrize(
    "kind",
    [
        "read-only",
        "broken",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("over quota", "stale", "refused")),
    ],
)
def test_a_disk_that_fails_otherwise_loses_nothing_either(
    db: Database, tmp_path: Path, undisturbed: list[Any], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Over quota, read-only, broken, stale or refused, from the third epoch on until it was met twice."""
    monkeypatch.setattr(resting, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(training_loop, "REPORT_SECONDS", 0.0)
    settings, job = settings_for(db, tmp_path, lease_seconds=4.0), submitted(db)
    faulty = Faulty(settings.artifact_root, monkeypatch)
    at_report(3, lambda: faulty.fail(*(KINDS[kind][0], *KINDS[kind][1])), monkeypatch)
    told = after_failures(2, lambda: faulty.fail(0), monkeypatch)
    worker.run_worker(settings, exit_when_idle=True)
    assert len(told) >= 2
    assert outcome(db, job, settings) == undisturbed
    assert nothing_counted(db, job)


def test_a_full_temporary_folder_keeps_a_job_from_being_closed_no_longer_than_it_is_full(
    db: Database, tmp_path: Path, undisturbed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resting, "FIRST_SECONDS", 0.1)
    settings, job, scratch = settings_for(db, tmp_path, lease_seconds=4.0), submitted(db), tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    faulty = Faulty(scratch, monkeypatch)
    at_closing(lambda: faulty.fail(errno.ENOSPC, "mkdir", "create"), monkeypatch)
    waits: list[str | None] = []

    def empty() -> None:
        waits.append(jobs.get_job(db, job.id, factories.ME).progress.waits_for)
        faulty.fail(0)

    after_failures(2, empty, monkeypatch)
    worker.run_worker(settings, exit_when_idle=True)
    assert waits == ["room in the temporary folder"]
    assert outcome(db, job, settings) == undisturbed


def test_a_disk_that_fails_in_the_middle_of_an_epoch_is_no_crash(
    db: Database, tmp_path: Path, undisturbed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled code comes to disk while training: more often than three times in a row, and with another's error."""
    monkeypatch.setattr(resting, "FIRST_SECONDS", 0.05)
    settings, job = settings_for(db, tmp_path, lease_seconds=4.0), submitted(db)
    step, failed = engine_cache.EngineSession.step, [0]

    def failing(self: Any) -> Any:
        if failed[0] < 5:
            failed[0] += 1
            raise RuntimeError("g++ ended with 1: cannot write: No space left on device")
        return step(self)

    monkeypatch.setattr(engine_cache.EngineSession, "step", failing)
    worker.run_worker(settings, exit_when_idle=True)
    assert failed == [5]
    assert jobs.get_job(db, job.id, factories.ME).state is JobState.COMPLETED
    assert nothing_counted(db, job)
    assert outcome(db, job, settings) == undisturbed


def test_a_log_on_a_full_disk_ends_nobody() -> None:
    with open("/dev/full", "w") as full:
        logger = structlog.PrintLoggerFactory(cast(TextIO, Lines(full)))()
        for _ in range(3):
            logger.msg("x" * 10_000)
        with suppress(OSError):
            full.close()
