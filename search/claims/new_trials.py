"""New trials of a job, which run from their first moment on: their rows, and what they cost the job."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Row
from sqlalchemy import insert as insert_into

from search import configurations
from search.claims import allotments, imported, leases, planner
from search.claims.grid import grid_values
from search.errors import Unreadable
from search.spec.job import JobSpec
from search.states import Stage, TrialState
from search.storage.db import now_sql
from search.storage.stored import readable
from search.storage.tables import jobs, trials

_NEW = insert_into(trials).values(created_at=now_sql(), started_at=now_sql()).returning(trials)


def insert(connection: Connection, job: Row[Any], spec: JobSpec, new: planner.NewTrial, worker_id: str) -> Row[Any]:
    """A new trial of the search or of a tuned baseline, whose number is the next one of the job."""
    values = {
        "job_id": job.id,
        "number": job.next_trial,
        "stage": new.stage,
        "arm": new.arm,
        "round": job.round,
        "seed": planner.trial_seed(spec.seed, job.next_trial),
        "attempt": 1,
        "state": TrialState.RUNNING,
        "worker_id": worker_id,
        **token(spec),
        **(_advice_values(job, new) or imported.point_values(connection, job, new.stage)),
        **grid_values(spec, new.arm, new.place, allotments.blocks_of(job)),
    }
    return connection.execute(_NEW, values).one()


def costs(spec: JobSpec, new: planner.NewTrial) -> dict[str, Any]:
    """What a new trial takes of its job: a number, and of the search's budget."""
    values: dict[str, Any] = {"next_trial": jobs.c.next_trial + 1}
    if new.stage is Stage.SEARCH:
        values["search_trials"] = jobs.c.search_trials + 1
        values["search_epochs"] = jobs.c.search_epochs + spec.training.epochs
    return values


def token(spec: JobSpec) -> dict[str, str]:
    """The token of a claim by a program of others, which stays with the trial."""
    return {} if spec.trainer is None else {"last_token": leases.new_token()}


def _advice_values(job: Row[Any], new: planner.NewTrial) -> dict[str, Any]:
    """What the search's trial that is about to be paid for was advised to be; nothing for those behind the first.

    Counted by the budget's own count, which is never undone: each point is tried once, whoever claims.
    """
    if job.advice is None or new.stage is not Stage.SEARCH:
        return {}
    with suppress(Unreadable), readable(f"the advice of job {job.id}"):
        points = job.advice["points"]
        if job.search_trials < len(points):
            point = points[job.search_trials]
            configurations.from_json(point["configuration"])
            adviser = {name: point[name] for name in ("origin", "source", "distance")}
            return {"configuration": point["configuration"], "advice": adviser}
    return {}
