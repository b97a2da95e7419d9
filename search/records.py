"""Records of the database: documents of the API, as functions that read rows make them, and who asks for them.

Where a document holds another, a record may hold what is stored for it: whoever sends it validates it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from search.states import LOST, JobState
from thermowell.api import jobs, keys, trials
from thermowell.api.jobs import Artifact as Artifact
from thermowell.api.jobs import Event as Event
from thermowell.api.jobs import JobDetail
from thermowell.api.jobs import Preflight as Preflight
from thermowell.api.jobs import Reason as Reason
from thermowell.api.jobs import SpecWarning as SpecWarning
from thermowell.api.jobs import Trouble as Trouble
from thermowell.api.keys import Scope as Scope
from thermowell.api.trials import EpochReport
from thermowell.api.workers import Worker as Worker

SCOPES: tuple[Scope, ...] = ("read", "submit", "train", "dashboard", "admin")
LOCAL_OWNER = "local"
Row = TypeVar("Row")
Report = EpochReport


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: a key's id (or "local" where the service is open) and what it may do; admin may do all.

    `trains_for` is the owner whose trials a key may train, where that is not itself.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    trains_for: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether this principal has the scope, by itself or as an admin; submit and dashboard include read, and submit
        includes train. A key that may train alone reads nothing: what was found is not its business.
        """
        if scope in self.scopes or "admin" in self.scopes:
            return True
        return bool(self.scopes - {"train"}) if scope == "read" else scope == "train" and "submit" in self.scopes

    @property
    def trains_of(self) -> str:
        """Whose trials it may train: another owner's, where the key was made for that, else its own."""
        return self.trains_for or self.id


@dataclass(frozen=True, slots=True)
class Quota(keys.Quota):
    """How much one key may have at once; no limit unless one is named."""

    jobs: int | None = None
    trials: int | None = None
    parallel: int | None = None


@dataclass(frozen=True, slots=True)
class Progress(jobs.Progress):
    """How far a job is, and why nothing is planned, where its spec cannot be read."""

    waits_for: str | None = None
    unreadable: str | None = None


@dataclass(frozen=True, kw_only=True)
class Job(JobDetail):
    """One submitted search, with its advice as it is stored."""

    progress: Progress
    study: str | None = None
    traceparent: str | None = None
    advice: Mapping[str, Any] | None = None  # type: ignore[assignment]
    undrawn: Trouble | None = None
    untracked: Trouble | None = None
    resumable: bool = field(init=False)

    def __post_init__(self) -> None:
        failed_by_machine = self.state is JobState.FAILED and self.problem is not None and self.problem.type in LOST
        object.__setattr__(self, "resumable", failed_by_machine or self.state is JobState.PAUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(trials.Trial):
    """One configuration being trained, or trained, as it is stored. `advice` tells origin, source and distance."""

    configuration: Mapping[str, Any] | None  # type: ignore[assignment]
    metrics: Mapping[str, float] | None  # type: ignore[assignment]
    test_metrics: Mapping[str, float] | None  # type: ignore[assignment]
    advice: Mapping[str, Any] | None = None  # type: ignore[assignment]
    log_tail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key(keys.Key):
    """An API key without its secret, as it is asked what it may do."""

    scopes: frozenset[Scope]  # type: ignore[assignment]
    quota: Quota


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Part of a list; `next_cursor` asks for what comes after it, None at the end."""

    items: Sequence[Row]
    next_cursor: str | None
