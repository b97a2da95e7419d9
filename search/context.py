"""What does every part of a worker share: its name, its settings, its two ways to the database, and when to stop?"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import structlog

from search import leases, ledger
from search.artifacts import work_folder
from search.db import Database
from search.errors import DatabaseUnavailable, LeaseLost
from search.patience import patiently
from search.records import Reason
from search.settings import Settings
from search.spec import JobSpec
from search.study import Storage
from trainers.spec import Precision, Problem

Answer = TypeVar("Answer")
ENGINE = "loop"
_log = structlog.get_logger(__name__)


class Stopped(BaseException):
    """The worker was asked to stop in the middle of something that may be left as it is. Not an error."""


@dataclass(slots=True)
class Interruption:
    """Whether to stop, and whether what is being done now may be broken off for it."""

    asked: threading.Event = field(default_factory=threading.Event)
    _may_break_off: bool = False

    def ask(self) -> None:
        """Asks to stop; from a signal handler, in the main thread. Stopped where the work may be broken off."""
        self.asked.set()
        if self._may_break_off:
            self._may_break_off = False
            raise Stopped

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """What is done inside may be broken off at any point: training, which leaves nothing half written."""
        self._may_break_off = True
        try:
            if self.asked.is_set():
                raise Stopped
            yield
        finally:
            self._may_break_off = False


@dataclass(frozen=True, slots=True)
class Context:
    """One worker process. `capabilities` are trainers.run's."""

    worker_id: str
    settings: Settings
    database: Database
    storage: Storage
    capabilities: dict[str, Any]
    interruption: Interruption

    def patiently(self, call: Callable[[], Answer]) -> Answer:
        """What `call` answers, while the database fails now and then; a few lease periods are waited, no more."""
        return patiently(call, self.interruption.asked, max(60.0, 3 * self.settings.lease_seconds))

    def fail_job(self, job_id: str, token: str, reason: Reason) -> None:
        """Ends the job whose trial or closing the token is for: it cannot be trained as specified."""
        _log.error("job failed", job=job_id, reason=reason.type, detail=reason.detail)
        try:
            self.patiently(lambda: ledger.fail_job(self.database, token, reason))
        except LeaseLost:
            _log.info("lease lost at the end", job=job_id)

    def give_back(self, job_id: str, token: str) -> None:
        """Gives a lease back, for others to take; it is not waited for a database that does not answer."""
        try:
            leases.give_back(self.database, token)
        except (LeaseLost, DatabaseUnavailable) as error:  # then it expires
            _log.info("lease not given back", job=job_id, error=str(error))

    def fixed(self, spec: JobSpec) -> dict[str, Any]:
        """What all trials of a job share beyond its spec, if this worker makes its first claim.

        A mixed fleet must not confound trials: who joins later does as the first did, or leaves the job to others.
        """
        precision: Precision = "fp32"
        if spec.precision == "bf16" or (spec.precision == "auto" and self.capabilities["bf16"]):
            precision = "bf16"
        shared = ("device", "torch", "threads")
        return {
            "views": spec.views(),
            "precision": precision,
            "engine": ENGINE,
            **{name: self.capabilities[name] for name in shared},
        }

    def allowed(self, spec: JobSpec, fixed: Any) -> bool:
        """Whether this worker can train as the job's first claim has fixed it: the same kind of device and engine."""
        return fixed is None or (fixed["device"], fixed["engine"]) == (self.capabilities["device"], ENGINE)

    def problem(self, spec: JobSpec, fixed: Any) -> Problem:
        """The job's problem, as it was fixed."""
        return spec.problem(fixed["views"], fixed["precision"])

    def student_path(self, job_id: str, number: int) -> Path:
        """Where the student of an estimate trial waits for the job's end, for whichever worker closes it."""
        return work_folder(self.settings.artifact_root, job_id) / f"{number}.safetensors"
