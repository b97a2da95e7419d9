"""How far are these jobs? Three queries for any number of them, over trials and the last minute's reports alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, case, func, or_, select

from search import plan
from search.lifecycle import SEARCHING, now, seconds_left, spec_of
from search.records import Progress
from search.spec import JobSpec
from search.states import BASELINE_ARMS, TERMINAL_JOBS, TERMINAL_TRIALS, JobState, Stage, TrialState
from search.tables import jobs, reports, trials

RATE_SECONDS = 60.0
_SHORTEST_WINDOW = 5.0  # the first reports of a job say little about its speed
_MOST_EPOCHS = 2000  # of one trial within the window; bounds the rows that are looked at


@dataclass(slots=True)
class _Counts:
    """What one job's trials add up to, by stage."""

    done: dict[Stage, int] = field(default_factory=lambda: defaultdict(int))
    open: dict[Stage, int] = field(default_factory=lambda: defaultdict(int))
    running: int = 0
    epochs: int = 0  # of all trials that count
    open_epochs: int = 0  # of those that have not ended
    search_epochs_done: int = 0  # of search trials that have ended


def progress_of(connection: Connection, rows: Sequence[Row[Any]]) -> dict[str, Progress]:
    """By job id, for whole rows of `jobs`."""
    if not rows:
        return {}
    at = now(connection)
    counted = _counts(connection, [row.id for row in rows])
    best = _best(connection, [row.id for row in rows])
    rates = _rates(connection, [row.id for row in rows if row.state not in TERMINAL_JOBS], at)
    return {row.id: _progress(row, counted[row.id], best.get(row.id), rates.get(row.id), at) for row in rows}


def _counts(connection: Connection, job_ids: Sequence[str]) -> dict[str, _Counts]:
    of = (trials.c.job_id, trials.c.stage, trials.c.state)
    current = or_(trials.c.stage.in_(SEARCHING), trials.c.round == jobs.c.round)
    query = (
        select(*of, func.count().label("trials"), func.sum(trials.c.epoch).label("epochs"))
        .join(jobs, jobs.c.id == trials.c.job_id)
        .where(trials.c.job_id.in_(job_ids), current)
        .group_by(*of)
    )
    counts: dict[str, _Counts] = defaultdict(_Counts)
    for row in connection.execute(query):
        of_job, stage, state = counts[row.job_id], Stage(row.stage), TrialState(row.state)
        of_job.epochs += row.epochs
        if state is TrialState.RUNNING:
            of_job.running += row.trials
        if state in TERMINAL_TRIALS:
            of_job.done[stage] += row.trials
            of_job.search_epochs_done += row.epochs if stage is Stage.SEARCH else 0
        else:
            of_job.open[stage] += row.trials
            of_job.open_epochs += row.epochs
    return counts


def _best(connection: Connection, job_ids: Sequence[str]) -> dict[str, tuple[int, float]]:
    metric = jobs.c.spec[("objective", "metric")].as_string()
    oriented = case((metric == "accuracy", -trials.c.value), else_=trials.c.value)
    place = func.row_number().over(partition_by=trials.c.job_id, order_by=(oriented, trials.c.number)).label("place")
    ranked = (
        select(trials.c.job_id, trials.c.number, trials.c.value, place)
        .join(jobs, jobs.c.id == trials.c.job_id)
        .where(trials.c.job_id.in_(job_ids), trials.c.stage == Stage.SEARCH, trials.c.state == TrialState.COMPLETED)
        .subquery()
    )
    found = connection.execute(select(ranked).where(ranked.c.place == 1))
    return {row.job_id: (row.number, row.value) for row in found}


def _rates(connection: Connection, job_ids: Sequence[str], at: float) -> dict[str, float]:
    """Epochs per second over the last minute."""
    since = at - RATE_SECONDS
    recent = or_(trials.c.state == TrialState.RUNNING, trials.c.ended_at > since)
    query = (
        select(trials.c.job_id, func.count().label("epochs"), func.min(reports.c.reported_at).label("first"))
        .join(reports, reports.c.trial_id == trials.c.id)
        .where(trials.c.job_id.in_(job_ids), recent)
        .where(reports.c.epoch > trials.c.epoch - _MOST_EPOCHS, reports.c.reported_at > since)
        .group_by(trials.c.job_id)
    )
    return {
        row.job_id: row.epochs / min(RATE_SECONDS, max(at - row.first, _SHORTEST_WINDOW))
        for row in connection.execute(query)
    }


def _progress(
    job: Row[Any], counts: _Counts, best: tuple[int, float] | None, rate: float | None, at: float
) -> Progress:
    spec = spec_of(job)
    searching, confirming = _still_to_come(job, spec, counts)
    left: float | None = None
    if job.state in TERMINAL_JOBS:
        left = 0.0
    elif rate:
        begun = sum(counts.open.values()) * spec.training.epochs - counts.open_epochs
        limit = seconds_left(job, at)
        search_seconds = (begun + searching * _mean_epochs(spec, counts)) / rate
        if searching and limit is not None:
            search_seconds = min(search_seconds, max(limit, 0.0))
        left = search_seconds + confirming * spec.training.epochs / rate
    return Progress(
        search_done=counts.done[Stage.SEARCH],
        search_budget=job.search_trials if job.search_stopped else job.budget_trials,
        trials_done=sum(counts.done.values()),
        trials_running=counts.running,
        trials_planned=sum(counts.done.values()) + sum(counts.open.values()) + searching + confirming,
        epochs_done=counts.epochs,
        epochs_per_second=rate,
        seconds_left=left,
        best_value=None if best is None else best[1],
        best_trial=None if best is None else best[0],
    )


def _still_to_come(job: Row[Any], spec: JobSpec, counts: _Counts) -> tuple[int, int]:
    """How many trials are not there yet, as far as is known: of search and baselines, and of the confirmation."""
    state = job.resume_state or job.state
    if state in (JobState.QUEUED, JobState.RUNNING):
        search = 0 if job.search_stopped else max(0, job.budget_trials - job.search_trials)
        if job.budget_epochs is not None:
            search = min(search, max(0, job.budget_epochs - job.search_epochs) // spec.training.epochs)
        per_arm = plan.baseline_trials(spec, job.search_trials + search)
        there = counts.done[Stage.BASELINE] + counts.open[Stage.BASELINE]
        baseline = 0 if job.search_stopped else max(0, len(BASELINE_ARMS) * per_arm - there)
        sizes = [job.search_trials + search, *(per_arm for _ in BASELINE_ARMS)]
        finalists = [min(spec.confirmation.finalists, size) for size in sizes]
        selected = sum(finalist for finalist in finalists if finalist > 1) * spec.confirmation.select_seeds
        return search + baseline, selected + _estimate_trials(spec)
    estimating = counts.done[Stage.ESTIMATE] + counts.open[Stage.ESTIMATE] > 0
    return 0, _estimate_trials(spec) if state == JobState.CONFIRMING and not estimating else 0


def _estimate_trials(spec: JobSpec) -> int:
    tuned = len(BASELINE_ARMS) if spec.baselines.share else 0
    return (1 + tuned + len(BASELINE_ARMS)) * spec.confirmation.estimate_seeds


def _mean_epochs(spec: JobSpec, counts: _Counts) -> float:
    """What a trial of the search costs: pruning shortens those to come as it has shortened those that were."""
    done = counts.done[Stage.SEARCH]
    return counts.search_epochs_done / done if done else float(spec.training.epochs)
