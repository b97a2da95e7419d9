"""Losses of workers and their causes: what a lost worker was training, whether that came further, and beside what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, exists, select, update

from search.claims.lifecycle import end_trial, lock_job, move
from search.records import Reason
from search.states import JobState, TrialState
from search.storage.events import emit
from search.storage.rows import reason_json
from search.storage.tables import jobs, reports, trials, workers

MAX_LOSSES = 5  # a trial or a closing that has lost this many workers is more likely to be the cause than the victim
SUSPECT = 2  # from so many losses on a trial sits on a worker alone: the next one shows whether it was the cause
MAX_WORKERS = 10  # lost in a row over trials of one job alone, none of which came further: then the job is what kills


@dataclass(frozen=True, slots=True)
class WorkerLoss:
    """A running trial that was lost: with which worker, and, where somebody saw it, how its process ended."""

    trial_id: int
    worker_id: str
    how: str | None = None


def put_back(connection: Connection, trial_id: int) -> Row[Any]:
    """A running trial waits again, for any worker; its row."""
    statement = update(trials).where(trials.c.id == trial_id, trials.c.state == TrialState.RUNNING)
    return connection.execute(statement.values(state=TrialState.WAITING, worker_id=None).returning(trials)).one()


def lose_trial(connection: Connection, job_id: str, loss: WorkerLoss) -> tuple[int, bool]:
    """A trial waits again, or fails once it has lost MAX_LOSSES workers without coming further in between.

    Answers its number, and whether it came further this time: a checkpoint of this attempt is where the next goes on.
    """
    trial = put_back(connection, loss.trial_id)
    of_attempt = (reports.c.trial_id == trial.id) & (reports.c.attempt == trial.attempt)
    saved = exists().where(of_attempt, reports.c.epoch <= (trial.checkpoint_epoch or 0))
    further = bool(connection.execute(select(saved)).scalar_one())
    losses = 1 if further else trial.losses + 1
    connection.execute(update(trials).where(trials.c.id == trial.id).values(losses=losses))
    payload = {"trial": trial.number, "worker": loss.worker_id, "losses": losses, "epoch": trial.epoch}
    emit(connection, job_id, "trial_lost", payload | ({"how": loss.how} if loss.how else {}))
    if losses >= MAX_LOSSES:
        cause = _last(connection, trial, loss)
        detail = f"{losses} workers were lost while they trained it, and it came no further: {cause}"
        job = lock_job(connection, job_id)
        assert job is not None  # it is locked by this transaction
        end_trial(connection, job, trial, TrialState.FAILED, {"reason": reason_json(Reason("worker-lost", detail))})
    return int(trial.number), further


def count_worker(connection: Connection, job_id: str, worker_id: str, *, further: bool, shared: bool) -> None:
    """A worker that trained this job was lost; the job is paused once that has happened MAX_WORKERS times in a row.

    One whose trials came `further`, or that was `shared` with other jobs, says nothing against this one.
    """
    job = lock_job(connection, job_id)
    if job is None or (shared and not further):
        return
    losses = 0 if further else job.lost_workers + 1
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(lost_workers=losses))
    if losses >= MAX_WORKERS and job.state in (JobState.RUNNING, JobState.CONFIRMING):
        detail = (
            f"{losses} workers in a row were lost while they trained this job alone, the last one "
            f"{named(connection, worker_id)}; their own logs say how they ended. Resume the job once the cause is "
            "gone, or cancel it"
        )
        move(connection, job, JobState.PAUSED, Reason("workers-lost", detail))


def _last(connection: Connection, trial: Row[Any], loss: WorkerLoss) -> str:
    """What is known of the last loss."""
    place = f"the last one was {named(connection, loss.worker_id)}, at epoch {trial.epoch} of attempt {trial.attempt}"
    return f"{place}; {loss.how or 'its own log says how it ended'}"


def named(connection: Connection, worker_id: str) -> str:
    """A worker, and where it ran as far as that is known."""
    worker = connection.execute(select(workers).where(workers.c.id == worker_id)).one_or_none()
    return worker_id if worker is None else f"{worker_id} (process {worker.pid} on {worker.host})"
