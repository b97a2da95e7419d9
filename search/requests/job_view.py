"""The state of a job as pages and pictures show it: its answer, or what its trials say so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import Connection, select

from search import configurations
from search.analysis.job.observations import observations, softness_seen
from search.claims.lifecycle import spec_of
from search.errors import Unreadable
from search.records import Job, Principal, Trial
from search.requests import troubles
from search.requests.progress import progress_of
from search.spec.job import JobSpec
from search.states import TERMINAL_JOBS, Arm, Stage, TrialState
from search.storage.access import visible_job
from search.storage.db import Database
from search.storage.rows import job_of, trial_of
from search.storage.stored import read_or_none
from search.storage.tables import analyses, reports, trials
from thermowell.api.answers import Importances, Interactions, Interim, Result, TemperatureResponse
from thermowell.api.document import Document

MOST_CURVES = 80
MOST_LANES = 24
MOST_POINTS = 60
"""Of one curve: more cannot be told apart in a picture."""
BARE = "No model yet: the trials alone, as they were measured."

KINDS: dict[str, type[Document]] = {
    "result": Result,
    "response": TemperatureResponse,
    "importances": Importances,
    "interactions": Interactions,
}


@dataclass(frozen=True, slots=True)
class Curve:
    """The objective of one search trial at its epochs, which rise."""

    trial: int
    temperature: float
    optimizer: str
    state: TrialState
    epochs: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class JobView:
    """One job at one moment. `final` where it has been answered; before, `result` may be missing.

    `event` is the job's last event that is in all of this. `importances` and `interactions` are missing where nothing
    was computed yet. Of an answered job, what cannot be read is missing too, and named in `unreadable`.
    """

    job: Job
    event: int
    final: bool
    result: Result | None
    response: TemperatureResponse
    importances: Importances | None
    interactions: Interactions | None
    trials: Sequence[Trial]
    curves: Sequence[Curve]
    unreadable: str | None = None
    lanes: Sequence[Curve] = ()  # of trials that are in training now, of all stages


def get_job_view(db: Database, job_id: str, principal: Principal) -> JobView:
    """The job as it stands. NotFound; Unreadable where it was answered and the answer cannot be read."""
    with db.read() as connection:
        job_view = job_view_of(connection, visible_job(connection, job_id, principal))
    if job_view.unreadable is not None:
        raise Unreadable(job_view.unreadable)
    return job_view


def job_view_of(connection: Connection, row: Any) -> JobView:
    """As `get_job_view`, of a row of `jobs` read in this transaction, with what can be read. Unreadable: its spec."""
    job = job_of(row, progress_of(connection, [row])[row.id], troubles.records(connection, row.id))
    trial_rows = connection.execute(select(trials).where(trials.c.job_id == row.id).order_by(trials.c.number)).all()
    trained = [trial_of(record) for record in trial_rows]
    ids = {record.number: record.id for record in trial_rows}
    spec = spec_of(row)
    query = select(analyses.c.kind, analyses.c.document).where(analyses.c.job_id == row.id)
    documents: dict[str, str] = {record.kind: record.document for record in connection.execute(query)}
    final = "result" in documents and job.state in TERMINAL_JOBS
    so_far = None if final else read_or_none(Interim, documents.get("interim"), f"what job {row.id} says so far")
    if not final:  # an extended job's earlier answer is not its last
        documents = {}
    of_job = f"of job {row.id}"
    answer = {kind: read_or_none(record, documents.get(kind), f"the {kind} {of_job}") for kind, record in KINDS.items()}
    unreadable_parts = [kind for kind in KINDS if kind in documents and answer[kind] is None]
    result, response = cast(Result | None, answer["result"]), cast(TemperatureResponse | None, answer["response"])
    mattered, maps = cast(Importances | None, answer["importances"]), cast(Interactions | None, answer["interactions"])
    return JobView(
        job=job,
        event=row.last_event,
        final=final,
        result=so_far.result if so_far else result,
        response=(so_far.response if so_far else response) or _bare(job, spec, trained),
        importances=so_far.importances if so_far else mattered,
        interactions=so_far.interactions if so_far else maps,
        trials=trained,
        curves=_curves(connection, spec, trained, ids),
        lanes=_lanes(connection, spec, trained, ids),
        unreadable=f"{', '.join(unreadable_parts)} of job {row.id} cannot be read" if unreadable_parts else None,
    )


def _bare(job: Job, spec: JobSpec, trained: Sequence[Trial]) -> TemperatureResponse:
    return TemperatureResponse(
        job_id=job.id,
        metric=spec.objective.metric,
        direction=spec.objective.direction,
        overall=None,
        per_optimizer=[],
        observations=observations(trained),
        softness=softness_seen(trained),
        method=BARE,
        delta=spec.confirmation.delta,
        computed_at=datetime.now(UTC).isoformat(),
    )


def _curves(connection: Connection, spec: JobSpec, trained: Sequence[Trial], ids: dict[int, int]) -> list[Curve]:
    """Of the search's trials that have said something: the best one, and others evenly spread over T."""
    searched = [
        trial
        for trial in trained
        if (trial.stage, trial.arm) == (Stage.SEARCH, Arm.JOINT) and trial.configuration is not None and trial.epoch
    ]
    by_temperature = sorted(searched, key=lambda trial: (trial.configuration or {})["temperature"])
    stride = max(1.0, len(by_temperature) / MOST_CURVES)
    places = {int(place * stride) for place in range(math.ceil(len(by_temperature) / stride))}
    numbers = {trial.number for index, trial in enumerate(by_temperature) if index in places}
    sign = 1 if spec.objective.direction == "maximize" else -1
    completed = [trial for trial in searched if trial.state is TrialState.COMPLETED and trial.value is not None]
    numbers |= {trial.number for trial in sorted(completed, key=lambda t: -sign * (t.value or 0.0))[:1]}
    return _told_by(connection, spec, [trial for trial in searched if trial.number in numbers], ids)


def _lanes(connection: Connection, spec: JobSpec, trained: Sequence[Trial], ids: dict[int, int]) -> list[Curve]:
    """Of the trials that are in training now, the first of them where they are many."""
    running = [t for t in trained if t.state is TrialState.RUNNING and t.configuration is not None and t.epoch]
    return _told_by(connection, spec, running[:MOST_LANES], ids)


def _told_by(connection: Connection, spec: JobSpec, selected: Sequence[Trial], ids: dict[int, int]) -> list[Curve]:
    """The learning curves of these trials, thinned out."""
    values: dict[int, list[tuple[int, float]]] = {}
    metric = spec.objective.metric
    column = reports.c[metric] if spec.objective.built_in else reports.c.metrics[metric].as_float()
    criteria = reports.c.trial_id.in_([ids[trial.number] for trial in selected])
    for trial_id, epoch, value in connection.execute(
        select(reports.c.trial_id, reports.c.epoch, column)
        .where(criteria)
        .order_by(reports.c.trial_id, reports.c.epoch)
    ):
        if value is not None:  # a program of others need not measure it after each epoch
            values.setdefault(trial_id, []).append((epoch, value))
    return [
        Curve(
            trial=trial.number,
            temperature=float((trial.configuration or {})["temperature"]),
            optimizer=configurations.optimizer_name(trial.configuration or {}),
            state=trial.state,
            epochs=[epoch for epoch, _ in points],
            values=[value for _, value in points],
        )
        for trial in selected
        if (points := _thin_out(values.get(ids[trial.number], [])))
    ]


def _thin_out(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most MOST_POINTS of them, the last one always."""
    step = math.ceil(len(points) / MOST_POINTS)
    return points if step <= 1 else [*points[:-1:step], points[-1]]
