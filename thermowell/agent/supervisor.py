"""One trial's command and all processes that come of it, ended for certain: run as a program, by its path.

The agent writes one line of JSON to its standard input (`Order`) and keeps that pipe open. The command gets a session
of its own. When the command has ended, the pipe closes, SIGTERM comes or the agent is gone, every descendant gets
SIGTERM and, after the grace, SIGKILL until none is left: who has left the session, or was orphaned, is found as well,
since this process adopts what its descendants leave behind (Linux's PR_SET_CHILD_SUBREAPER). It answers the command's
own exit status, or 128 and the number of the signal that ended it.

Nothing but the standard library is imported, so that it starts at once and in any environment.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # of <sys/prctl.h>
CANNOT_START = 127
SIGNAL_BASE = 128
SCAN_SECONDS = 0.05
CHUNK = 65536
LINUX = sys.platform == "linux"


def control(option: int, value: int) -> None:
    """Asks Linux's kernel for something concerning this process; elsewhere nothing happens."""
    if LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def processes() -> dict[int, int]:
    """By process, its parent: all that have not ended yet, as far as the kernel shows them."""
    parents: dict[int, int] = {}
    for entry in os.scandir("/proc") if LINUX else ():
        if entry.name.isdecimal():
            with suppress(OSError):
                state, parent = Path(entry.path, "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                if state not in ("Z", "X"):
                    parents[int(entry.name)] = int(parent)
    return parents


def descendants(root: int) -> list[int]:
    """The processes that come of a process, children before their own children."""
    parents, family = processes(), [root]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    return family[1:]


def send(members: list[int], number: signal.Signals) -> None:
    """Sends a signal to processes, as far as they are still there."""
    for member in members:
        with suppress(OSError):
            os.kill(member, number)


class CappedLog:
    """What a command prints: the newest bytes of it, in two files of half the limit each at most."""

    def __init__(self, path: Path, limit: int) -> None:
        self.path, self.half = path, max(1, limit // 2)
        self.size = 0

    def write(self, chunk: bytes) -> None:
        """Adds to the log; where the disk is full it is not kept, and the command goes on."""
        with suppress(OSError):
            for start in range(0, len(chunk), self.half):
                piece = chunk[start : start + self.half]
                if self.size + len(piece) > self.half:
                    os.replace(self.path, self.path.with_suffix(".earlier"))
                    self.size = 0
                with self.path.open("ab") as sink:
                    self.size += sink.write(piece)


class Supervisor:
    """The command's process, what it prints, and the end of all its descendants."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.log = CappedLog(Path(order["log"]), order["log_limit"])
        self.status: int | None = None
        self.childless = False  # as the kernel says it: all that was orphaned was adopted, and has ended
        self.deadline: float | None = None  # when SIGTERM has been enough; None while the command may go on
        self.selector = selectors.DefaultSelector()
        self.output, self.child = -1, -1

    def run(self) -> int:
        """Runs the command to its end, and its descendants to theirs."""
        wake, waker = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self.end())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if not self._start():
            return CANNOT_START
        for source in (wake, sys.stdin.fileno(), self.output):
            self.selector.register(source, selectors.EVENT_READ)
        while not self._over():
            self._listen(wake, None if self.deadline is None else SCAN_SECONDS)
            self._reap()
        self._drain()
        return self.status if self.status is not None else SIGNAL_BASE + signal.SIGKILL

    def end(self) -> None:
        """Asks every descendant to end; who does not within the grace is killed."""
        if self.deadline is None:
            self.deadline = time.monotonic() + self.order["grace"]
            family = descendants(os.getpid()) if LINUX else [self.child]
            send(family, signal.SIGTERM)
            send(family, signal.SIGCONT)  # one that is stopped would never hear of it

    def _start(self) -> bool:
        source, sink = os.pipe()
        try:
            process = subprocess.Popen(
                self.order["argv"],
                cwd=self.order["directory"], env=self.order["environment"], stdin=subprocess.DEVNULL,
                stdout=sink, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=lambda: control(PR_SET_PDEATHSIG, int(signal.SIGKILL)),
            )  # fmt: skip
        except OSError as error:
            words = f"cannot start {self.order['argv'][0]!r} in {self.order['directory']}: {error.strerror}\n"
            self.log.write(words.encode())
            return False
        os.close(sink)
        os.set_blocking(source, False)
        self.output, self.child = source, process.pid
        process.returncode = 0  # it is waited for here, with all that was adopted
        return True

    def _listen(self, wake: int, timeout: float | None) -> None:
        for key, _ in self.selector.select(timeout):
            if key.fd == self.output:
                self._read_output()
            elif key.fd == wake:
                os.read(wake, CHUNK)
            elif not os.read(key.fd, CHUNK):  # the agent has closed it, or is gone
                self.selector.unregister(key.fd)
                self.end()

    def _read_output(self) -> bool:
        """Takes what was printed; answers whether there may be more at once."""
        with suppress(BlockingIOError):
            chunk = os.read(self.output, CHUNK)
            self.log.write(chunk)
            if not chunk:
                self.selector.unregister(self.output)
            return bool(chunk)
        return False

    def _drain(self) -> None:
        if self.output in self.selector.get_map():
            while self._read_output():
                pass

    def _reap(self) -> None:
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                if pid == self.child:
                    code = os.waitstatus_to_exitcode(status)
                    self.status = code if code >= 0 else SIGNAL_BASE - code
                    self.end()  # what it leaves behind
        except ChildProcessError:
            self.childless = True

    def _over(self) -> bool:
        """Whether the command has ended and nothing that came of it is left; who is late is killed."""
        if self.deadline is not None and not self.childless and time.monotonic() >= self.deadline:
            send(descendants(os.getpid()) if LINUX else [self.child], signal.SIGKILL)
        return self.childless


def main() -> int:
    """Takes the order and runs it, unless the agent is gone already."""
    control(PR_SET_PDEATHSIG, int(signal.SIGTERM))
    control(PR_SET_CHILD_SUBREAPER, 1)
    line = sys.stdin.buffer.readline()
    order = json.loads(line) if line.endswith(b"\n") else None
    if order is None or os.getppid() != order["parent"]:
        return CANNOT_START
    return Supervisor(order).run()


if __name__ == "__main__":
    sys.exit(main())
