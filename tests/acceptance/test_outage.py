"""A search whose database is away for longer than a lease: it is the same as one without the outage."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.serving import chaos_checks
from search.errors import DatabaseUnavailable
from search.records import Job
from search.requests import jobs
from search.requests.trials import iter_trials
from search.schema import migrate
from search.states import JobState
from search.storage.db import Database, open_database
from search.storage.events import read_events
from tests.acceptance.test_whole_job import spec
from tests.postgres import Postgres, running_postgres
from tests.processes import Processes, Started
from tests.search.factories import ME

LEASE_SECONDS = 3.0
BEATS = 3  # in a lease period
PATIENCE = 150.0


def until(happened: Callable[[], bool], worker: Started) -> None:
    """Returns once something has happened in the worker or in its database."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert worker.process.poll() is None, worker.output()[-3000:]
        assert time.monotonic() < deadline, worker.output()[-3000:]
        time.sleep(0.05)  # another process tells nobody


def started(processes: Processes, url: str, var: Path) -> Started:
    """A worker that ends with the job."""
    return processes.start(
        sys.executable, "-m", "search.worker", "--exit-when-idle",
        env={
            "THERMOWELL_DATABASE_URL": url, "THERMOWELL_VAR": str(var), "THERMOWELL_ENGINE": "loop",
            "THERMOWELL_LEASE_SECONDS": str(LEASE_SECONDS), "THERMOWELL_POLL_SECONDS": "0.1",
            "THERMOWELL_THREADS": "1",
        },
    )  # fmt: skip


def in_the_middle(db: Database, job: Job) -> bool:
    progress = jobs.get_job(db, job.id, ME).progress
    return progress.search_done >= 2 and progress.trials_running > 0


@dataclass(frozen=True, slots=True)
class Scene:
    """A job whose first worker is in the middle of its search."""

    server: Postgres
    url: str
    db: Database
    job: Job
    worker: Started


@pytest.fixture
def scene(processes: Processes, tmp_path: Path) -> Iterator[Scene]:
    with running_postgres(settings={"synchronous_commit": "on"}) as server:  # what was said to be committed stays
        url = server.create("away")
        db = open_database(url)
        migrate(db)
        job = jobs.submit(db, spec(24), ME)[0]
        worker = started(processes, url, tmp_path / "var")
        until(lambda: in_the_middle(db, job), worker)
        yield Scene(server, url, db, job, worker)
        db.close()


@pytest.mark.slow
def test_a_database_that_is_away_for_longer_than_a_lease_stops_nothing(scene: Scene) -> None:
    scene.server.stop()
    with pytest.raises(DatabaseUnavailable):
        jobs.get_job(scene.db, scene.job.id, ME)
    # so many beats of its heart that have failed are longer than its leases last
    until(lambda: scene.worker.output().count("heartbeat failed") > BEATS + 1, scene.worker)
    scene.server.start()
    assert scene.worker.wait(PATIENCE) == 0, scene.worker.output()[-3000:]

    assert jobs.get_job(scene.db, scene.job.id, ME).state is JobState.COMPLETED
    assert chaos_checks.violations(scene.db, ME, [scene.job]) == []
    assert {trial.attempt for trial in iter_trials(scene.db, scene.job.id, ME)} == {1}  # nobody was taken for dead
    kinds = {event.kind for event in read_events(scene.db, scene.job.id, ME, 0, 100_000)}
    assert not kinds & {"trial_lost", "trial_returned", "closing_lost"}


@pytest.mark.slow
def test_a_worker_that_is_to_stop_while_the_database_is_away_stops_and_the_next_one_goes_on(
    scene: Scene, processes: Processes, tmp_path: Path
) -> None:
    scene.server.stop()
    until(lambda: "database does not answer" in scene.worker.output(), scene.worker)
    scene.worker.signal(signal.SIGTERM)
    assert scene.worker.wait(PATIENCE) == 0, scene.worker.output()[-3000:]
    scene.server.start()
    second = started(processes, scene.url, tmp_path / "var")
    assert second.wait(PATIENCE) == 0, second.output()[-3000:]
    assert jobs.get_job(scene.db, scene.job.id, ME).state is JobState.COMPLETED
    assert chaos_checks.violations(scene.db, ME, [scene.job]) == []
