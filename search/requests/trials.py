"""Requests on a job's trials and their learning curves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select

from search.errors import NotFound
from search.records import Page, Principal, Report, Trial
from search.states import Arm, Stage, TrialState
from search.storage import cursors
from search.storage.access import visible_job
from search.storage.db import Database
from search.storage.rows import LARGEST, report_of, trial_of
from search.storage.tables import reports, trials

MOST_PER_PAGE = 1000
SORTS = ("number", "value", "epoch", "train_seconds")  # each also with "-" before it: the largest first


def list_trials(
    db: Database,
    job_id: str,
    principal: Principal,
    *,
    sort: str = "number",
    stage: Stage | None = None,
    arm: Arm | None = None,
    state: TrialState | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> Page[Trial]:
    """A job's trials, by one of SORTS (with "-" before it: the largest first); trials without a value come last.

    NotFound; CursorInvalid; ValueError for another sort.
    """
    if sort.removeprefix("-") not in SORTS:
        raise ValueError(f"sort must be one of {', '.join(SORTS)}, or one of them after a minus")
    limit = max(1, min(limit, MOST_PER_PAGE))
    query = select(trials).where(trials.c.job_id == job_id)
    for column, value in ((trials.c.stage, stage), (trials.c.arm, arm), (trials.c.state, state)):
        if value is not None:
            query = query.where(column == value)
    with db.read() as connection:
        visible_job(connection, job_id, principal)
        rows = connection.execute(_after(query, sort, cursor).limit(limit + 1)).all()
    page = rows[:limit]
    more = None
    if len(rows) > limit:
        more = cursors.encode(f"trials {sort}", getattr(page[-1], sort.removeprefix("-")), page[-1].number)
    return Page([trial_of(row) for row in page], more)


def get_trial(db: Database, job_id: str, number: int, principal: Principal) -> tuple[Trial, list[Report]]:
    """One trial and its learning curve, epoch by epoch. NotFound."""
    with db.read() as connection:
        visible_job(connection, job_id, principal)
        query = select(trials).where(trials.c.job_id == job_id, trials.c.number == number)
        row = connection.execute(query).one_or_none() if 0 <= number <= LARGEST else None
        if row is None:
            raise NotFound("the job has no such trial: `thermowell trials JOB` lists those that it has")
        curve = select(reports).where(reports.c.trial_id == row.id).order_by(reports.c.epoch)
        return trial_of(row), [report_of(report_row) for report_row in connection.execute(curve)]


def metric_names(db: Database, job_id: str, principal: Principal) -> list[str]:
    """All that a job's trials have measured, on validation or on the test part, by name. NotFound."""
    with db.read() as connection:
        visible_job(connection, job_id, principal)
        rows = connection.execute(select(trials.c.metrics, trials.c.test_metrics).where(trials.c.job_id == job_id))
        return sorted({name for row in rows for part in row if isinstance(part, dict) for name in part})


def iter_trials(db: Database, job_id: str, principal: Principal, page_size: int = 500) -> Iterator[Trial]:
    """All trials of a job by number, read page by page, so that no transaction lasts as long as a download. NotFound.

    The job is looked for at the call, not at the first trial.
    """
    first = list_trials(db, job_id, principal, limit=page_size)
    return _pages(db, job_id, principal, first, page_size)


def _pages(db: Database, job_id: str, principal: Principal, page: Page[Trial], page_size: int) -> Iterator[Trial]:
    yield from page.items
    while page.next_cursor is not None:
        page = list_trials(db, job_id, principal, cursor=page.next_cursor, limit=page_size)
        yield from page.items


def _after(query: Select[Any], sort: str, cursor: str | None) -> Select[Any]:
    """Orders the query, and starts it behind the cursor."""
    column = trials.c[sort.removeprefix("-")]
    ordered = column.desc() if sort.startswith("-") else column.asc()
    if cursor is not None:
        value, number = cursors.decode(cursor, f"trials {sort}", ((float, int, type(None)), int))
        query = query.where(_behind(column, value, number, descending=sort.startswith("-")))
    # NULLs have an order of their own in each database; number makes every order total
    return query.order_by(column.is_(None), ordered, trials.c.number)


def _behind(column: ColumnElement[Any], value: float | None, number: int, *, descending: bool) -> ColumnElement[bool]:
    if value is None:
        return and_(column.is_(None), trials.c.number > number)
    beyond = column < value if descending else column > value
    tied = and_(column == value, trials.c.number > number)
    return or_(beyond, tied, column.is_(None))
