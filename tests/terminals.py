"""A program run in a real terminal (a pty), whose screen pyte keeps as a terminal would."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyte

from tests.processes import die_with_parent


class Terminal:
    """A program with a terminal of its own; `screen` is what stands there, once it has been read."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, columns: int, lines: int) -> None:
        self.process, self._master = process, master
        self.screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""

    def lines(self) -> list[str]:
        """The screen's lines without the blanks at their ends."""
        return [line.rstrip() for line in self.screen.display]

    def text(self) -> str:
        """The whole screen."""
        return "\n".join(self.lines())

    def until(self, seen: Callable[[str], bool], timeout: float = 60.0) -> str:
        """Reads until the screen shows it; AssertionError with the screen where it never does."""
        end = time.monotonic() + timeout
        while not seen(self.text()):
            if time.monotonic() > end or not self._read(end - time.monotonic()):
                raise AssertionError(f"not seen; the screen is:\n{self.text()}")
        return self.text()

    def press(self, keys: bytes) -> None:
        """What a person types: b"\\x03" is Ctrl-C."""
        os.write(self._master, keys)

    def resize(self, columns: int, lines: int) -> None:
        """Makes the window another size, which the program is told of."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.screen.resize(lines, columns)
        os.kill(self.process.pid, signal.SIGWINCH)

    def wait(self, timeout: float = 60.0) -> int:
        """Reads to the end; the exit status."""
        end = time.monotonic() + timeout
        while self._read(end - time.monotonic()):
            assert time.monotonic() < end, self.text()
        return self.process.wait(max(1.0, end - time.monotonic()))

    def _read(self, timeout: float) -> bool:
        """Takes what has come; False once the program has closed its terminal, or nothing came in time."""
        if not select.select([self._master], [], [], max(0.0, timeout))[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux says so where nobody holds the other side any more
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)


@contextmanager
def terminal(
    *arguments: str | Path, columns: int = 80, lines: int = 24, env: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """The project's command line in a terminal of this size; killed at the end, if it has not ended."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    hidden = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    die = die_with_parent(signal.SIGKILL)

    def first() -> None:
        die()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C becomes a signal

    command = [Path(sys.executable).with_name("thermowell"), *arguments]
    process = subprocess.Popen(
        [str(part) for part in command], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        env={**environment, "TERM": "xterm-256color", **(env or {})}, preexec_fn=first,
    )  # fmt: skip
    os.close(slave)
    try:
        yield Terminal(process, master, columns, lines)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)
