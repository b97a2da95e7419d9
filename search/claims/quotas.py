"""Quotas of keys: open jobs, their trials, and trials at once.

Trials that an adaptive study may still hand out count from the beginning, as if its jobs had them.
Who counts holds the key's row until the transaction ends, so that two requests at once cannot both take the last place.
It is taken after the job's row, where both are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, exists, func, select

from search.claims import allotments
from search.errors import QuotaExceeded
from search.records import Quota
from search.states import TERMINAL_JOBS
from search.storage.tables import jobs, keys, leases

_WAY_OUT = "wait until one has ended, cancel one, or ask an admin to raise it (`thermowell keys quota {key}`)"


def quota_of(row: Row[Any]) -> Quota:
    """The quota in a key's row."""
    return Quota(jobs=row.most_jobs, trials=row.most_trials, parallel=row.most_parallel)


def columns_of(quota: Quota) -> dict[str, int | None]:
    """A quota as it stands in a key's row. ValueError for a number below 1 or above 2**31 - 1."""
    for name, number in (("jobs", quota.jobs), ("trials", quota.trials), ("parallel", quota.parallel)):
        if number is not None and not 1 <= number < 2**31:
            raise ValueError(f"a quota of {name} is a number from 1 to {2**31 - 1}, got {number}")
    return {"most_jobs": quota.jobs, "most_trials": quota.trials, "most_parallel": quota.parallel}


def check_new_jobs(connection: Connection, owner: str, budgets: Sequence[int], *, of_study: bool = False) -> None:
    """QuotaExceeded where the owner may not have more jobs of so many trials each, which come together; a new study is
    told how to ask for less.
    """
    quota = _locked(connection, owner)
    if quota is None or not budgets:
        return
    unfinished, promised = _commitments(connection, owner)
    if quota.jobs is not None and unfinished + len(budgets) > quota.jobs:
        together = f", and this would add {len(budgets)}" if len(budgets) > 1 else ""
        raise QuotaExceeded(
            f"this key may have {quota.jobs} unfinished jobs at once and has {unfinished}{together}: "
            + _WAY_OUT.format(key=f"{owner} --jobs N")
        )
    less = " in all, with `budget: {{trials: {room}, of: all cells}}`" if of_study else ""
    _check_trials(quota, owner, promised, sum(budgets), less)


def check_more_trials(connection: Connection, owner: str, before: int, after: int, terminal: bool) -> None:
    """QuotaExceeded where the owner may not raise the budget of a job by so much; `terminal` jobs count anew."""
    quota = _locked(connection, owner)
    if quota is None:
        return
    unfinished, promised = _commitments(connection, owner)
    if terminal and quota.jobs is not None and unfinished >= quota.jobs:
        raise QuotaExceeded(
            f"this key may have {quota.jobs} unfinished jobs at once and has {unfinished}, without this one: "
            + _WAY_OUT.format(key=f"{owner} --jobs N")
        )
    _check_trials(quota, owner, promised, after if terminal else after - before)


def limits_parallel() -> ColumnElement[bool]:
    """Of a job: whether its owner's key limits how many trials are under way at once."""
    return exists().where(keys.c.id == jobs.c.owner, keys.c.most_parallel.is_not(None)).label("limits_parallel")


def parallel_left(connection: Connection, owner: str) -> int | None:
    """How many more trials of the owner's jobs may be under way; None where the key has no such quota."""
    quota = _locked(connection, owner)
    if quota is None or quota.parallel is None:
        return None
    return max(0, quota.parallel - _under_way(connection, owner))


def _check_trials(quota: Quota, owner: str, promised: int, more: int, less: str = "") -> None:
    if quota.trials is None or promised + more <= quota.trials:
        return
    room = max(0, quota.trials - promised)
    raise QuotaExceeded(
        f"this key may have {quota.trials} search trials in the budgets of its unfinished jobs; they have "
        f"{promised}, and this asks for {more} more: "
        + (f"ask for at most {room}{less.format(room=room)}, or " if room else "")
        + _WAY_OUT.format(key=f"{owner} --trials N")
    )


def _locked(connection: Connection, owner: str) -> Quota | None:
    """The owner's quota, locked; None where it has none at all: a key without, or whoever uses an open service."""
    row = connection.execute(select(keys).where(keys.c.id == owner)).one_or_none()
    if row is None or quota_of(row) == Quota():
        return None
    # NO KEY UPDATE: sessions of this key may still begin
    locked = connection.execute(select(keys).where(keys.c.id == owner).with_for_update(key_share=True)).one()
    return quota_of(locked)


def current_quota(connection: Connection, owner: str) -> Quota:
    """How much the owner has of what a quota limits."""
    unfinished, promised = _commitments(connection, owner)
    return Quota(jobs=unfinished, trials=promised, parallel=_under_way(connection, owner))


def _commitments(connection: Connection, owner: str) -> tuple[int, int]:
    """The owner's unfinished jobs, and the search trials in their budgets, with those that adaptive studies have yet to
    hand out.
    """
    reserve = allotments.reserve_of(connection, owner)  # first: what is handed out meanwhile counts twice, not never
    unfinished = (jobs.c.owner == owner) & jobs.c.state.not_in(TERMINAL_JOBS)
    query = select(func.count(), func.coalesce(func.sum(jobs.c.budget_trials), 0)).where(unfinished)
    count, trials = connection.execute(query).one()
    return int(count), int(trials) + reserve


def _under_way(connection: Connection, owner: str) -> int:
    query = select(func.count()).select_from(leases).join(jobs, jobs.c.id == leases.c.job_id)
    return int(connection.execute(query.where(jobs.c.owner == owner, leases.c.trial_id.is_not(None))).scalar_one())
