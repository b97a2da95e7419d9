"""How many jobs and trials are there in each state? For the operator's gauges; nobody's jobs are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from search.db import Database
from search.states import JobState, TrialState
from search.tables import jobs, trials


@dataclass(frozen=True, slots=True)
class Census:
    """Numbers by state, zeros included."""

    jobs: Mapping[JobState, int]
    trials: Mapping[TrialState, int]


def count(db: Database) -> Census:
    """Counts all jobs and all trials at one moment."""
    with db.read() as connection:
        of_jobs = connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state)).all()
        of_trials = connection.execute(select(trials.c.state, func.count()).group_by(trials.c.state)).all()
    by_job = {row[0]: int(row[1]) for row in of_jobs}
    by_trial = {row[0]: int(row[1]) for row in of_trials}
    return Census(
        jobs={state: by_job.get(state, 0) for state in JobState},
        trials={state: by_trial.get(state, 0) for state in TrialState},
    )
