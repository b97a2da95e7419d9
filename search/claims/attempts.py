"""What follows when the work on a whole job fails or loses its worker: it is tried again, and then the job is paused.

That work is its closing, the choice of its finalists, and making its data and teacher ready. What was trained is paid
for, and the fault may be the machine's. Only an error that came out the same at every attempt, and is none that a
machine makes, fails the job. Attempts and losses are counted from the job's last change of state or ended trial on, by
its events: they count over all workers, and a job that is resumed begins anew.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from search.claims.lifecycle import cancel_trials, drop_leases, move
from search.claims.worker_loss import MAX_LOSSES, named
from search.records import Reason
from search.states import CLOSING, JobState, Stage, TrialState
from search.storage.events import emit
from search.storage.tables import events

ATTEMPTS = 3
LONGEST = 500  # characters of an error that are kept
_BREAKS = ("state", "trial_finished")  # events before which nothing counts any more
_DONE = {"closing": "closed it", "choosing": "chose its finalists", "preparing": "made it ready"}
_FAILED = {"closing": "closing it", "choosing": "choosing its finalists", "preparing": "making it ready"}


@dataclass(frozen=True, slots=True)
class Failure:
    """An error in words; `lasting` where the same job would come to it on any machine."""

    text: str
    lasting: bool = False


def kind_of(job: Row[Any]) -> str:
    """What the lease on a job itself is for, by the job's state."""
    return "closing" if (job.resume_state or job.state) == JobState.ANALYSING else "choosing"


def lost(connection: Connection, job: Row[Any], worker_id: str) -> None:
    """A worker was silent that held the lease on the job itself; the job is paused after MAX_LOSSES of them.

    A lease that a failed attempt has left to expire is no loss.
    """
    kind = kind_of(job)
    if _last(connection, job.id, (kind, f"{kind}_lost", f"{kind}_failed")) == f"{kind}_failed":
        return
    emit(connection, job.id, f"{kind}_lost", {"worker": worker_id})
    count = len(_payloads(connection, job.id, f"{kind}_lost"))
    if job.state in CLOSING and count >= MAX_LOSSES:
        words = f"{count} workers were lost while they {_DONE[kind]}, the last one {named(connection, worker_id)}"
        pause(connection, job, Reason(f"{kind}-lost", words))


def failed(connection: Connection, job: Row[Any], kind: str, worker_id: str, failure: Failure) -> None:
    """An attempt has raised an error; after ATTEMPTS in a row the job is paused, or fails where that lasts."""
    text = failure.text[:LONGEST]
    emit(connection, job.id, f"{kind}_failed", {"worker": worker_id, "error": text, "lasting": failure.lasting})
    attempts = _payloads(connection, job.id, f"{kind}_failed")
    if len(attempts) < ATTEMPTS or job.state in (JobState.PAUSED, JobState.COMPLETED):
        return
    if all(attempt["lasting"] and attempt["error"] == text for attempt in attempts):
        drop_leases(connection, job.id)
        cancel_trials(connection, job.id, Stage, (TrialState.WAITING, TrialState.RUNNING))
        detail = f"{text}. It came to the same at each of {len(attempts)} attempts, so it lies with the job"
        move(connection, job, JobState.FAILED, Reason("analysis-failed", detail))
        return
    worker_name = named(connection, worker_id)
    words = f"{_FAILED[kind]} failed {len(attempts)} times, the last time on {worker_name} by {text}"
    pause(connection, job, Reason(f"{kind}-failed", words))


def pause(connection: Connection, job: Row[Any], reason: Reason) -> Row[Any]:
    """Pauses a job for what a machine did, with the way out; whoever works on the job as a whole is fenced."""
    if job.state in CLOSING:
        drop_leases(connection, job.id, of_trials=False)
    way_out = f"What was trained is kept: resume the job (`thermowell resume {job.id}`) once the cause is gone"
    return move(connection, job, JobState.PAUSED, Reason(reason.type, f"{reason.detail}. {way_out}, or cancel it"))


def _payloads(connection: Connection, job_id: str, kind: str) -> Sequence[Any]:
    """What the job's events of a kind said since it last came further, the oldest first."""
    further = select(func.max(events.c.number)).where(events.c.job_id == job_id, events.c.kind.in_(_BREAKS))
    since = func.coalesce(further.scalar_subquery(), 0)
    of_kind = (events.c.job_id == job_id) & (events.c.kind == kind) & (events.c.number > since)
    return connection.scalars(select(events.c.payload).where(of_kind).order_by(events.c.number)).all()


def _last(connection: Connection, job_id: str, kinds: Collection[str]) -> str | None:
    """Which of these kinds of events was the job's last."""
    of_kinds = select(events.c.kind).where(events.c.job_id == job_id, events.c.kind.in_(kinds))
    last: str | None = connection.execute(of_kinds.order_by(events.c.number.desc()).limit(1)).scalar_one_or_none()
    return last
