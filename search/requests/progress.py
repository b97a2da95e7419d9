"""Progress of many jobs in few queries, over open trials and the last minute's reports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, exists, func, or_, select

from search.claims import agents, trial_counts
from search.claims.lifecycle import SEARCHING, now, seconds_left, spec_of
from search.claims.reporting import OPEN_TRIALS
from search.claims.turns import CLAIMABLE
from search.claims.workers import LiveWorkers, lacking_plugins, living
from search.errors import Unreadable
from search.records import Progress
from search.requests.trial_totals import RATE_SECONDS, TrialTotals, trial_totals
from search.spec.job import JobSpec
from search.states import TERMINAL_JOBS, Allotting, JobState, Stage, TrialState
from search.storage.tables import jobs, reports, trials

_SHORTEST_WINDOW = 5.0  # the first reports of a job say little about its speed
_MOST_BEFORE = 100  # jobs that are counted before one that waits
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


def progress_of(connection: Connection, rows: Sequence[Row[Any]], *, remember: bool = False) -> dict[str, Progress]:
    """By job id, for whole rows of `jobs`; transactions that only read may `remember`, as `ended_trials` has it."""
    if not rows:
        return {}
    time = now(connection)
    totals = trial_totals(connection, rows, time, remember=remember)
    counts = _counts(connection, totals)
    going_on = [row.id for row in rows if row.state not in TERMINAL_JOBS]
    rates = _rates(connection, going_on, [trial for job_id in going_on for trial in totals[job_id].recent], time)
    # who has something in training is served, and who has ended or is paused waits for nobody
    waiting = [row for row in rows if row.state in (*CLAIMABLE, JobState.ANALYSING) and not counts[row.id].running]
    silent = [row for row in rows if row.state in CLAIMABLE and row.id not in rates]
    live_workers = living(connection) if waiting or silent else []
    preparing = dict(worker.preparing for worker in live_workers if worker.preparing is not None)
    living_offers = agents.offers(connection) if any(row.trainer == "command" for row in waiting) else []
    waits = {row.id: _waits_for(row, live_workers, living_offers) for row in waiting}
    behind = [row for row in waiting if waits[row.id] is None and _is_kept(row, preparing, time)]
    waits |= {row.id: _behind(connection, row) for row in behind}
    progress = {
        row.id: _progress(row, counts[row.id], totals[row.id].best, rates.get(row.id), waits.get(row.id), time)
        for row in rows
    }
    return {job_id: replace(entry, preparing=preparing.get(job_id)) for job_id, entry in progress.items()}


def _is_kept(job: Row[Any], preparing: Mapping[str, str], time: float) -> bool:
    """Whether a job whose worker is there has waited for longer than a claim takes."""
    claimable = job.trainer is None and job.state in CLAIMABLE and job.id not in preparing
    return claimable and time - job.updated_at > _SHORTEST_WINDOW


def _behind(connection: Connection, job: Row[Any]) -> str | None:
    """The free lane that a job waits for, with whose trials are trained; jobs of other keys are not named."""
    running = exists().where(trials.c.job_id == jobs.c.id, trials.c.state == TrialState.RUNNING)
    query = select(jobs.c.name, jobs.c.owner, jobs.c.priority).where(running, jobs.c.trainer.is_(None))
    rows = connection.execute(query.order_by(jobs.c.priority.desc(), jobs.c.created_at).limit(_MOST_BEFORE)).all()
    if not rows:
        return None
    names = [f"{row.name} (priority {row.priority})" for row in rows if row.owner == job.owner]
    foreign = len(rows) - len(names)
    parts = names[:3] + ([f"{len(names) - 3} more of yours"] if len(names) > 3 else [])
    parts += [f"{foreign} job{'s' if foreign > 1 else ''} of others"] if foreign else []
    return f"a free lane, behind {' and '.join(parts)}; its own priority is {job.priority}"


def _counts(connection: Connection, totals: Mapping[str, TrialTotals]) -> dict[str, _Counts]:
    counts = {
        job_id: _Counts(
            done=of_job.trials, epochs=sum(of_job.epochs.values()), search_epochs_done=of_job.epochs[Stage.SEARCH]
        )
        for job_id, of_job in totals.items()
    }
    columns = (trials.c.job_id, trials.c.stage, trials.c.state)
    current = or_(trials.c.stage.in_(SEARCHING), trials.c.round == jobs.c.round)
    query = (
        select(*columns, func.count().label("trials"), func.sum(trials.c.epoch).label("epochs"))
        .join(jobs, jobs.c.id == trials.c.job_id)
        .where(trials.c.job_id.in_(list(totals)), trials.c.state.in_(OPEN_TRIALS), current)
        .group_by(*columns)
    )
    for row in connection.execute(query):
        of_job = counts[row.job_id]
        of_job.epochs += row.epochs
        of_job.open_epochs += row.epochs
        of_job.open[Stage(row.stage)] += row.trials
        if row.state == TrialState.RUNNING:
            of_job.running += row.trials
    return counts


def _rates(
    connection: Connection, job_ids: Sequence[str], recent_trials: Sequence[int], time: float
) -> dict[str, float]:
    """Epochs per second over the last minute, of trials that run and of those that have ended within it."""
    since = time - RATE_SECONDS
    recent = or_(trials.c.state == TrialState.RUNNING, trials.c.id.in_(recent_trials) & (trials.c.ended_at > since))
    query = (
        select(trials.c.job_id, func.count().label("epochs"), func.min(reports.c.reported_at).label("first"))
        .join(reports, reports.c.trial_id == trials.c.id)
        .where(trials.c.job_id.in_(job_ids), recent)
        .where(reports.c.epoch > trials.c.epoch - _MOST_EPOCHS, reports.c.reported_at > since)
        .group_by(trials.c.job_id)
    )
    return {
        row.job_id: row.epochs / min(RATE_SECONDS, max(time - row.first, _SHORTEST_WINDOW))
        for row in connection.execute(query)
    }


def _progress(
    job: Row[Any],
    counts: _Counts,
    best: tuple[int, float] | None,
    rate: float | None,
    waits_for: str | None,
    time: float,
) -> Progress:
    try:
        spec = spec_of(job)
        searching, confirming = _still_to_come(job, spec, counts)
    except Unreadable as error:
        return _unplanned(job, counts, best, rate, str(error))
    remaining: float | None = None
    if job.state in TERMINAL_JOBS:
        remaining = 0.0
    elif rate:
        epochs_open = sum(counts.open.values()) * spec.training.epochs - counts.open_epochs
        limit = seconds_left(job, time)
        search_seconds = (epochs_open + searching * _mean_epochs(spec, counts)) / rate
        if searching and limit is not None:
            search_seconds = min(search_seconds, max(limit, 0.0))
        remaining = search_seconds + confirming * spec.training.epochs / rate
    return Progress(
        search_done=counts.done[Stage.SEARCH],
        search_budget=job.search_trials if job.search_stopped else job.budget_trials,
        trials_done=sum(counts.done.values()),
        trials_running=counts.running,
        trials_planned=sum(counts.done.values()) + sum(counts.open.values()) + searching + confirming,
        epochs_done=counts.epochs,
        epochs_per_second=rate,
        seconds_left=remaining,
        best_value=None if best is None else best[1],
        best_trial=None if best is None else best[0],
        waits_for=waits_for,
        plan=trial_counts.plan_in_words(spec, job.budget_trials, job.budget_seconds)
        if (job.resume_state or job.state) in (JobState.QUEUED, JobState.RUNNING) and not job.search_stopped
        else None,
    )


def _unplanned(
    job: Row[Any], counts: _Counts, best: tuple[int, float] | None, rate: float | None, unreadable: str
) -> Progress:
    """What is known of a job whose spec cannot be read."""
    finished = sum(counts.done.values())
    return Progress(
        search_done=counts.done[Stage.SEARCH],
        search_budget=job.search_trials if job.search_stopped else job.budget_trials,
        trials_done=finished,
        trials_running=counts.running,
        trials_planned=finished + sum(counts.open.values()),
        epochs_done=counts.epochs,
        epochs_per_second=rate,
        seconds_left=None,
        best_value=None if best is None else best[1],
        best_trial=None if best is None else best[0],
        unreadable=unreadable,
    )


def _waits_for(job: Row[Any], live_workers: Sequence[LiveWorkers], offers: Sequence[agents.LivingOffer]) -> str | None:
    """Which worker a job waits for, where none that is alive may train it, or for what all of them wait that may."""
    if job.allotting == Allotting.DUE and job.state == JobState.RUNNING and (job.trainer or live_workers):
        return "further trials: they are handed out once all cells of its study have trained what they have"
    if job.trainer == "command" and job.state in CLAIMABLE:
        return agents.missing(job.queue, job.owner, offers)
    if job.trainer is not None:  # programs of others, of whom nothing is known before they claim
        program = "a program that claims its trials" + (f" by the queue {job.queue}" if job.queue else "")
        return program if job.state in (JobState.QUEUED, JobState.RUNNING) else None
    if job.state == JobState.ANALYSING:  # any worker may close it
        return (
            None
            if any(worker.waits_for is None for worker in live_workers)
            else next((w.waits_for for w in live_workers), None)
        )
    try:
        spec = spec_of(job)
    except Unreadable:
        return None
    device = job.fixed.get("device") if isinstance(job.fixed, dict) else None
    waits: str | None = None
    names, fixed = spec.plugins(), job.fixed if isinstance(job.fixed, dict) else None
    requirements = [*spec.fleet.lacking((), None), *([f"device {device}"] if device else [])]
    requirements += lacking_plugins(names, fixed, {})
    for worker in live_workers:
        if (
            not spec.fleet.lacking(worker.labels, worker.memory_gb)
            and device in (None, worker.device)
            and not lacking_plugins(names, fixed, worker.plugins)
        ):
            if worker.waits_for is None:
                return None
            waits = waits or worker.waits_for
    return waits or "a worker" + (f" with {' and '.join(requirements)}" if requirements else "")


def _still_to_come(job: Row[Any], spec: JobSpec, counts: _Counts) -> tuple[int, int]:
    """How many trials are not there yet, as far as is known: of search and baselines, and of the confirmation."""
    state = job.resume_state or job.state
    if state in (JobState.QUEUED, JobState.RUNNING):
        search = 0 if job.search_stopped else max(0, job.budget_trials - job.search_trials)
        if job.budget_epochs is not None:
            search = min(search, max(0, job.budget_epochs - job.search_epochs) // spec.training.epochs)
        tuned = trial_counts.tuned_trials(spec, job.search_trials + search)
        existing = counts.done[Stage.BASELINE] + counts.open[Stage.BASELINE]
        baseline = 0 if job.search_stopped else max(0, tuned - existing)
        return search + baseline, trial_counts.confirmation_trials(spec, job.search_trials + search, tuned)
    estimating = counts.done[Stage.ESTIMATE] + counts.open[Stage.ESTIMATE] > 0
    if state != JobState.CONFIRMING or estimating:
        return 0, 0
    tried = counts.done[Stage.BASELINE]
    most = trial_counts.confirmation_trials(spec, counts.done[Stage.SEARCH], tried)
    existing = counts.done[Stage.SELECT] + counts.open[Stage.SELECT]
    return 0, max(min(most, trial_counts.estimate_trials(spec)), most - existing)


def _mean_epochs(spec: JobSpec, counts: _Counts) -> float:
    """What a trial of the search costs: pruning shortens those to come as it has shortened those that were."""
    count = counts.done[Stage.SEARCH]
    return counts.search_epochs_done / count if count else float(spec.training.epochs)
