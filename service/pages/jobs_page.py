"""The page that lists jobs with their states, progress and best temperatures so far."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from search import units
from search.errors import Unreadable
from search.records import Job, Principal, Progress
from search.requests.job_list import JobFilter, ListedStudy, Sort
from search.spec.objective import ObjectiveSpec
from search.states import TERMINAL_JOBS, JobState
from search.storage.stored import readable
from search.studies.records import Study
from service import prefix
from service.pages import spec_words
from thermowell.api.answers import Result

# What each state means to who waits, after the word that the API uses for it.
PHASES: Mapping[JobState, str] = {
    JobState.QUEUED: "waiting for a worker",
    JobState.RUNNING: "searching",
    JobState.PAUSED: "hands out no trials until it is resumed",
    JobState.CONFIRMING: "training the best again on fresh seeds",
    JobState.ANALYSING: "working the answer out",
    JobState.COMPLETED: "answered",
    JobState.CANCELLED: "ended before its answer",
    JobState.FAILED: "could not go on",
}


SORTS: Mapping[Sort, str] = {
    "newest": "newest first",
    "oldest": "oldest first",
    "changed": "last changed first",
    "name": "by name",
    "priority": "by priority",
}


@dataclass(frozen=True, slots=True)
class Best:
    """The best that is known: a quality and the temperature it was reached at."""

    value: str
    temperature: str
    note: str


@dataclass(frozen=True, slots=True)
class Bar:
    """How much of something is done."""

    name: str
    done: int
    total: int
    words: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One job in the list."""

    job: Job
    phase: str
    models: str
    bar: Bar
    pace: str
    best: Best | None
    foreign: bool  # an admin also sees others' jobs


def entry(job: Job, viewer: Principal, temperature: float | None, result: Result | None) -> Entry:
    """A job as the list shows it; `temperature` is that of its best trial, `result` its answer once there is one."""
    return Entry(
        job=job,
        phase=phase(job),
        models=models(job),
        bar=all_trials(job.progress, job.state),
        pace=pace(job),
        best=best(job, temperature, result),
        foreign=job.owner != viewer.id,
    )


@dataclass(frozen=True, slots=True)
class StudyEntry:
    """One study in the list, with its cells folded."""

    listed: ListedStudy
    bar: Bar
    counts: str
    more: int  # cells that match and are not named
    foreign: bool


def study_entry(listed: ListedStudy, viewer: Principal) -> StudyEntry:
    """A study as the list shows it."""
    study = listed.study
    return StudyEntry(
        listed=listed,
        bar=cells_bar(study),
        counts=cell_counts(study),
        more=listed.matching - len(listed.cells),
        foreign=study.owner != viewer.id,
    )


def cells_bar(study: Study) -> Bar:
    """How many of a study's jobs have ended."""
    total = sum(study.jobs.values())
    finished = sum(count for state, count in study.jobs.items() if state in (*TERMINAL_JOBS, "deleted"))
    return Bar("Cells", finished, max(total, 1), f"{finished} of {total}")


def cell_counts(study: Study) -> str:
    """How many of a study's jobs are in which state."""
    return ", ".join(f"{count} {state}" for state, count in study.jobs.items() if count)


def address(criteria: JobFilter, cursor: str | None = None, **changes: Any) -> str:
    """The list's address for a filter that is changed so, from its first page or from a cursor on."""
    new = replace(criteria, **changes)
    query = {"q": new.words, "state": new.state, "study": new.study, "sort": new.sort, "cursor": cursor}
    standard = {"sort": JobFilter().sort}
    values = {name: str(value) for name, value in query.items() if value and value != standard.get(name)}
    return prefix.at("/jobs" + (f"?{urlencode(values)}" if values else ""))


def metric_of(job: Job) -> units.Measure:
    """How the objective is shown."""
    objective = _objective(job)
    return units.measure(objective.get("metric", "accuracy"), objective.get("unit"))


def maximized(job: Job) -> bool:
    """Whether more of the objective is better."""
    return ObjectiveSpec.model_validate(_objective(job)).direction == "maximize"


def _objective(job: Job) -> Mapping[str, Any]:
    """The objective of the stored spec; the default one where that cannot be read."""
    with suppress(Unreadable), readable(f"the spec of job {job.id}"):
        objective: Mapping[str, Any] = job.spec["objective"]
        return objective
    return {}


def phase(job: Job) -> str:
    """What the job is doing now, in words."""
    if job.progress.waits_for not in (None, "a worker"):  # where no worker is alive at all, the page says so once
        return f"waits for {job.progress.waits_for}"
    if job.progress.preparing:
        return job.progress.preparing
    if job.state is JobState.RUNNING:
        if job.teacher is None:
            return "getting the teacher's logits"
        if job.search_stopped or job.progress.search_done >= job.progress.search_budget:
            return "tuning the baselines" if not job.search_stopped else "ending what runs, then confirming"
    return PHASES[job.state]


def models(job: Job) -> str:
    """Which student is distilled from which teacher, on which data."""
    spec = job.spec
    with suppress(Unreadable), readable(f"the spec of job {job.id}"):
        if spec.get("trainer") is not None:
            return spec_words.trainer(spec["trainer"])
        names = spec["student"]["name"], spec_words.teacher_name(spec["teacher"]), spec["dataset"]["name"]
        return f"{names[0]} from {names[1]}, on {names[2]}"
    return "its spec cannot be read"


def search_trials(progress: Progress) -> Bar:
    """How much of the search's budget is spent."""
    finished, total = progress.search_done, progress.search_budget
    return Bar("Search trials", finished, max(total, 1), f"{finished} of {total}")


def all_trials(progress: Progress, state: JobState | str = JobState.RUNNING) -> Bar:
    """How far the whole job is, as far as its trials are known now; one that ended before its answer is never full."""
    finished, total = progress.trials_done, progress.trials_planned
    if state in (JobState.FAILED, JobState.CANCELLED):
        return Bar(
            "All trials", finished, max(total, progress.search_budget, finished + 1), f"{finished}, then it ended"
        )
    return Bar("All trials", finished, max(total, 1), f"{finished} of {total}")


def pace(job: Job) -> str:
    """How fast it goes and how long it may take; empty once it has ended."""
    progress, parts = job.progress, []
    if job.state in TERMINAL_JOBS:
        return ""
    if job.state is JobState.QUEUED and progress.plan:
        parts.append(progress.plan)
    if progress.epochs_per_second:
        parts.append(f"{units.number(progress.epochs_per_second, 2)} epochs/s")
        if progress.seconds_left is not None:
            parts.append(f"about {units.duration(progress.seconds_left)} left")
    return ", ".join(parts)


def best(job: Job, temperature: float | None, result: Result | None) -> Best | None:
    """The answer where there is one; before, the best single trial of the search, which flatters."""
    metric = metric_of(job)
    if result is not None and result.winner.validation.mean is not None:
        value = units.level(metric, result.winner.validation.mean)
        return Best(value, _temperature(result.winner.configuration.temperature), "the answer, on fresh seeds")
    if job.progress.best_value is None or temperature is None:
        return None
    return Best(units.level(metric, job.progress.best_value), _temperature(temperature), "best so far, one seed")


def _temperature(value: float) -> str:
    return f"T = {units.number(value, 2)}"
