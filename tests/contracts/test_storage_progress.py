"""What is remembered of a job's ended trials is what the database says, in every state of the job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from sqlalchemy import event, select

from search.records import Progress
from search.requests import jobs
from search.requests.progress import progress_of
from search.states import Stage
from search.storage import tables
from search.storage.db import Database
from tests.search import factories
from tests.search.factories import ME


@contextmanager
def statements(db: Database) -> Iterator[list[str]]:
    """What is asked of the database meanwhile."""
    said: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        said.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def counted_anew(db: Database, job_id: str) -> Progress:
    with db.read() as connection:
        row = connection.execute(select(tables.jobs).where(tables.jobs.c.id == job_id)).one()
        return progress_of(connection, [row])[job_id]


def same(left: Progress, right: Progress) -> bool:
    """But for what the clock moves between two looks."""
    return [getattr(left, name) for name in STILL] == [getattr(right, name) for name in STILL]


STILL = [name for name in Progress.__slots__ if name not in ("epochs_per_second", "seconds_left")]


def test_a_second_look_counts_no_ended_trial(db: Database) -> None:
    job = factories.submitted(db)
    factories.train(db, factories.taken(db))
    with statements(db) as first:
        jobs.get_job(db, job.id, ME)
    with statements(db) as second:
        jobs.get_job(db, job.id, ME)
    assert len(second) == len(first) - 3


def test_every_step_of_a_job_is_seen(db: Database) -> None:
    job = factories.submitted(db)
    done = []
    while not done or done[-1].stage is not Stage.ESTIMATE:
        claim = factories.taken(db)
        assert same(jobs.get_job(db, job.id, ME).progress, counted_anew(db, job.id))
        factories.train(db, claim)
        done.append(claim)
        found = jobs.get_job(db, job.id, ME).progress
        assert same(found, counted_anew(db, job.id))
        assert found.trials_done == len(done)
    assert found.best_trial == 3, "the last of the four that were searched: each was better than the one before"
    jobs.extend_job(db, job.id, ME, trials=6)  # what was confirmed counts no more
    found = jobs.get_job(db, job.id, ME).progress
    assert same(found, counted_anew(db, job.id))
    assert found.trials_done == sum(claim.stage in (Stage.SEARCH, Stage.BASELINE) for claim in done)


@pytest.mark.parametrize(("metric", "best"), [("accuracy", 1), ("nll", 2)])
def test_the_best_is_the_first_of_equals(db: Database, metric: str, best: int) -> None:
    job = factories.submitted(db, objective={"metric": metric})
    for value in (0.5, 0.7, 0.2, 0.7):
        factories.train(db, factories.taken(db), value)
    assert jobs.get_job(db, job.id, ME).progress.best_trial == best


def test_what_a_writer_sees_of_itself_is_not_remembered(db: Database) -> None:
    job = factories.submitted(db)
    factories.train(db, factories.taken(db))
    before = jobs.get_job(db, job.id, ME).progress
    with suppress(KeyError), db.write() as connection:
        connection.execute(tables.trials.update().values(state="failed"))
        row = connection.execute(select(tables.jobs)).one()
        assert progress_of(connection, [row])[job.id].best_value is None
        raise KeyError
    assert same(jobs.get_job(db, job.id, ME).progress, before)
