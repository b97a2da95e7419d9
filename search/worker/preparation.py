"""What a worker does for a job before its trials report: said with the heartbeats, for the job's progress."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Preparation:
    """The present preparation of one job, in words, and for how many seconds it is expected to go on.

    `tell` writes it down at once; a preparation of which nothing was said costs nothing.
    """

    tell: Callable[[], None] = lambda: None
    _job_id: str | None = None
    _words: str | None = None
    _end: float | None = None  # on the monotonic clock

    def begin(self, job_id: str) -> None:
        """What is said from now on is of this job."""
        if job_id != self._job_id:
            self.end()
            self._job_id = job_id

    def say(self, words: str, seconds: float | None = None) -> None:
        """What is done now, and about how long it takes."""
        if words != self._words:
            self._words, self._end = words, None if seconds is None else time.monotonic() + seconds
            self.tell()

    def end(self) -> None:
        """The job trains now, or does not any more."""
        before, self._words, self._end = self._words, None, None
        if before is not None:
            self.tell()

    def document(self) -> Mapping[str, Any] | None:
        """The job, the words and the seconds that are left, as plain JSON; None where nothing is prepared."""
        words, end = self._words, self._end  # read once each: the heartbeat's thread asks too
        if words is None:
            return None
        return {"job": self._job_id, "words": words, "seconds": None if end is None else end - time.monotonic()}
