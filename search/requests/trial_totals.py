"""Totals over a job's ended trials, cached by the job's event number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, Row, case, func, or_, select

from search.claims.lifecycle import SEARCHING
from search.requests.memory import Memory, version_of
from search.spec.objective import ObjectiveSpec
from search.states import TERMINAL_TRIALS, Stage, TrialState
from search.storage.tables import jobs, trials

RATE_SECONDS = 60.0
_MOST_REMEMBERED = 4096


@dataclass(slots=True)
class TrialTotals:
    """One job's ended trials; not to be changed by who reads it."""

    trials: dict[Stage, int] = field(default_factory=lambda: defaultdict(int))
    epochs: dict[Stage, int] = field(default_factory=lambda: defaultdict(int))
    best: tuple[int, float] | None = None  # number and value of the best completed search trial
    recent: list[int] = field(default_factory=list)  # ids of those that had ended within RATE_SECONDS when counted


_remembered: Memory[TrialTotals] = Memory(_MOST_REMEMBERED)  # by job id


def trial_totals(
    connection: Connection, rows: Sequence[Row[Any]], time: float, *, remember: bool
) -> Mapping[str, TrialTotals]:
    """By job id, for whole rows of `jobs`; `time` is now, by the database's clock.

    With `remember`, what was counted in the same state is taken from memory and what is counted is kept there: for
    transactions that only read, since what a writer sees of itself may never be committed.
    """
    if not remember:
        return _count(connection, rows, time)
    totals = {}
    for row in rows:
        memory = _remembered.recall(row.id, version_of(row))
        if memory is not None:
            totals[row.id] = memory
    fresh = _count(connection, [row for row in rows if row.id not in totals], time)
    for row in rows:
        if row.id in fresh:
            _remembered.keep(row.id, version_of(row), fresh[row.id])
    return totals | fresh


def _count(connection: Connection, rows: Sequence[Row[Any]], time: float) -> dict[str, TrialTotals]:
    if not rows:
        return {}
    totals = {row.id: TrialTotals() for row in rows}
    of_jobs = trials.c.job_id.in_(list(totals)) & trials.c.imported.is_(None)
    columns = (trials.c.job_id, trials.c.stage)
    query = (
        select(*columns, func.count().label("trials"), func.sum(trials.c.epoch).label("epochs"))
        .join(jobs, jobs.c.id == trials.c.job_id)
        .where(of_jobs, trials.c.state.in_(TERMINAL_TRIALS))
        .where(or_(trials.c.stage.in_(SEARCHING), trials.c.round == jobs.c.round))
        .group_by(*columns)
    )
    for row in connection.execute(query):
        totals[row.job_id].trials[Stage(row.stage)] += row.trials
        totals[row.job_id].epochs[Stage(row.stage)] += row.epochs
    for row in connection.execute(
        select(trials.c.job_id, trials.c.id).where(of_jobs, trials.c.ended_at > _since(time))
    ):
        totals[row.job_id].recent.append(row.id)
    _find_best(connection, rows, totals)
    return totals


def _since(time: float) -> float:
    return time - RATE_SECONDS


def _maximized(spec: Any) -> bool:
    """Whether more is better by a stored spec; not where it says nothing that can be read."""
    objective = spec.get("objective") if isinstance(spec, dict) else None
    try:
        return isinstance(objective, dict) and ObjectiveSpec.model_validate(objective).direction == "maximize"
    except ValidationError:
        return False


def _find_best(connection: Connection, rows: Sequence[Row[Any]], totals: Mapping[str, TrialTotals]) -> None:
    # which way is better is read from the rows at hand: the database would parse the spec anew for each trial
    maximized = [row.id for row in rows if _maximized(row.spec)]
    oriented = case((trials.c.job_id.in_(maximized), -trials.c.value), else_=trials.c.value)
    of_search = (trials.c.stage == Stage.SEARCH) & (trials.c.state == TrialState.COMPLETED)
    of_search &= trials.c.imported.is_(None)
    reached = (
        select(trials.c.job_id, func.min(oriented).label("reached"))
        .where(trials.c.job_id.in_(list(totals)), of_search)
        .group_by(trials.c.job_id)
        .cte()
    )
    first = (
        select(trials.c.job_id, func.min(trials.c.number).label("number"), func.min(trials.c.value).label("value"))
        .join(reached, (trials.c.job_id == reached.c.job_id) & (oriented == reached.c.reached))
        .where(of_search)
        .group_by(trials.c.job_id)
    )
    for row in connection.execute(first):
        totals[row.job_id].best = (row.number, row.value)
