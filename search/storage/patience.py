"""Retries with growing pauses, for a bounded time, while the database does not answer."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from search.errors import DatabaseUnavailable

Answer = TypeVar("Answer")
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
_log = structlog.get_logger(__name__)


def patiently(call: Callable[[], Answer], stop: threading.Event, seconds: float) -> Answer:
    """The answer of `call`, repeated on DatabaseUnavailable for up to `seconds`; the last one is raised.

    `call` must be harmless when repeated: it may have succeeded without our hearing of it. Once `stop` is set, nothing
    is waited for any more.
    """
    deadline, pause = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        try:
            return call()
        except DatabaseUnavailable as error:
            if stop.is_set() or time.monotonic() >= deadline:
                raise
            _log.warning("database does not answer", error=str(error), pause=round(pause, 1))
        stop.wait(pause * random.uniform(0.5, 1.0))  # apart: workers that were cut off together come back together
        pause = min(2 * pause, LONGEST_PAUSE)
