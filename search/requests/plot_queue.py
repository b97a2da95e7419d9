"""The queue of jobs whose plots in Optuna Dashboard are out of date, and the claim on showing one.

A row of `analyses` for each job that was ever shown, of kind "shown": its document is the number of the last event
that was in what was shown, its time the moment before which nobody shows it again. Who begins writes a time to come
by which he is surely done, or dead: so one at a time, of any number of replicas, makes a job's plots. Closing a job
deletes the row with the other documents, so that the end is shown at once. What fails is noted beside it: see troubles.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Integer, cast, delete, func, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from search.analysis.job.question import Question
from search.records import Trouble
from search.requests import troubles
from search.requests.job_view import JobView, job_view_of
from search.states import JobState
from search.storage.db import Database, now_sql
from search.storage.stored import as_stored
from search.storage.tables import analyses, jobs
from thermowell.api.answers import Interim

NEVER = -1
DRAWINGS = 5  # attempts: a job that could not be drawn in half an hour cannot be drawn as it stands
TRACKINGS = 30  # attempts: about a day, in which a tracking server may be away


@dataclass(frozen=True, slots=True)
class News:
    """Of a job that is about to be shown: its last event, and whether other programs are to be told of it now."""

    event: int
    track: bool


def claim_showing(db: Database, seconds: float) -> str | None:
    """The id of the job that waits longest for being shown, taken for so long; None where none waits."""
    record, untracked = analyses.alias("shown"), analyses.alias("untracked")
    event = func.coalesce(cast(record.c.document, Integer), NEVER)
    due_at = func.coalesce(record.c.computed_at, 0.0)
    waiting = (
        select(jobs.c.id)
        .outerjoin(record, (record.c.job_id == jobs.c.id) & (record.c.kind == "shown"))
        .outerjoin(untracked, (untracked.c.job_id == jobs.c.id) & (untracked.c.kind == troubles.UNTRACKED))
        .where(jobs.c.started_at.is_not(None), due_at <= now_sql())
        .where(or_(jobs.c.last_event > event, untracked.c.computed_at <= now_sql()))
        .order_by(due_at, jobs.c.id)
        .limit(1)
    )
    with db.read() as connection:  # most of the time there is none, and nobody need be kept from writing
        job_id: str | None = connection.execute(waiting).scalar_one_or_none()
    if job_id is None:
        return None
    with db.write() as connection:
        insert_or_update = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(analyses)
        until = now_sql() + seconds
        taking = insert_or_update.values(job_id=job_id, kind="shown", document=str(NEVER), computed_at=until)
        taking = taking.on_conflict_do_update(
            index_elements=[analyses.c.job_id, analyses.c.kind],
            set_={"computed_at": until},
            where=analyses.c.computed_at <= now_sql(),
        )
        # none: another replica was faster
        return connection.execute(taking.returning(analyses.c.job_id)).scalar_one_or_none()


def news(db: Database, job_id: str) -> News | None:
    """What is new of a job that is to be shown; None where there is no such job any more."""
    with db.read() as connection:
        job = connection.execute(select(jobs.c.last_event, jobs.c.state).where(jobs.c.id == job_id)).one_or_none()
        if job is None:
            return None
        trouble = troubles.read(connection, job_id, troubles.UNTRACKED)
        if trouble is None or trouble.state != job.state:
            return News(job.last_event, True)
        tracking_due = trouble.rests_until <= db.now(connection)
        return News(job.last_event, tracking_due and (trouble.again or trouble.event != job.last_event))


def to_be_shown(db: Database, job_id: str) -> tuple[JobView, Question | None] | None:
    """How the job stands, and what is to be asked of `python -m search.analysis.job`: nothing where it is answered.

    None where there is no such job any more.
    """
    with db.read() as connection:
        row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
        if row is None:
            return None
        job_view = job_view_of(connection, row)
        time = db.now(connection)
    if job_view.final or not job_view.response.observations:
        return job_view, None
    return job_view, Question(
        job_id=job_id,
        event=job_view.event,
        spec=dict(job_view.job.spec),
        trials=list(job_view.trials),
        teacher=None if job_view.job.teacher is None else dict(job_view.job.teacher),
        search_stopped=job_view.job.search_stopped,
        test_seen_before=row.test_seen_before,
        wall_seconds=time - row.started_at,
        now=datetime.fromtimestamp(time, UTC),
    )


def keep_interim(db: Database, interim: Interim) -> bool:
    """Remembers what an unfinished job's trials say so far.

    False where it has been answered, or deleted, since: then there is something better to show. NotStorable.
    """
    job_id, text = interim.response.job_id, as_stored(interim)
    with db.write() as connection:
        state = connection.execute(select(jobs.c.state).where(jobs.c.id == job_id)).scalar_one_or_none()
        if state is None or state == JobState.COMPLETED:
            return False
        _write_record(connection, job_id, "interim", text)
    return True


def mark_shown(db: Database, job_id: str, event: int, rest_seconds: float, *, tracked: bool = False) -> None:
    """Notes that the job is shown with all its events up to this one, and is not to be shown again for so long;
    and that it is `tracked`.

    Says nothing where the job has been answered or deleted since: it waits for being shown anew.
    """
    with db.write() as connection:
        for kind in (troubles.UNDRAWN, *([troubles.UNTRACKED] if tracked else [])):
            troubles.forget(connection, job_id, kind)
        of_job = (analyses.c.job_id == job_id) & (analyses.c.kind == "shown")
        values = {"document": str(event), "computed_at": now_sql() + rest_seconds}
        connection.execute(update(analyses).where(of_job).values(**values))


def fail_showing(db: Database, job_id: str, event: int, detail: str, first_pause: float) -> Trouble | None:
    """Notes that a job cannot be drawn as it stood at an event. It is tried again after a pause, which is twice as long
    each time, and after the last attempt when the job has changed. None where there is no such job any more.
    """
    with db.write() as connection:
        kind = troubles.UNDRAWN
        noted = troubles.note(connection, job_id, kind, event, detail, first_pause=first_pause, most=DRAWINGS)
        if noted is None:
            return None
        of_job = (analyses.c.job_id == job_id) & (analyses.c.kind == "shown")
        values = {"computed_at": noted.rests_until} | ({} if noted.again else {"document": str(event)})
        connection.execute(update(analyses).where(of_job).values(**values))
        return noted.record()


def fail_tracking(db: Database, job_id: str, event: int, detail: str, first_pause: float) -> Trouble | None:
    """As `fail_showing`, where it was drawn and other programs could not be told; its plots do not wait for that."""
    with db.write() as connection:
        kind = troubles.UNTRACKED
        noted = troubles.note(connection, job_id, kind, event, detail, first_pause=first_pause, most=TRACKINGS)
        return None if noted is None else noted.record()


def release_showing(db: Database, job_id: str, rest_seconds: float) -> None:
    """Gives a job back that was taken and could not be shown: it is not to be taken again for so long."""
    with db.write() as connection:
        of_job = (analyses.c.job_id == job_id) & (analyses.c.kind == "shown")
        connection.execute(update(analyses).where(of_job).values(computed_at=now_sql() + rest_seconds))


def _write_record(connection: Connection, job_id: str, kind: str, document: str) -> None:
    connection.execute(delete(analyses).where(analyses.c.job_id == job_id, analyses.c.kind == kind))
    connection.execute(insert(analyses).values(job_id=job_id, kind=kind, document=document, computed_at=now_sql()))
