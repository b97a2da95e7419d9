"""Speed of trainings like a job's, from what was recorded of the same owner's."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, func, select

from search.claims.lifecycle import spec_of
from search.errors import Unreadable
from search.spec.job import JobSpec
from search.states import TERMINAL_TRIALS
from search.storage.tables import jobs, trials

MOST_JOBS = 50  # the newest that are looked at
REMEMBERED_SECONDS = 30.0
_MOST_REMEMBERED = 500
_Question = tuple[str, tuple[Any, ...] | None, frozenset[str]]
_answers: WeakKeyDictionary[Engine, dict[_Question, tuple[float, float | None]]] = WeakKeyDictionary()
_lock = threading.Lock()


def recent_epochs_per_second(
    connection: Connection, spec: JobSpec, owner: str, devices: Collection[str]
) -> float | None:
    """As `epochs_per_second`, at most REMEMBERED_SECONDS ago: who follows a job that waits asks every second."""
    question = (owner, _kind(spec), frozenset(devices))
    with _lock:
        of_database = _answers.setdefault(connection.engine, {})
        asked_at, speed = of_database.get(question, (-math.inf, None))
    if time.monotonic() - asked_at < REMEMBERED_SECONDS:
        return speed
    speed = epochs_per_second(connection, spec, owner, devices)
    with _lock:
        if len(of_database) >= _MOST_REMEMBERED:
            of_database.clear()
        of_database[question] = (time.monotonic(), speed)
    return speed


def epochs_per_second(connection: Connection, spec: JobSpec, owner: str, devices: Collection[str]) -> float | None:
    """Epochs that one worker trains in a second, of the same student on the same data; None where none is recorded.

    All that a worker spent between a job's first trial and its last counts: compiling, and students side by side.
    `devices` are the kinds that count.
    """
    job_ids = []
    newest = select(jobs).where(jobs.c.started_at.is_not(None), jobs.c.trainer.is_(None), jobs.c.owner == owner)
    for row in connection.execute(newest.order_by(jobs.c.created_at.desc(), jobs.c.id).limit(MOST_JOBS)):
        with suppress(Unreadable):
            if (row.fixed or {}).get("device") in devices and _kind(spec_of(row)) == _kind(spec):
                job_ids.append(row.id)
    span = func.max(trials.c.ended_at) - func.min(trials.c.started_at)
    per_worker = (
        select(func.sum(trials.c.epoch).label("epochs"), span.label("seconds"))
        .where(trials.c.job_id.in_(job_ids), trials.c.state.in_(TERMINAL_TRIALS), trials.c.worker_id.is_not(None))
        .where(trials.c.started_at.is_not(None), trials.c.ended_at.is_not(None))
        .group_by(trials.c.job_id, trials.c.worker_id)
        .subquery()
    )
    totals = connection.execute(select(func.sum(per_worker.c.epochs), func.sum(per_worker.c.seconds))).one()
    epochs, seconds = (float(total or 0) for total in totals)
    return epochs / seconds if epochs > 0 and seconds > 0 else None


def _kind(spec: JobSpec) -> tuple[Any, ...] | None:
    """What the time of an epoch depends on most."""
    if spec.dataset is None or spec.student is None:
        return None
    data, student = spec.dataset, spec.student
    size = (data.train_size, data.image_size, data.validation_fraction)
    arguments = tuple(sorted(student.arguments.items()))
    return data.name, data.path, size, student.name, arguments, spec.training.batch_size, spec.distillation.method
