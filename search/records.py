"""What the database remembers, as frozen records: what every function of this room that reads answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from search.states import LOST, Arm, JobState, Stage, TrialState

Scope = Literal["read", "submit", "dashboard", "admin"]
SCOPES: tuple[Scope, ...] = ("read", "submit", "dashboard", "admin")
LOCAL_OWNER = "local"
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: a key's id (or "local" where the service is open) and what it may do; admin may do all."""

    id: str
    name: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Whether this principal has the scope, by itself or as an admin; submit and dashboard include read."""
        return scope in self.scopes or "admin" in self.scopes or (scope == "read" and bool(self.scopes))


@dataclass(frozen=True, slots=True)
class Quota:
    """How much one key may have at once; None where there is no limit.

    `jobs` are those that have not ended, `trials` the search trials in their budgets, `parallel` trials under way.
    """

    jobs: int | None = None
    trials: int | None = None
    parallel: int | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something ended as it did: a stable slug and a sentence."""

    type: str
    detail: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. `trials_planned` is how many it will have had at its end, as far as is known now.

    `waits_for` says which worker it waits for, where none that is alive may train it, or for what the workers wait
    that may: room on the artifact store.
    """

    search_done: int
    search_budget: int
    trials_done: int
    trials_running: int
    trials_planned: int
    epochs_done: int
    epochs_per_second: float | None
    seconds_left: float | None
    best_value: float | None
    best_trial: int | None
    waits_for: str | None = None
    unreadable: str | None = None  # why its spec cannot be read, so that nothing is planned
    plan: str | None = None  # what it will train, in words, before its search has ended


@dataclass(frozen=True, slots=True)
class Trouble:
    """What could not be done for a job beside its training: why, the attempts so far, the last one and the next one.

    Without `again_at` nobody tries again until the job changes.
    """

    detail: str
    attempts: int
    at: datetime
    again_at: datetime | None


@dataclass(frozen=True, slots=True)
class Job:
    """One submitted search."""

    id: str
    name: str
    labels: Mapping[str, str]
    owner: str
    state: JobState
    spec: Mapping[str, Any]
    problem: Reason | None
    budget_trials: int
    budget_epochs: int | None
    budget_seconds: float | None
    search_stopped: bool
    priority: int
    parallel: int | None
    request_id: str | None
    fixed: Mapping[str, Any] | None
    teacher: Mapping[str, Any] | None
    progress: Progress
    study_name: str
    test_opened_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    updated_at: datetime
    advice: Mapping[str, Any] | None = None  # its first trials and who advised them
    study: str | None = None  # the study whose cell it is
    traceparent: str | None = None  # the span of its submission, as W3C writes it
    undrawn: Trouble | None = None  # why its plots and its report are not drawn as it stands
    untracked: Trouble | None = None  # why it is not in MLflow as it stands
    unreadable: str | None = None  # what of it is stored and cannot be read

    @property
    def resumable(self) -> bool:
        """Whether `resume` lets it go on: it is paused, or failed for what its machines did."""
        failed_by_machine = self.state is JobState.FAILED and self.problem is not None and self.problem.type in LOST
        return failed_by_machine or self.state is JobState.PAUSED


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration being trained, or trained. `advice` tells who advised it: origin, source, distance."""

    number: int
    stage: Stage
    arm: Arm
    variant: str | None
    round: int
    origin: int | None
    state: TrialState
    configuration: Mapping[str, Any] | None
    seed: int
    attempt: int
    worker_id: str | None
    optuna_number: int | None
    value: float | None
    epoch: int
    metrics: Mapping[str, float] | None
    test_metrics: Mapping[str, float] | None
    reason: Reason | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    train_seconds: float
    advice: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One epoch of a trial's learning curve."""

    epoch: int
    train_loss: float
    learning_rate: float
    accuracy: float
    nll: float
    ece: float
    teacher_agreement: float
    teacher_entropy: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job; numbers rise by one, without gaps."""

    number: int
    kind: str
    at: datetime
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that trains; alive until it has been silent for a lease period of its own.

    `lanes` is how many students its `engines` train at once; each of these says for which problem, with how many lanes,
    and by which figures it was chosen.
    """

    id: str
    host: str
    pid: int
    lanes: int
    capabilities: Mapping[str, Any]
    engines: Sequence[Mapping[str, Any]]
    labels: Sequence[str]  # what jobs may ask for
    running: int
    alive: bool
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a job left: its digest is also its place in the store."""

    name: str
    media_type: str
    sha256: str
    size: int
    trial: int | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Key:
    """An API key without its secret."""

    id: str
    name: str
    scopes: frozenset[Scope]
    quota: Quota
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Part of a list; `next_cursor` asks for what comes after it, None at the end."""

    items: Sequence[Row]
    next_cursor: str | None
