"""Counts of jobs and trials by state for the operator's gauges, over all owners."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import case, func, select

from search.claims.workers import is_alive
from search.states import TERMINAL_TRIALS, JobState, TrialState
from search.storage.db import Database, now_sql
from search.storage.tables import jobs, leases, trials, workers


@dataclass(frozen=True, slots=True)
class FleetCounts:
    """Numbers by state, zeros included, and what tells whether the fleet keeps up."""

    jobs: Mapping[JobState, int]
    trials: Mapping[TrialState, int]
    queue: int  # trials that wait, and jobs that wait for their first
    workers: int  # that are alive
    lanes: int  # of these
    lanes_busy: int
    retries: int  # attempts beyond the first
    losses: int  # attempts whose worker was lost
    stale_leases: int  # expired, and not reaped yet
    epochs: int  # trained by trials that have ended
    train_seconds: float  # that these took
    database_errors: int  # times that the database did not answer a worker


def count(db: Database) -> FleetCounts:
    """Counts all jobs and all trials at one moment."""
    with db.read() as connection:
        of_jobs = connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state)).all()
        of_trials = connection.execute(select(trials.c.state, func.count()).group_by(trials.c.state)).all()
        again = case((trials.c.attempt > 1, trials.c.attempt - 1), else_=0)
        terminal = trials.c.state.in_(TERMINAL_TRIALS)
        summed = connection.execute(
            select(
                func.sum(again).label("retries"),
                func.sum(trials.c.losses).label("losses"),
                func.sum(case((terminal, trials.c.epoch), else_=0)).label("epochs"),
                func.sum(case((terminal, trials.c.train_seconds), else_=0.0)).label("seconds"),
            )
        ).one()
        stale = connection.execute(select(func.count()).where(leases.c.expires_at < now_sql())).scalar_one()
        busy = connection.execute(select(func.count()).where(leases.c.trial_id.is_not(None))).scalar_one()
        living, lanes = connection.execute(select(func.count(), func.sum(workers.c.lanes)).where(is_alive())).one()
        errors = connection.execute(select(func.sum(workers.c.database_errors))).scalar_one()
    by_job = {row[0]: int(row[1]) for row in of_jobs}
    by_trial = {row[0]: int(row[1]) for row in of_trials}
    return FleetCounts(
        jobs={state: by_job.get(state, 0) for state in JobState},
        trials={state: by_trial.get(state, 0) for state in TrialState},
        queue=by_trial.get(TrialState.WAITING, 0) + by_job.get(JobState.QUEUED, 0),
        workers=int(living),
        lanes=int(lanes or 0),
        lanes_busy=int(busy),
        retries=int(summed.retries or 0),
        losses=int(summed.losses or 0),
        stale_leases=int(stale),
        epochs=int(summed.epochs or 0),
        train_seconds=float(summed.seconds or 0.0),
        database_errors=int(errors or 0),
    )
