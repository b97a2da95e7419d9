"""Queries of the jobs page: changes, best temperatures and last events of many jobs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

from sqlalchemy import column, func, select, table, tuple_

from search.claims.workers import is_alive
from search.errors import Unreadable
from search.records import Event, Principal
from search.states import TrialState
from search.storage.access import visible_job, visible_study
from search.storage.db import Database, now_sql
from search.storage.rows import event_of, optuna_study_name
from search.storage.stored import readable
from search.storage.tables import analyses, events, jobs, trials, workers

_STUDIES = table("studies", column("study_id"), column("study_name"))  # Optuna's own


def pulse(db: Database, principal: Principal, job_id: str | None = None, study_id: str | None = None) -> str:
    """A word that differs whenever something has: of all jobs that the principal may see, of a study's, or of one.

    A job's own also follows what are no events: the epochs of its running trials, and what was computed. NotFound.
    """
    with db.read() as connection:
        if job_id is None:
            query = select(func.count(), func.max(jobs.c.updated_at))
            if not principal.may("admin"):
                query = query.where(jobs.c.owner == principal.id)
            if study_id is not None:
                query = query.where(jobs.c.study == visible_study(connection, study_id, principal).id)
            count, latest = connection.execute(query).one()
            return f"{count} {latest}"
        job = visible_job(connection, job_id, principal)
        epochs = select(func.sum(trials.c.epoch)).where(trials.c.job_id == job.id, trials.c.state == TrialState.RUNNING)
        computed = select(func.max(analyses.c.computed_at)).where(analyses.c.job_id == job.id)
        return f"{job.last_event} {connection.execute(epochs).scalar_one()} {connection.execute(computed).scalar_one()}"


def preparations(db: Database, job_id: str | None = None) -> str:
    """A word that differs whenever workers say that they prepare something else, for one job or for any.

    Where they know for how long, it differs with every ten seconds of it.
    """
    told = workers.c.capabilities["preparing"]
    query = select(told.label("preparing"), (now_sql() - workers.c.seen_at).label("age")).where(is_alive())
    words = []
    with db.read() as connection:
        for row in connection.execute(query.order_by(workers.c.id)):
            with suppress(Unreadable), readable(f"what a worker prepares: {str(row.preparing)[:80]}"):
                if row.preparing and job_id in (None, row.preparing["job"]):
                    seconds = row.preparing["seconds"]
                    tens = None if seconds is None else (seconds - row.age) // 10
                    words.append(f"{row.preparing['job']} {row.preparing['words']} {tens}")
    return ", ".join(words)


def best_temperatures(db: Database, best: Mapping[str, int]) -> dict[str, float]:
    """The temperatures of these trials, by job id: `best` names one trial of each job.

    The jobs must have been shown to who asks already.
    """
    if not best:
        return {}
    criteria = tuple_(trials.c.job_id, trials.c.number).in_(best.items())
    query = select(trials.c.job_id, trials.c.configuration).where(criteria)
    with db.read() as connection:
        rows = connection.execute(query).all()
    temperatures: dict[str, float] = {}
    for row in rows:
        with suppress(Unreadable), readable(f"the configuration of trial {best[row.job_id]} of job {row.job_id}"):
            if row.configuration is not None:
                temperatures[row.job_id] = float(row.configuration["temperature"])
    return temperatures


def study_number(db: Database, job_id: str, principal: Principal) -> int | None:
    """The number under which the dashboard shows a job's joint search; None before its first trial. NotFound."""
    with db.read() as connection:
        job = visible_job(connection, job_id, principal)
        query = select(_STUDIES.c.study_id).where(_STUDIES.c.study_name == optuna_study_name(job.id))
        number: int | None = connection.execute(query).scalar_one_or_none()
    return number


def recent_events(
    db: Database, job_id: str, principal: Principal, limit: int, excluded: Collection[str] = ()
) -> list[Event]:
    """A job's last events, the newest first, at most `limit`, but for these kinds. NotFound."""
    criteria = (events.c.job_id == job_id) & events.c.kind.not_in(excluded)
    with db.read() as connection:
        visible_job(connection, job_id, principal)
        newest = select(events).where(criteria).order_by(events.c.number.desc()).limit(limit)
        return [event_of(row) for row in connection.execute(newest)]
