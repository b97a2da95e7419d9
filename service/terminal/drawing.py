"""Whole pictures: nobody is interrupted in the middle of drawing one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C waits until the end: a picture that was broken off would stay on the screen beside the last one.

    In the main thread. The handler waits, not the signal: blocked here, another thread would take it.
    """
    asked = []
    before = signal.signal(signal.SIGINT, lambda _number, frame: asked.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        signal.raise_signal(signal.SIGINT)
