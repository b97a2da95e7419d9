"""The event log of a job: append-only, numbered by ones, visible in that order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, insert, select, update

from search.records import Event, Principal
from search.states import TERMINAL_JOBS
from search.storage.access import visible_job
from search.storage.db import Database, now_sql
from search.storage.rows import LARGEST, event_of
from search.storage.tables import events, jobs

_COUNT = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"))
    .values(last_event=jobs.c.last_event + 1, updated_at=now_sql())
    .returning(jobs)
)
_ADD = insert(events).values(at=now_sql())


def emit(connection: Connection, job_id: str, kind: str, payload: Mapping[str, Any], **changes: Any) -> Row[Any]:
    """Appends an event in the caller's transaction and answers the job's row as it is then; its events count from 1.

    `changes` are written into that row along with the count, which costs no statement of their own.
    The counter is the job's own row: whoever emits holds it until the commit, so that no reader can see a number
    before a smaller one, as it could with a sequence.
    """
    statement = _COUNT.values(**changes) if changes else _COUNT
    job = connection.execute(statement, {"job": job_id}).one()
    values = {"job_id": job_id, "number": job.last_event, "kind": kind, "payload": dict(payload)}
    connection.execute(_ADD, values)
    return job


def read_news(db: Database, job_id: str, principal: Principal, after: int, limit: int) -> tuple[list[Event], bool]:
    """As `read_events`, and whether the job has ended and these are its last events. NotFound."""
    with db.read() as connection:
        job = visible_job(connection, job_id, principal)
        if job.last_event <= after:
            return [], job.state in TERMINAL_JOBS
        rows = connection.execute(_following(job_id, after).limit(limit)).all()
        return [event_of(row) for row in rows], job.state in TERMINAL_JOBS and len(rows) < limit


def read_events(db: Database, job_id: str, principal: Principal, after: int = 0, limit: int = 200) -> list[Event]:
    """A job's events with numbers above `after`, in order, at most `limit`. NotFound."""
    with db.read() as connection:
        visible_job(connection, job_id, principal)
        return [event_of(row) for row in connection.execute(_following(job_id, after).limit(limit))]


def _following(job_id: str, after: int) -> Select[Any]:
    later = (events.c.job_id == job_id) & (events.c.number > max(0, min(after, LARGEST)))
    return select(events).where(later).order_by(events.c.number)
