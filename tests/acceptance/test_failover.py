"""A search whose database fails over to its standby, and one behind a real PgBouncer: nothing is lost."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from benchmarks.serving import chaos_checks
from search.requests import jobs
from search.requests.trials import iter_trials
from search.schema import migrate
from search.states import JobState
from search.storage.db import Database, open_database
from tests.acceptance.test_outage import PATIENCE, in_the_middle, started, until
from tests.acceptance.test_whole_job import spec
from tests.pgbouncer import running_pgbouncer
from tests.postgres import Postgres
from tests.processes import Processes, Started
from tests.search.factories import ME
from tests.standby import Pair


def begun(db: Database, url: str, processes: Processes, var: Path) -> tuple[str, Started]:
    """A job whose worker is in the middle of its search."""
    migrate(db)
    job = jobs.submit(db, spec(24), ME)[0]
    worker = started(processes, url, var)
    until(lambda: in_the_middle(db, job), worker)
    return job.id, worker


def well(db: Database, job_id: str, attempts: set[int]) -> None:
    """The job has come to its end, nothing was lost, and nobody was taken for dead."""
    job = jobs.get_job(db, job_id, ME)
    assert job.state is JobState.COMPLETED
    assert chaos_checks.violations(db, ME, [job]) == []
    assert {trial.attempt for trial in iter_trials(db, job_id, ME)} <= attempts


@pytest.mark.slow
def test_a_worker_goes_on_with_the_new_primary_and_with_the_old_one_again(
    pair: Pair, processes: Processes, tmp_path: Path
) -> None:
    url = pair.create()
    db = open_database(url)
    job_id, worker = begun(db, url, processes, tmp_path / "var")
    pair.fail_over()
    pair.fail_over(fast=True)
    assert worker.wait(PATIENCE) == 0, worker.output()[-3000:]
    assert "Traceback" not in worker.output()
    well(db, job_id, {1})
    db.close()


@pytest.mark.slow
def test_a_worker_that_knows_a_standby_alone_waits_for_it_and_stops_in_good_order(
    pair: Pair, processes: Processes, tmp_path: Path
) -> None:
    """As an address that keeps leading to the old node: it only reads, and the worker is told to stop meanwhile."""
    old, database = pair.primary, pair.create().split("?")[0].rsplit("/", 1)[1]
    db = open_database(pair.url(database))
    job_id, worker = begun(db, old.url(database), processes, tmp_path / "var")
    pair.fail_over(fast=True)
    until(lambda: "the server is a standby" in worker.output(), worker)
    worker.signal(signal.SIGTERM)
    assert worker.wait(PATIENCE) == 0, worker.output()[-3000:]
    assert "Traceback" not in worker.output()

    second = started(processes, old.url(database), tmp_path / "var")  # one that starts meanwhile waits too
    until(lambda: "the server is a standby" in second.output(), second)
    pair.fail_over(fast=True)
    assert second.wait(PATIENCE) == 0, second.output()[-3000:]
    assert "Traceback" not in second.output()
    well(db, job_id, {1, 2})
    db.close()


@pytest.mark.slow
def test_a_worker_behind_a_pooler_goes_on_when_it_is_restarted(
    postgres: Postgres, processes: Processes, tmp_path: Path
) -> None:
    direct = postgres.create()
    database = direct.split("?")[0].rsplit("/", 1)[1]
    with running_pgbouncer(postgres) as pooler:
        db = open_database(direct)
        job_id, worker = begun(db, pooler.url(database), processes, tmp_path / "var")
        pooler.stop()
        until(lambda: "does not answer" in worker.output(), worker)
        pooler.start()
        assert worker.wait(PATIENCE) == 0, worker.output()[-3000:]
        assert "Traceback" not in worker.output()
        well(db, job_id, {1})
        db.close()
