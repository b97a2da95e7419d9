"""Turns of the jobs that wait for workers: lanes in proportion to priority, all cells of a study as one job."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, case, func, select

from search.states import Allotting, JobState
from search.storage.db import now_sql
from search.storage.tables import jobs, leases

CLAIMABLE = (JobState.QUEUED, JobState.RUNNING, JobState.CONFIRMING)


@dataclass(frozen=True, slots=True)
class Turn:
    """A job that may have something to train, and whether nobody has begun it; its priority among all that wait."""

    job_id: str
    unbegun: bool
    priority: int
    total: int

    def share(self, most: int) -> int:
        """Of `most` trials, at least one."""
        return max(1, most * self.priority // self.total)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that may have something to train.

    `leased` trials of it are under way, `mine` of them with the worker that asks; `waited` seconds have gone by since
    its last claim. It may have `most_parallel` trials under way.
    """

    job_id: str
    study: str | None
    priority: int
    most_parallel: int | None
    unbegun: bool
    leased: int
    mine: int
    waited: float
    created_at: float

    def has_room(self) -> bool:
        """Whether it may have one more trial under way."""
        return self.most_parallel is None or self.leased < self.most_parallel


def select_waiting(criteria: ColumnElement[bool]) -> Select[Any]:
    """The rows of `Waiting`, for a bound `worker`, of the jobs for which `criteria` hold."""
    mine = func.count(case((leases.c.worker_id == bindparam("worker"), 1)))
    since = now_sql() - func.coalesce(jobs.c.claimed_at, jobs.c.created_at)
    counts = (func.count(leases.c.subject).label("leased"), mine.label("mine"), since.label("waited"))
    return (
        select(
            jobs.c.id.label("job_id"), jobs.c.study, jobs.c.priority, jobs.c.most_parallel,
            jobs.c.fixed.is_(None).label("unbegun"), *counts, jobs.c.created_at,
        )
        .outerjoin(leases, leases.c.job_id == jobs.c.id)
        .where(jobs.c.state.in_(CLAIMABLE), jobs.c.allotting.is_distinct_from(Allotting.DUE), criteria)
        .group_by(jobs.c.id)
    )  # fmt: skip


def turns(candidates: Sequence[Waiting]) -> list[Turn]:
    """Those that may have one more trial under way, in the order of whose turn it is.

    First who has the fewest trials under way for its priority: while all have enough to train, lanes are shared in
    proportion to priority (weighted max-min fairness), and who has none under way goes before all who have some. Among
    equals, first for whom priority times the time since its last claim is greatest. That time begins anew with each
    claim and grows without end for who waits, so that everybody's turn comes, whatever the others' priorities.

    All cells of a study are one in this, with the highest of their priorities: a study of many cells takes no more than
    a job. Among its cells a worker goes on with what it has begun, then takes what the fewest others train: a cell's
    teacher is made ready once, and its trials fill a bank.
    """
    groups = defaultdict[str, list[Waiting]](list)
    for job in candidates:
        groups[job.study or job.job_id].append(job)
    with_room = [group for group in groups.values() if any(job.has_room() for job in group)]
    total = sum(_priority(group) for group in with_room)
    return [
        Turn(job.job_id, job.unbegun, _priority(group), total)
        for group in sorted(with_room, key=_rank)
        for job in sorted(group, key=_rank_in_study)
        if job.has_room()
    ]


def _priority(group: Sequence[Waiting]) -> int:
    return max(job.priority for job in group)


def _rank(group: Sequence[Waiting]) -> tuple[float, float, float, str]:
    priority = _priority(group)
    leased, waited = sum(job.leased for job in group), min(job.waited for job in group)
    first = min(group, key=lambda job: (job.created_at, job.job_id))
    return leased / priority, -priority * waited, first.created_at, first.job_id


def _rank_in_study(job: Waiting) -> tuple[int, bool, int, bool, float, str]:
    return -job.priority, job.mine == 0, job.leased, job.unbegun, job.created_at, job.job_id
