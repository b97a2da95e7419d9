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
LAST_SECONDS = 1.0
"""How long is asked again where one is to stop: enough for a connection that was cut, so that no lease is left."""
_log = structlog.get_logger(__name__)


def with_retries(call: Callable[[], Answer], stop: threading.Event, seconds: float) -> Answer:
    """The answer of `call`, repeated on DatabaseUnavailable for up to `seconds`; the last one is raised.

    `call` must be harmless when repeated: it may have succeeded without our hearing of it. Once `stop` is set, a moment
    more is waited, and no longer.
    """
    deadline, pause, stopping = time.monotonic() + seconds, FIRST_PAUSE, False
    while True:
        try:
            return call()
        except DatabaseUnavailable as error:
            if stop.is_set() and not stopping:
                stopping, deadline = True, min(deadline, time.monotonic() + LAST_SECONDS)
                pause = FIRST_PAUSE
            if time.monotonic() >= deadline:
                raise
            _log.warning("database does not answer", error=str(error), pause=round(pause, 1))
        apart = pause * random.uniform(0.5, 1.0)  # workers that were cut off together come back one after the other
        if stopping:
            time.sleep(apart)
        else:
            stop.wait(apart)
        pause = min(2 * pause, LONGEST_PAUSE)
