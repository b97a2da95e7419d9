"""Where log lines go. A disk that has no room for one must not end the program that wrote it."""

from __future__ import annotations

from contextlib import suppress
from typing import TextIO


class Lines:
    """A stream for structlog that drops what cannot be written: a log often lies on the disk that is full."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As a text stream's; without an error."""
        with suppress(OSError):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As a text stream's; without an error."""
        with suppress(OSError):
            self._stream.flush()
