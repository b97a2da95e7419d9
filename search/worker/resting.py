"""The pauses of a worker whose store or temporary folder failed: short at first, then longer, until it works again."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

import structlog

from search.errors import StoreUnavailable
from search.storage.store import Store

FIRST_SECONDS = 0.5
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Rest:
    """One kind of work that needs the store, and when it is tried again. `waits_for` is what it waits for, if it does.

    After a failure a small file is written before anything else is tried, so that a store that is away altogether costs
    no trial an attempt.
    """

    failures: int = 0
    until: float = 0.0  # on the monotonic clock
    waits_for: str | None = None

    def fail(self, error: StoreUnavailable, most_seconds: float) -> None:
        """Leaves the store alone for a while: twice as long as the last time, `most_seconds` at most."""
        pause = min(most_seconds, FIRST_SECONDS * 2 ** min(self.failures, 16)) * random.uniform(0.5, 1.0)
        self.failures, self.waits_for, self.until = self.failures + 1, error.waits_for, time.monotonic() + pause

    def over(self) -> bool:
        """Notes that it works again; whether it did not before."""
        before = self.failures > 0
        self.failures, self.waits_for, self.until = 0, None, 0.0
        return before

    def permits(self, files: Store, most_seconds: float) -> bool:
        """Whether to try now."""
        if time.monotonic() < self.until:
            return False
        if not self.failures:
            return True
        try:
            files.check()
        except StoreUnavailable as error:
            self.fail(error, most_seconds)
            _log.warning("the artifact store still fails", error=str(error))
            return False
        return True


@dataclass(slots=True)
class Rests:
    """Of what a worker does: a job that cannot be closed keeps no other's trials waiting, nor the other way round."""

    training: Rest = field(default_factory=Rest)
    closing: Rest = field(default_factory=Rest)

    @property
    def waits_for(self) -> str | None:
        """For what, if for anything, this worker waits."""
        return self.training.waits_for or self.closing.waits_for
