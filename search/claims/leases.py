"""Leases: a worker's right to a trial; its token fences every write, and silence ends it.

A token is current as long as its row exists. One that has expired may still be renewed, until `reap` (or a user's
cancel) deletes it; from then on it writes nothing. Expiry goes by the database's clock.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, Row, bindparam, delete, func, insert, or_, select, update

from search.claims import attempts
from search.claims.attempts import Failure
from search.claims.lifecycle import lock_job
from search.claims.worker_loss import MAX_LOSSES as MAX_LOSSES
from search.claims.worker_loss import WorkerLoss, count_worker, lose_trial, put_back
from search.errors import LeaseLost
from search.storage.db import Database, now_sql
from search.storage.events import emit
from search.storage.tables import leases, trials


@dataclass(frozen=True, slots=True)
class ReapedLease:
    """What `reap` took from workers that were silent: trials by (job, number), and closings by job."""

    trials: list[tuple[str, int]] = field(default_factory=list)
    closings: list[str] = field(default_factory=list)


# What is said for every trial is built once.
_GRANT = insert(leases).values(acquired_at=now_sql(), expires_at=now_sql() + bindparam("period", type_=Double))
_GRANT_OTHERS = _GRANT.values(
    seconds=bindparam("period", type_=Double),
    stall_seconds=bindparam("stall", type_=Double),
    progress_at=now_sql(),
)
_END = delete(leases).where(leases.c.token == bindparam("held"), leases.c.trial_id == bindparam("trial"))
_TRIAL = (
    select(trials)
    .join(leases, leases.c.trial_id == trials.c.id)
    .where(leases.c.token == bindparam("held"), trials.c.id == bindparam("trial"))
    .with_for_update(of=[leases, trials])
)


def grant(
    connection: Connection,
    job_id: str,
    trial_id: int | None,
    worker_id: str,
    lease_seconds: float,
    stall_seconds: float | None = None,
    token: str | None = None,
) -> str:
    """A new lease's token, on a trial or (None) on a job's closing; the caller has locked the job.

    With `stall_seconds` it is that of a program of others, who are not trusted to be well because they renew: its token
    is one that the trial was given, as its `last_token`, and may be spoken of with until another is claimed.
    """
    token = token or new_token()
    subject = f"job:{job_id}" if trial_id is None else f"trial:{trial_id}"
    values = {"subject": subject, "token": token, "job_id": job_id, "trial_id": trial_id, "worker_id": worker_id}
    if stall_seconds is None:
        connection.execute(_GRANT, values | {"period": lease_seconds})
        return token
    connection.execute(_GRANT_OTHERS, values | {"period": lease_seconds, "stall": stall_seconds})
    return token


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_hex(16)


def hold(connection: Connection, token: str, trial_id: int | None = None) -> Row[Any]:
    """The lease of a current token, locked until the transaction ends, so that nobody takes it over meanwhile.

    LeaseLost where the token is not current, or is not of this trial. Locking the job comes before, never after.
    """
    locked = select(leases).where(leases.c.token == token).with_for_update()
    lease = connection.execute(locked).one_or_none()
    if lease is None or (trial_id is not None and lease.trial_id != trial_id):
        raise lease_lost()
    return lease


def hold_trial(connection: Connection, token: str, trial_id: int) -> Row[Any]:
    """The trial of a current token's lease, both locked in this order. LeaseLost.

    The trial is locked too because its row must be that of this moment: a transaction of the same holder, whose
    connection was cut, may end while this one waits for the lease.
    """
    trial = connection.execute(_TRIAL, {"held": token, "trial": trial_id}).one_or_none()
    if trial is None:
        raise lease_lost()
    return trial


def hold_with_job(connection: Connection, token: str) -> tuple[Row[Any], Row[Any]]:
    """The job and the lease of a current token, both locked. LeaseLost."""
    return _job_of(connection, token), hold(connection, token)


def end(connection: Connection, token: str, trial_id: int) -> Row[Any]:
    """Ends the lease of a current token, whose trial's end is about to be written; its job's row, locked. LeaseLost.

    As `hold_with_job` and `release`, in two statements: what is deleted was current.
    """
    job = _job_of(connection, token)
    if connection.execute(_END, {"held": token, "trial": trial_id}).rowcount != 1:
        raise lease_lost()
    return job


def release(connection: Connection, token: str) -> None:
    """Ends a lease whose work is done."""
    connection.execute(delete(leases).where(leases.c.token == token))


def _job_of(connection: Connection, token: str) -> Row[Any]:
    """The locked job of a token that was current a moment ago: until the lease is looked at again, it may have gone."""
    job = lock_job(connection, select(leases.c.job_id).where(leases.c.token == token).scalar_subquery())
    if job is None:
        raise lease_lost()
    return job


def renew(db: Database, worker_id: str, tokens: Collection[str], lease_seconds: float) -> set[str]:
    """Prolongs leases from now on; answers the tokens that are still current, the others are lost."""
    with db.write() as connection:
        mine = leases.c.token.in_(list(tokens)) & (leases.c.worker_id == worker_id)
        locked = select(leases.c.token).where(mine).order_by(leases.c.subject).with_for_update()
        current = set(connection.scalars(locked))
        prolonged = update(leases).where(leases.c.token.in_(current))
        connection.execute(prolonged.values(expires_at=now_sql() + lease_seconds))
    return current


def give_back(db: Database, token: str) -> None:
    """Returns a trial (or a closing) to be taken by anybody, as a worker does that is asked to stop. LeaseLost."""
    with db.write() as connection:
        job, lease = hold_with_job(connection, token)
        release(connection, token)
        if lease.trial_id is not None:
            trial = put_back(connection, lease.trial_id)
            emit(connection, job.id, "trial_returned", {"trial": trial.number, "worker": lease.worker_id})


def lose(db: Database, token: str, cause: str) -> None:
    """Returns a trial whose training process has died, which counts as in `reap`; `cause` is known. LeaseLost."""
    with db.write() as connection:
        job, lease = hold_with_job(connection, token)
        release(connection, token)
        if lease.trial_id is not None:
            _, further = lose_trial(connection, job.id, WorkerLoss(lease.trial_id, lease.worker_id, cause))
            count_worker(connection, job.id, lease.worker_id, further=further, shared=False)


def fail_attempt(db: Database, token: str, failure: Failure) -> None:
    """Notes that closing a job, or choosing its finalists, has raised an error. LeaseLost.

    The lease is left to expire, so that a while passes before the next attempt, by whichever worker. Or it is that of
    a trial, whose job could not be made ready: the trial waits again, and is not to blame.
    """
    with db.write() as connection:
        job, lease = hold_with_job(connection, token)
        kind = attempts.kind_of(job)
        if lease.trial_id is not None:
            release(connection, token)
            put_back(connection, lease.trial_id)
            kind = "preparing"
        attempts.failed(connection, job, kind, lease.worker_id, failure)


def silent() -> ColumnElement[bool]:
    """Of leases: one of our own workers has let it expire."""
    return leases.c.seconds.is_(None) & (leases.c.expires_at < now_sql())


def silent_others(heard_seconds: float) -> ColumnElement[bool]:
    """Of leases: a program of others has let it expire, or has reported no epoch for too long though it renews it.

    None for which the service itself could not be spoken to for as long: it has been heard for `heard_seconds`.
    """
    expired = (leases.c.expires_at < now_sql()) & (leases.c.seconds <= heard_seconds)
    stalled = (leases.c.progress_at + leases.c.stall_seconds < now_sql()) & (leases.c.stall_seconds <= heard_seconds)
    return leases.c.seconds.is_not(None) & or_(expired, stalled)


def reap(db: Database, expired: ColumnElement[bool] | None = None) -> ReapedLease:
    """Takes expired leases away: their trials wait again, or fail once MAX_LOSSES workers were lost over them.

    Those of our own workers, unless `expired` says others.
    """
    criteria = silent() if expired is None else expired
    with db.read() as connection:
        of_expired = select(leases.c.job_id).where(criteria).distinct()
        job_ids = sorted(connection.scalars(of_expired))
        of_jobs = select(leases.c.worker_id).group_by(leases.c.worker_id)
        shared = set(connection.scalars(of_jobs.having(func.count(leases.c.job_id.distinct()) > 1)))
    reaped = ReapedLease()
    for job_id in job_ids:
        with db.write() as connection:  # one job at a time, so that none is held up by the others
            _reap_job(connection, job_id, shared, reaped, criteria)
    return reaped


def _reap_job(
    connection: Connection, job_id: str, shared: Collection[str], reaped: ReapedLease, criteria: ColumnElement[bool]
) -> None:
    if lock_job(connection, job_id) is None:
        return
    expired = (leases.c.job_id == job_id) & criteria
    came_further: dict[str, bool] = {}
    for lease in connection.execute(select(leases).where(expired).order_by(leases.c.subject).with_for_update()).all():
        release(connection, lease.token)
        if lease.trial_id is None:
            _lose_job(connection, lease)
            reaped.closings.append(job_id)
        else:
            number, further = lose_trial(connection, job_id, WorkerLoss(lease.trial_id, lease.worker_id))
            came_further[lease.worker_id] = further or came_further.get(lease.worker_id, False)
            reaped.trials.append((job_id, number))
    for worker_id, further in came_further.items():
        count_worker(connection, job_id, worker_id, further=further, shared=worker_id in shared)


def _lose_job(connection: Connection, lease: Row[Any]) -> None:
    """As for a trial; what was lost is the closing of a job, or before that the choice of its finalists."""
    job = lock_job(connection, lease.job_id)
    assert job is not None  # it is locked by this transaction
    attempts.lost(connection, job, lease.worker_id)


def lease_lost() -> LeaseLost:
    """The error of a token that is not current."""
    return LeaseLost("this lease has expired or was taken away: drop the work")
