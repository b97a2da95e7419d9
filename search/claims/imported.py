"""The ledger of what was brought to a job from elsewhere: points to be tried first, and finished trials.

Each is stored once, by its content: bringing the same rows again changes nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from search import configurations
from search.claims import lifecycle
from search.claims.planner import trial_seed
from search.errors import IllegalMove
from search.records import Principal
from search.spec.job import JobSpec
from search.states import Arm, JobState, Stage, TrialState
from search.storage.access import visible_job
from search.storage.db import Database, now_sql
from search.storage.events import emit
from search.storage.tables import imports, jobs, trials
from trainers.spec import Configuration

Kind = Literal["points", "trials"]
TOGETHER = 100
"""So many are stored in one transaction, which holds the job."""
SEARCHING = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Entry:
    """A configuration with its source in words; of a finished trial also the value that it reached."""

    source: str
    configuration: Configuration
    value: float | None = None

    @property
    def digest(self) -> str:
        """What is the same for the same content, wherever it comes from."""
        content = [configurations.to_json(self.configuration), self.value]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Stored:
    """How many were new, how many were there before, and how many search trials the budget has left for points."""

    new: int
    repeated: int
    room: int


Tell = Callable[[Connection, int, Entry], int]
"""Writes a finished trial, by its number in the job, into Optuna's tables, and answers its number there."""


def open_job(db: Database, principal: Principal, job_id: str) -> JobSpec:
    """The spec of a job that still searches. NotFound; IllegalMove."""
    with db.read() as connection:
        return _searching(visible_job(connection, job_id, principal))


def look_up(db: Database, principal: Principal, job_id: str, entries: Sequence[Entry]) -> Stored:
    """What `store` would answer now. NotFound; IllegalMove."""
    with db.read() as connection:
        job = visible_job(connection, job_id, principal)
        _searching(job)
        fresh = _fresh(connection, job_id, entries)
        return Stored(len(fresh), len(entries) - len(fresh), _room(job))


def store(
    db: Database, principal: Principal, job_id: str, entries: Sequence[Entry], tell: Tell | None = None
) -> Stored:
    """Stores what is not there yet: as finished trials where they are to be told, else as points. NotFound;
    IllegalMove.
    """
    new, room = 0, 0
    for start in range(0, len(entries), TOGETHER):
        with db.write() as connection:
            job = visible_job(connection, job_id, principal, lock=True)
            spec = _searching(job)
            fresh = _fresh(connection, job_id, entries[start : start + TOGETHER])
            room = _room(job)
            if fresh and tell is None:
                _add_points(connection, job, fresh)
            elif fresh and tell is not None:
                _add_trials(connection, job, spec, fresh, tell)
            new += len(fresh)
    return Stored(new, len(entries) - new, room)


def point_values(connection: Connection, job: Row[Any], stage: Stage) -> dict[str, Any]:
    """What the search's trial that is about to be paid for was imported to be, as its owner's own guess; nothing where
    no point has its place.
    """
    if stage is not Stage.SEARCH or job.search_trials >= job.imported_points:
        return {}
    point = connection.execute(_POINT, {"job": job.id, "count": job.search_trials}).one_or_none()
    if point is None:
        return {}
    adviser = {"origin": "given", "source": point.source, "distance": None}
    return {"configuration": point.configuration, "advice": adviser}


_POINT = select(imports).where(imports.c.job_id == bindparam("job"), imports.c.place == bindparam("count"))


def _searching(job: Row[Any]) -> JobSpec:
    state = job.resume_state if job.state == JobState.PAUSED else job.state
    if state not in SEARCHING or job.search_stopped:
        stands = "its search was stopped" if state in SEARCHING else f"it is {job.state}"
        raise IllegalMove(
            f"job {job.id} takes nothing from elsewhere any more: {stands}, and its finalists are chosen from what was "
            f"there before. `thermowell extend {job.id} --trials N` searches on; import then, or into a new job"
        )
    return lifecycle.spec_of(job)


def _fresh(connection: Connection, job_id: str, entries: Iterable[Entry]) -> list[Entry]:
    """Those that are not stored, the same one once."""
    by_digest = {entry.digest: entry for entry in reversed(list(entries))}
    digests_there = select(imports.c.digest).where(imports.c.job_id == job_id, imports.c.digest.in_(list(by_digest)))
    digests = set(connection.scalars(digests_there))
    return [entry for digest, entry in reversed(by_digest.items()) if digest not in digests]


def _room(job: Row[Any]) -> int:
    """Search trials that are not paid for, and that no point waits for."""
    return max(0, int(job.budget_trials) - _next_place(job))


def _next_place(job: Row[Any]) -> int:
    advised = len(job.advice.get("points", ())) if isinstance(job.advice, dict) else 0
    return max(int(job.search_trials), advised, int(job.imported_points))


def _add_points(connection: Connection, job: Row[Any], entries: Sequence[Entry]) -> None:
    first = _next_place(job)
    _remember(connection, job.id, entries, list(range(first, first + len(entries))))
    after = update(jobs).where(jobs.c.id == job.id).values(imported_points=first + len(entries))
    connection.execute(after)
    emit(connection, job.id, "points_imported", {"points": len(entries)})


def _add_trials(connection: Connection, job: Row[Any], spec: JobSpec, entries: Sequence[Entry], tell: Tell) -> None:
    _remember(connection, job.id, entries, [None] * len(entries))
    first = lifecycle.take_numbers(connection, job.id, len(entries)).next_trial - len(entries)
    rows = [
        {
            "job_id": job.id,
            "number": number,
            "stage": Stage.SEARCH,
            "arm": Arm.JOINT,
            "round": job.round,
            "configuration": configurations.to_json(entry.configuration),
            "seed": trial_seed(spec.seed, number),
            "state": TrialState.COMPLETED,
            "optuna_number": tell(connection, number, entry),
            "mirrored": True,
            "value": entry.value,
            "epoch": spec.training.epochs,
            "metrics": {spec.objective.metric: entry.value},
            "imported": entry.source,
        }
        for number, entry in enumerate(entries, first)
    ]
    connection.execute(insert(trials).values(created_at=now_sql(), started_at=now_sql(), ended_at=now_sql()), rows)
    emit(connection, job.id, "trials_imported", {"trials": len(entries)})


def _remember(connection: Connection, job_id: str, entries: Sequence[Entry], places: Sequence[int | None]) -> None:
    rows = [
        {
            "job_id": job_id,
            "digest": entry.digest,
            "source": entry.source,
            "place": place,
            "configuration": configurations.to_json(entry.configuration),
        }
        for entry, place in zip(entries, places, strict=True)
    ]
    connection.execute(insert(imports).values(created_at=now_sql()), rows)
