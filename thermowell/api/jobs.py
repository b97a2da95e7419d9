"""Jobs as they are sent: their state, their progress, what they begin with, what happened to them, their files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from thermowell.api.configurations import Configuration
from thermowell.api.document import Readable, Record
from thermowell.api.states import JobState
from thermowell.notebook import job_html

Mode = Literal["none", "literature", "history", "both"]
ENDED = frozenset({JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED})


@dataclass(frozen=True, slots=True)
class Reason(Record):
    """Why something ended as it did."""

    type: Annotated[str, Field(description="a stable slug", examples=["dataset-missing"])]
    detail: str


@dataclass(frozen=True, slots=True)
class Progress(Record):
    """How far a job is."""

    search_done: Annotated[int, Field(description="search trials that have ended")]
    search_budget: int
    trials_done: Annotated[int, Field(description="trials of all stages that have ended")]
    trials_running: int
    trials_planned: Annotated[int, Field(description="trials that are certain to be trained, as known now")]
    epochs_done: int
    epochs_per_second: float | None
    seconds_left: Annotated[float | None, Field(description="an estimate")]
    best_value: Annotated[
        float | None, Field(description="best objective among completed search trials, at their last epoch")
    ]
    best_trial: int | None
    waits_for: Annotated[
        str | None,
        Field(
            description="which worker it waits for, where none that is alive may train it; or what these wait for, "
            "such as room on the artifact store"
        ),
    ]
    plan: Annotated[
        str | None,
        Field(
            description="what it will train, until its search has ended",
            examples=["64 search + 12 of baselines + about 23 to confirm"],
        ),
    ] = None
    preparing: Annotated[
        str | None,
        Field(
            description="what a worker does for it before its trials report, such as compiling",
            examples=["compiling, about 40 s left"],
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Job(Readable):
    """One submitted search."""

    id: str
    name: str
    labels: dict[str, str]
    owner: Annotated[str, Field(description="id of the key that submitted it; `local` where the service is open")]
    state: JobState
    problem: Annotated[Reason | None, Field(description="why it failed, or was paused by what happened to its workers")]
    resumable: Annotated[
        bool, Field(description="`resume` lets it go on: it is paused, or failed for what its machines did")
    ]
    budget_trials: int
    budget_epochs: int | None
    budget_seconds: float | None
    search_stopped: Annotated[bool, Field(description="`stop` was asked for: no new search trials")]
    priority: Annotated[int, Field(description="its share of the workers' lanes, beside the others' priorities")]
    parallel: Annotated[int | None, Field(description="trials under way at once, at most")]
    request_id: Annotated[
        str | None, Field(description="what the request was called that submitted it: logs name it too")
    ]
    traceparent: Annotated[
        str | None, Field(description="its trace, where tracing is on: the second field is the trace's id")
    ]
    progress: Progress
    study: Annotated[str | None, Field(description="the study whose cell it is, where it is one's")]
    study_name: Annotated[str, Field(description="its joint study in the dashboard")]
    test_opened_at: Annotated[datetime | None, Field(description="when the test part was first read")]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    updated_at: datetime

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it, unless it is extended."""
        return self.state in ENDED

    def _repr_html_(self) -> str:
        return job_html(self)


@dataclass(frozen=True, slots=True)
class Advised(Record):
    """Who advised a trial's configuration."""

    origin: Annotated[
        Literal["literature", "history", "given", "space"],
        Field(description="given: a guess of the spec; space: a random draw, so that advice never speaks alone"),
    ]
    source: str
    distance: Annotated[float | None, Field(description="of the source's setting from this job's")]


@dataclass(frozen=True, slots=True)
class FirstTrial(Advised):
    """A configuration that the search begins with."""

    configuration: Configuration


@dataclass(frozen=True, slots=True)
class JobAdvice(Record):
    """What a job's search begins with, decided when it was submitted."""

    mode: Mode
    points: list[FirstTrial]


@dataclass(frozen=True, slots=True)
class SpecWarning(Record):
    """What would keep a job from being trained, or make its answer poorer, as the workers are now."""

    type: Annotated[
        str,
        Field(
            description="a stable slug: no-worker, data-missing, package-missing, batch-too-large, time-short, "
            "no-agent, argument-refused",
            examples=["data-missing"],
        ),
    ]
    path: Annotated[str, Field(description="dotted path of the spec's field", examples=["dataset"])]
    detail: Annotated[str, Field(description="what is wrong, and the way out")]


@dataclass(frozen=True, slots=True)
class Preflight(Record):
    """A spec beside the workers that are alive. No warning keeps a job from being submitted."""

    warnings: list[SpecWarning]
    expected: Annotated[
        str,
        Field(
            description="how much it will train and how long that takes, as far as that is known",
            examples=["about 35 minutes on the 2 workers that are alive, about 99 trainings in all"],
        ),
    ]
    seconds: Annotated[float | None, Field(description="an estimate by recorded speeds; null: not known yet")] = None


@dataclass(frozen=True, slots=True)
class Trouble(Record):
    """What could not be done for a job beside its training; it goes on by itself."""

    detail: Annotated[str, Field(description="the error that it ended with")]
    attempts: int
    at: Annotated[datetime, Field(description="when it was last tried")]
    again_at: Annotated[datetime | None, Field(description="when it is tried again; null: not before the job changes")]


@dataclass(frozen=True, kw_only=True)
class JobDetail(Job):
    """One submitted search, with all that was asked for."""

    spec: Annotated[dict[str, Any], Field(description="the spec with every default filled in")]
    advice: Annotated[JobAdvice | None, Field(description="its first trials and who advised them, where anybody did")]
    fixed: Annotated[dict[str, Any] | None, Field(description="views, precision and device, fixed at the first claim")]
    teacher: Annotated[dict[str, Any] | None, Field(description="the teacher's quality, once known")]
    preflight: Annotated[
        Preflight | None, Field(description="of a job that no worker has begun: what it would lack, how long it takes")
    ] = None
    undrawn: Annotated[Trouble | None, Field(description="why its plots and report are not drawn as it stands")]
    untracked: Annotated[Trouble | None, Field(description="why MLflow does not know it as it stands, where it should")]

    @property
    def metric(self) -> str:
        """What its objective is."""
        return str(self.spec["objective"]["metric"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Readable):
    """Something that happened to a job; numbers rise by one, without gaps."""

    number: int
    kind: str
    at: datetime
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Artifact(Record):
    """A file that a job left."""

    name: str
    media_type: str
    sha256: str
    size: Annotated[int, Field(description="bytes")]
    trial: int | None
    created_at: datetime
