"""Closing of jobs by one worker, fenced by the lease on the job: the permit for the test part, the stored answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from search.claims import leases
from search.claims.claiming import BUILT_IN
from search.claims.lifecycle import first_waiting, move, now, reread, spec_of, stored_finalists
from search.errors import LeaseLost
from search.spec.job import JobSpec
from search.states import JobState
from search.storage.db import Database, now_sql
from search.storage.events import emit
from search.storage.stored import as_stored
from search.storage.tables import analyses, jobs, trials
from search.storage.tables import leases as held
from thermowell.api.answers import Finalists
from thermowell.api.document import Document
from trainers.spec import Metrics, TestPermit, to_jsonable


@dataclass(frozen=True, slots=True)
class ClosingClaim:
    """A job whose confirmation has ended, to be closed by this worker as long as it renews `token`.

    Where `test_open` is false, a verdict that decides nothing leaves the test part sealed.
    """

    job_id: str
    token: str
    spec: JobSpec
    fixed: Mapping[str, Any]
    teacher: Mapping[str, Any] | None
    round: int
    search_stopped: bool
    test_seen_before: bool
    test_open: bool
    wall_seconds: float
    finalists: Finalists | None
    traceparent: str | None = None


def claim_closing(
    db: Database,
    worker_id: str,
    lease_seconds: float,
    criteria: ColumnElement[bool] = BUILT_IN,
    allowed: Callable[[JobSpec, Mapping[str, Any]], bool] | None = None,
) -> ClosingClaim | None:
    """Takes the closing of the job, of some, that has waited longest for it; None where there is none.

    `allowed` lets a worker leave a job to others, given its spec and what its first claim has fixed.
    """

    def take(connection: Connection, job: Row[Any]) -> ClosingClaim | None:
        if allowed is not None and not allowed(spec_of(job), job.fixed or {}):
            return None
        token = leases.grant(connection, job.id, None, worker_id, lease_seconds)
        emit(connection, job.id, "closing", {"worker": worker_id})
        return ClosingClaim(
            job_id=job.id,
            token=token,
            spec=spec_of(job),
            fixed=job.fixed or {},
            teacher=job.teacher,
            round=job.round,
            search_stopped=job.search_stopped,
            test_seen_before=job.test_seen_before,
            test_open=job.test_opened_at is not None,
            wall_seconds=now(connection) - job.started_at,
            finalists=stored_finalists(connection, job.id, job.round),
            traceparent=job.traceparent,
        )

    return first_waiting(db, (*waits(), criteria), take)


def waits() -> tuple[ColumnElement[bool], ...]:
    """Of jobs: their confirmation has ended, and nobody is closing them."""
    claimed = select(held.c.subject).where(held.c.job_id == jobs.c.id).exists()
    return jobs.c.state == JobState.ANALYSING, ~claimed


def open_test(db: Database, token: str, job_id: str) -> TestPermit:
    """Leave to read the test part; the first time is written down, before anything is read. LeaseLost.

    Nobody can have it earlier: the closing of a job is handed out once its confirmation has ended.
    """
    with db.write() as connection:
        job, lease = leases.hold_with_job(connection, token)
        if lease.trial_id is not None or job.id != job_id or job.state != JobState.ANALYSING:
            raise LeaseLost("the test part is read by whoever closes the job: drop the work")
        time = now(connection)
        if job.test_opened_at is None:
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(test_opened_at=time))
            emit(connection, job_id, "test_opened", {})
        return TestPermit(job=job_id, confirmed_at=time if job.test_opened_at is None else job.test_opened_at)


def record_test(db: Database, token: str, trial_id: int, metrics: Metrics) -> None:
    """Writes down what a trial's student reached on the test part. LeaseLost; ValueError if it is not finite."""
    document = to_jsonable(metrics)
    if not all(map(math.isfinite, document.values())):
        raise ValueError("only finite numbers are remembered")
    with db.write() as connection:
        lease = _closing(connection, token)
        of_job = (trials.c.id == trial_id) & (trials.c.job_id == lease.job_id)
        connection.execute(update(trials).where(of_job).values(test_metrics=document))


def complete(db: Database, token: str, job_id: str, documents: Mapping[str, Document]) -> None:
    """Stores the answer, in place of an earlier round's, and completes the job. LeaseLost; NotStorable."""
    texts = {kind: as_stored(document) for kind, document in documents.items()}
    with db.write() as connection:
        job, lease = leases.hold_with_job(connection, token)
        if lease.trial_id is not None or job.id != job_id:
            raise leases.lease_lost()
        connection.execute(analyses.delete().where(analyses.c.job_id == job_id))
        for kind, text in texts.items():
            values = {"job_id": job_id, "kind": kind, "document": text, "computed_at": now_sql()}
            connection.execute(insert(analyses).values(**values))
        leases.release(connection, token)
        move(connection, reread(connection, job_id), JobState.COMPLETED)


def _closing(connection: Any, token: str) -> Any:
    lease = leases.hold(connection, token)
    if lease.trial_id is not None:
        raise leases.lease_lost()
    return lease
