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
    signals = []
    before = signal.signal(signal.SIGINT, lambda _number, frame: signals.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if signals:
        signal.raise_signal(signal.SIGINT)
