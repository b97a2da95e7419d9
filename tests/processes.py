"""Programs that tests start and that never outlive them, whatever happens to the test."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

_PR_SET_PDEATHSIG = 1  # from Linux's <sys/prctl.h>


@dataclass(frozen=True, slots=True)
class Started:
    """A program that a test has started; what it prints goes to `log`, since an unread pipe would block it."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        """All that it has printed so far, errors included."""
        return self.log.read_text(errors="replace")

    def wait(self, timeout: float = 60.0) -> int:
        """Its exit status (minus the signal's number when one ended it); what it said when it does not end in time."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired as expired:
            raise AssertionError(f"still running after {timeout} s:\n{self.output()}") from expired

    def until_answers(self, address: str, seconds: float = 60.0) -> None:
        """Waits until it answers at an address. RuntimeError, with what it has said, where it does not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            with suppress(httpx.HTTPError):
                httpx.get(address, timeout=5, trust_env=False).raise_for_status()
                return
            time.sleep(0.1)
        raise RuntimeError(f"nobody answers at {address}: {self.output()[-1000:]}")

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to this program alone, as `kill` would."""
        self.process.send_signal(number)


@dataclass(slots=True)
class Processes:
    """Starts programs, each in a process group of its own, and kills all that is left of them at the end."""

    directory: Path
    started: list[Started] = field(default_factory=list)

    def start(self, *command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Started:
        """Starts a command; `env` is added to the tests' own environment."""
        log = self.directory / f"process-{len(self.started)}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, cwd=cwd,
                env={**os.environ, **(env or {})}, start_new_session=True, preexec_fn=die_with_parent(signal.SIGKILL),
            )  # fmt: skip
        self.started.append(Started(process, log))
        return self.started[-1]

    def thermowell(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Started:
        """Starts the project's own command line from the environment that runs the tests."""
        return self.start(Path(sys.executable).with_name("thermowell"), *arguments, env=env)

    def kill_all(self) -> None:
        """Kills every group, and prints what each program said, which pytest shows where the test has failed."""
        for each in self.started:
            with suppress(ProcessLookupError):
                os.killpg(each.pid, signal.SIGKILL)
            each.process.wait()
            print(f"--- {each.process.args} ended with {each.process.returncode}\n{each.output()}")


def free_port() -> int:
    """A TCP port of the loopback address that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def die_with_parent(number: signal.Signals) -> Callable[[], None]:
    """For `preexec_fn`: the child gets this signal when its parent dies, even by `kill -9` (on Linux alone)."""
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: a child of a threaded parent must not load anything
    return lambda: prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
