"""The heartbeat: a thread that renews this worker's leases, whatever its other threads do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from search.claims import leases
from search.claims.reaper import Reaper
from search.errors import ThermowellError
from search.storage.db import Database

_log = structlog.get_logger(__name__)


class Heartbeat:
    """Renews the leases of `hold`, tells that the worker was seen, and takes away what other workers let expire.

    It beats three times per lease period, in a daemon thread: training a teacher or a long epoch does not disturb it.
    A database that does not answer is asked again at the next beat; the leases bear one that fails.
    """

    def __init__(
        self, database: Database, worker_id: str, lease_seconds: float, report_alive: Callable[[], None]
    ) -> None:
        self._database, self._worker_id, self._lease_seconds, self._seen = (
            database,
            worker_id,
            lease_seconds,
            report_alive,
        )
        self._every = lease_seconds / 3
        self._reaper = Reaper(database, lease_seconds, self._every)
        self._held: set[str] = set()
        self._lost: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begins to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and waits for it."""
        self._stop.set()
        self._thread.join()

    def hold(self, token: str) -> None:
        """Renews this lease from now on."""
        with self._lock:
            self._held.add(token)

    def drop(self, token: str) -> None:
        """Renews it no longer: its work is done, or given back."""
        with self._lock:
            self._held.discard(token)
            self._lost.discard(token)

    @contextmanager
    def holding(self, token: str) -> Iterator[None]:
        """Renews this lease as long as the block lasts."""
        self.hold(token)
        try:
            yield
        finally:
            self.drop(token)

    def lost(self) -> set[str]:
        """The held leases that are no longer ours."""
        with self._lock:
            return set(self._lost)

    def tell(self) -> None:
        """Says that the worker is there, and with which engines, without waiting for the next beat."""
        self._seen()

    def try_to_tell(self) -> None:
        """As `tell`, where the database answers; the next beat says it otherwise."""
        try:
            self._seen()
        except ThermowellError as error:
            _log.warning("heartbeat failed", error=str(error))

    def beat(self) -> None:
        """Once: seen, renewed, reaped."""
        self._seen()
        with self._lock:
            tokens = set(self._held)
        if tokens:
            current = leases.renew(self._database, self._worker_id, tokens, self._lease_seconds)
            with self._lock:
                self._lost |= (tokens - current) & self._held  # what ended in between is not lost
        reaped = self._reaper.run()
        for job_id, number in reaped.trials:
            _log.info("trial of a silent worker waits again", job=job_id, trial=number)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self.beat()
            except ThermowellError as error:
                _log.warning("heartbeat failed", error=str(error))
            except Exception:  # it must not end while the worker lives: the leases would
                _log.exception("heartbeat failed")
