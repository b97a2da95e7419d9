"""What the service sends, as frozen dataclasses. A test holds them against the OpenAPI document, field by field.

Fields that a later service adds are left out when reading; times are datetimes in UTC. Values are in the objective's
own unit: fractions for accuracy and ECE (0.01 is one point), nats for NLL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Literal, TypeVar, cast

from pydantic import TypeAdapter

Kind = TypeVar("Kind")
State = Literal["queued", "running", "paused", "confirming", "analysing", "completed", "cancelled", "failed"]
Metric = str
ENDED = ("completed", "cancelled", "failed")


def read_document(kind: type[Kind], document: Any) -> Kind:
    """A document as one of the dataclasses below. pydantic.ValidationError where it is something else."""
    adapter: TypeAdapter[Kind] = _adapter(cast(Any, kind))
    return adapter.validate_python(document)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something ended as it did; `type` is stable."""

    type: str
    detail: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is."""

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
    waits_for: str | None
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One submitted search."""

    id: str
    name: str
    labels: dict[str, str]
    owner: str
    state: State
    problem: Reason | None
    resumable: bool
    budget_trials: int
    budget_epochs: int | None
    budget_seconds: float | None
    search_stopped: bool
    priority: int
    parallel: int | None
    request_id: str | None
    traceparent: str | None
    progress: Progress
    study: str | None
    study_name: str
    test_opened_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    updated_at: datetime
    unreadable: str | None = field(default=None, kw_only=True)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it, unless it is extended."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Optimizer:
    """torch.optim's settings; those that the optimizer does not have count for nothing."""

    name: str
    learning_rate: float
    weight_decay: float
    momentum: float = 0.0
    nesterov: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    """One point of the search space."""

    temperature: float
    kd_weight: float
    label_weight: float
    optimizer: Optimizer | None
    student_temperature: float | None = None
    final_temperature: float | None = None
    method: str | None = None
    parameters: Mapping[str, bool | int | float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Advised:
    """Who advised a trial's configuration; `given`: the spec itself, `space`: a random draw."""

    origin: Literal["literature", "history", "given", "space"]
    source: str
    distance: float | None


@dataclass(frozen=True, slots=True)
class FirstTrial:
    """A configuration that the search begins with, and who advised it."""

    origin: Literal["literature", "history", "given", "space"]
    source: str
    distance: float | None
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class JobAdvice:
    """What a job's search begins with, decided when it was submitted."""

    mode: Literal["none", "literature", "history", "both"]
    points: list[FirstTrial]


@dataclass(frozen=True, slots=True)
class Trouble:
    """What could not be done for a job beside its training; without `again_at` not before the job changes."""

    detail: str
    attempts: int
    at: datetime
    again_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobDetail(Job):
    """One submitted search, with all that was asked for: the spec has every default filled in."""

    spec: dict[str, Any]
    advice: JobAdvice | None
    fixed: dict[str, Any] | None
    teacher: dict[str, Any] | None
    undrawn: Trouble | None
    untracked: Trouble | None

    @property
    def metric(self) -> Metric:
        """What its objective is."""
        metric: Metric = self.spec["objective"]["metric"]
        return metric


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration being trained, or trained; `value` is the objective at its last epoch."""

    number: int
    stage: Literal["search", "baseline", "select", "estimate"]
    arm: Literal["joint", "label_only", "t1", "t4"]
    variant: str | None
    round: int
    origin: int | None
    state: Literal["waiting", "running", "completed", "pruned", "failed", "cancelled"]
    configuration: Configuration | None
    advice: Advised | None
    seed: int
    attempt: int
    worker_id: str | None
    optuna_number: int | None
    value: float | None
    epoch: int
    metrics: dict[str, float | None] | None
    test_metrics: dict[str, float | None] | None
    reason: Reason | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    train_seconds: float
    unreadable: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One epoch of a learning curve; all but the training loss on validation."""

    epoch: int
    train_loss: float | None
    learning_rate: float
    accuracy: float
    nll: float | None
    ece: float | None
    teacher_agreement: float
    teacher_entropy: float
    seconds: float


@dataclass(frozen=True, slots=True)
class TrialDetail(Trial):
    """A trial with its learning curve."""

    curve: list[EpochReport]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job; numbers rise by one, without gaps."""

    number: int
    kind: str
    at: datetime
    payload: dict[str, Any]
    unreadable: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that trains."""

    id: str
    host: str
    pid: int
    lanes: int
    capabilities: dict[str, Any]
    engines: list[dict[str, Any]]
    labels: list[str]
    running: int
    alive: bool
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None
    unreadable: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a job left; `size` in bytes."""

    name: str
    media_type: str
    sha256: str
    size: int
    trial: int | None
    created_at: datetime
