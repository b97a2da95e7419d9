"""The claim and the record of a job's choice of finalists, fenced by the lease on the job.

A job whose search has ended waits for it in state confirming, with nothing to train yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select

from search.claims import leases
from search.claims.claiming import BUILT_IN
from search.claims.lifecycle import CONFIRMING, FINALISTS, advance, chosen_finalists, first_waiting, spec_of
from search.spec.job import JobSpec
from search.states import JobState
from search.storage.db import Database, now_sql
from search.storage.events import emit
from search.storage.stored import as_stored
from search.storage.tables import analyses, jobs, trials
from search.storage.tables import leases as held
from thermowell.api.answers import Finalists


@dataclass(frozen=True, slots=True)
class ChoosingClaim:
    """A job whose finalists are to be chosen by this worker, for this round, as long as it renews `token`."""

    job_id: str
    token: str
    spec: JobSpec
    round: int
    traceparent: str | None = None


def claim_choosing(
    db: Database, worker_id: str, lease_seconds: float, criteria: ColumnElement[bool] = BUILT_IN
) -> ChoosingClaim | None:
    """Takes the job, of some, that has waited longest for its finalists; None where there is none."""

    def take(connection: Connection, job: Row[Any]) -> ChoosingClaim | None:
        if chosen_finalists(connection, job.id, job.round) is not None:  # only to be gone on with
            advance(connection, job)
            return None
        token = leases.grant(connection, job.id, None, worker_id, lease_seconds)
        emit(connection, job.id, "choosing", {"worker": worker_id})
        return ChoosingClaim(job.id, token, spec_of(job), job.round, job.traceparent)

    return first_waiting(db, (*waits(), criteria), take)


def store_finalists(db: Database, token: str, finalists: Finalists) -> bool:
    """Stores the choice and goes on with the job, in one transaction. LeaseLost; NotStorable.

    False where the job has gone back to its search meanwhile: that choice is of the past, and the lease is given back.
    """
    text = as_stored(finalists)
    with db.write() as connection:
        job, lease = leases.hold_with_job(connection, token)
        if lease.trial_id is not None or job.id != finalists.job_id:
            raise leases.lease_lost()
        leases.release(connection, token)
        state = job.resume_state or job.state
        if state != JobState.CONFIRMING or job.round != finalists.round:
            return False
        of_kind = (analyses.c.job_id == job.id) & (analyses.c.kind == FINALISTS)
        connection.execute(delete(analyses).where(of_kind))
        values = {"job_id": job.id, "kind": FINALISTS, "document": text}
        connection.execute(insert(analyses).values(**values, computed_at=now_sql()))
        payload: dict[str, Any] = {
            arm_choice.arm: [finalist.trial for finalist in arm_choice.finalists] for arm_choice in finalists.arms
        }
        emit(connection, job.id, "finalists", payload)
        if job.state == JobState.CONFIRMING:
            advance(connection, job)
        return True


def waits() -> tuple[ColumnElement[bool], ...]:
    """Of jobs: confirming, without a trial of the current round's confirmation, and nobody is choosing."""
    of_round = (trials.c.job_id == jobs.c.id) & trials.c.stage.in_(CONFIRMING) & (trials.c.round == jobs.c.round)
    claimed = select(held.c.subject).where(held.c.job_id == jobs.c.id, held.c.trial_id.is_(None)).exists()
    return jobs.c.state == JobState.CONFIRMING, ~select(trials.c.id).where(of_round).exists(), ~claimed
