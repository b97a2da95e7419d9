"""What every part of a worker shares: its name, its settings, its databases and stores, and its interruption."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy
import structlog

from search.claims import artifacts, leases, reporting
from search.claims.attempts import Failure
from search.claims.workers import lacking_plugins
from search.errors import DatabaseUnavailable, LeaseLost, StoreUnavailable
from search.optuna_bridge.study import Storage
from search.records import Reason, Report, Trial
from search.settings import Settings
from search.spec.job import JobSpec
from search.storage import disk_faults
from search.storage.db import Database
from search.storage.patience import LAST_SECONDS, with_retries
from search.storage.rows import report_of, trial_of
from search.storage.store import Store
from search.storage.tables import reports, trials
from search.worker.preparation import Preparation
from search.worker.resting import Rests
from trainers import plugin_codes, run
from trainers.registry import losses
from trainers.spec import Problem

Answer = TypeVar("Answer")
_log = structlog.get_logger(__name__)


class Stopped(BaseException):
    """The worker was asked to stop in the middle of something that may be left as it is. Not an error."""


@dataclass(slots=True)
class Interruption:
    """Whether to stop, and whether what is being done now may be broken off for it: at once, or when time is up."""

    asked: threading.Event = field(default_factory=threading.Event)
    _over: bool = False
    _at_once: bool = False
    _when_over: bool = False

    def ask(self) -> None:
        """Asks to stop; from a signal handler, in the main thread. Stopped where nothing is lost by it."""
        self.asked.set()
        if self._at_once:
            self._at_once = False
            raise Stopped

    def out_of_time(self) -> None:
        """The time to come to an end is over; from a signal handler. Stopped where the work may be broken off."""
        self._over = True
        self.ask()
        if self._when_over:
            self._when_over = False
            raise Stopped

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """What is done inside may be broken off at any point, and is not begun after `ask`: making a problem ready."""
        if self.asked.is_set():
            raise Stopped
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    @contextmanager
    def patient(self) -> Iterator[None]:
        """What is done inside is brought to its end, unless time is up: an epoch, which can be saved only whole."""
        if self._over:
            raise Stopped
        self._when_over = True
        try:
            yield
        finally:
            self._when_over = False


@dataclass(frozen=True, slots=True)
class Context:
    """One worker process. `capabilities` are trainers.run's, `files` what it shares with the others, `rests` how long
    it leaves those alone, `preparation` what it does for a job before that trains.
    """

    worker_id: str
    settings: Settings
    database: Database
    storage: Storage
    files: Store
    capabilities: dict[str, Any]
    interruption: Interruption
    rests: Rests = field(default_factory=Rests)
    preparation: Preparation = field(default_factory=Preparation)

    def patiently(self, call: Callable[[], Answer]) -> Answer:
        """What `call` answers, while the database fails now and then; a few lease periods are waited, no more."""
        return with_retries(call, self.interruption.asked, max(60.0, 3 * self.settings.lease_seconds))

    def trials(self, job_id: str) -> list[tuple[int, Trial]]:
        """All trials of a job by number, each with its id."""
        query = sqlalchemy.select(trials).where(trials.c.job_id == job_id).order_by(trials.c.number)

        def read() -> list[tuple[int, Trial]]:
            with self.database.read() as connection:
                return [(row.id, trial_of(row)) for row in connection.execute(query)]

        return self.patiently(read)

    def curves(self, trial_ids: Sequence[int]) -> dict[int, list[Report]]:
        """The epochs of these trials, by the trials' numbers."""
        query = sqlalchemy.select(trials.c.number, reports).join(trials, trials.c.id == reports.c.trial_id)
        query = query.where(reports.c.trial_id.in_(trial_ids)).order_by(reports.c.epoch)

        def read() -> dict[int, list[Report]]:
            curves: dict[int, list[Report]] = {}
            with self.database.read() as connection:
                for row in connection.execute(query):
                    curves.setdefault(row.number, []).append(report_of(row))
            return curves

        return self.patiently(read)

    def fail_job(self, job_id: str, token: str, reason: Reason, *, of_machine: bool = False) -> None:
        """Ends the job whose trial or closing the token is for: it cannot be trained as specified.

        For what lies with this machine it is paused, where trials of it were trained.
        """
        end = reporting.suspend_job if of_machine else reporting.fail_job
        try:
            state = self.patiently(lambda: end(self.database, token, reason))
            _log.error(f"job {state}", job=job_id, reason=reason.type, detail=reason.detail)
        except LeaseLost:
            _log.info("lease lost at the end", job=job_id)

    def fail_attempt(self, job_id: str, token: str, failure: Failure) -> None:
        """Notes what went wrong with the work on a whole job, which is tried again after a while, by any worker."""
        try:
            self.patiently(lambda: leases.fail_attempt(self.database, token, failure))
        except LeaseLost:
            _log.info("lease lost at the end", job=job_id)

    def give_back(self, job_id: str, token: str) -> bool:
        """Gives a lease back, for others to take; False where the database does not answer for longer than a moment."""
        try:
            with_retries(lambda: leases.give_back(self.database, token), self.interruption.asked, LAST_SECONDS)
        except (LeaseLost, DatabaseUnavailable) as error:  # then it expires
            _log.info("lease not given back", job=job_id, error=str(error))
            return not isinstance(error, DatabaseUnavailable)
        return True

    def fixed(self, spec: JobSpec) -> dict[str, Any]:
        """What all trials of a job share beyond its spec, if this worker makes its first claim.

        A mixed fleet must not confound trials: who joins later does as the first did, or leaves the job to others.
        """
        views, precision = spec.views(), spec.precision
        if precision == "auto":
            precision = run.faster_precision(spec.problem(views, "fp32"))
        shared = ("device", "torch", "threads")
        revision = losses.get(spec.distillation.method).revision
        has_weights = any(teacher.source == "weights" for teacher in spec.built_in_parts.teacher.each().values())
        return {
            "views": views,
            "precision": precision,
            **{name: self.capabilities[name] for name in shared},
            **({"revision": revision} if revision > 1 else {}),
            **({"preprocessing": "measured"} if has_weights else {}),
            **({"plugins": codes} if (codes := _plugin_codes(spec.plugins())) else {}),
        }

    def allowed(self, spec: JobSpec, fixed: Any) -> bool:
        """Whether this worker has what the job asks for and can train as its first claim has fixed it: on the same kind
        of device. The engine does not matter: all of them come to the same numbers.
        """
        if spec.fleet.lacking(self.labels, self.capabilities.get("memory_gb")):
            return False
        if not self.has_plugins(spec, fixed):
            return False
        return fixed is None or fixed["device"] == self.capabilities["device"]

    def has_plugins(self, spec: JobSpec, fixed: Any) -> bool:
        """Whether this worker has the plugins that the job names, as its first claim has fixed them."""
        names = spec.plugins()
        return not names or not lacking_plugins(names, fixed, _plugin_codes(names))

    def store_fault(self, error: Exception) -> StoreUnavailable | None:
        """What the disk or the store did, where that is behind an error: no fault of a trial's or a job's.

        Of a store that is gone altogether, whatever went wrong meanwhile is.
        """
        away = disk_faults.unavailable(error)
        if away is None:
            try:
                self.files.check_presence()
            except StoreUnavailable as gone:
                return gone
        return away

    @property
    def store_seconds(self) -> float:
        """How long to leave alone what needs the store, at most, once that has not answered."""
        return self.settings.lease_seconds / 4

    @property
    def labels(self) -> tuple[str, ...]:
        """What jobs may ask of this worker: the kind of its device, and what the operator has said of it."""
        device = "cpu" if self.capabilities["device"] == "cpu" else "gpu"
        return tuple(dict.fromkeys((device, *self.settings.worker_labels)))

    def problem(self, spec: JobSpec, fixed: Any) -> Problem:
        """The job's problem, as it was fixed."""
        measured, revision = "preprocessing" in fixed, fixed.get("revision", 1)
        problem = spec.problem(fixed["views"], fixed["precision"], revision=revision, measured=measured)
        return plugin_codes.complete(problem)

    def student_key(self, job_id: str, number: int) -> str:
        """Where the student of an estimate trial waits for the job's end, for whichever worker closes it."""
        return f"{artifacts.work(job_id)}/{number}.safetensors"


def _plugin_codes(names: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The fingerprints of plugins and of named weights, as this worker has them."""
    by_key = {f"{kind} {name}": plugin_codes.code_of(kind, name) for kind, name in names}
    return {key: code for key, code in by_key.items() if code is not None}
