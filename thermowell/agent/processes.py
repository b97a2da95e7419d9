"""Processes of trials: each command below a supervisor of its own, and GPUs dealt out among them."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from thermowell.agent import supervisor

LOG_LIMIT = 10_000_000
PR_SET_DUMPABLE = 4
_starting = threading.Lock()
_supervisors: set[int] = set()


def adopt_and_hide() -> None:
    """Makes this process adopt what a killed supervisor leaves behind, and hides its memory and environment, with the
    key in them, from processes of the same user.
    """
    supervisor.control(supervisor.PR_SET_CHILD_SUBREAPER, 1)
    supervisor.control(PR_SET_DUMPABLE, 0)


class Supervised:
    """A command that runs below a supervisor; whoever starts it must stay until `ended`."""

    def __init__(
        self, argv: list[str], directory: Path, environment: Mapping[str, str], grace: float, log: Path,
        log_limit: int = LOG_LIMIT,
    ) -> None:  # fmt: skip
        order = {"argv": argv, "directory": str(directory), "environment": dict(environment), "grace": grace}
        order |= {"log": str(log), "log_limit": log_limit, "parent": os.getpid()}
        with _starting:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                env={}, start_new_session=True,
            )  # fmt: skip
            _supervisors.add(self._process.pid)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._order, self._life = self._process.stdin, self._process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._life, selectors.EVENT_READ)
        with suppress(BrokenPipeError):
            self._order.write(json.dumps(order).encode() + b"\n")
            self._order.flush()
        self.status: int | None = None

    @property
    def pid(self) -> int:
        """The supervisor's."""
        return self._process.pid

    def ended(self, seconds: float) -> bool:
        """Whether the command and all that came of it have ended; waits so long for it."""
        if self.status is None and self._selector.select(seconds):
            self._process.wait()
            if self._process.returncode < 0:
                end_strays()
            self.status = abs(self._process.returncode)
            with _starting:
                _supervisors.discard(self.pid)
            self._selector.close()
            self._life.close()
            self.end()
        return self.status is not None

    def end(self) -> None:
        """Asks the command and all that came of it to end; who does not within its grace is killed."""
        with suppress(BrokenPipeError):
            self._order.close()


def end_strays() -> None:
    """Kills what was left to this process by a supervisor that was killed."""
    while True:
        with _starting:
            mine, parents = os.getpid(), supervisor.processes()
            strays = [child for child, parent in parents.items() if parent == mine and child not in _supervisors]
            if not strays:
                return
            for stray in strays:
                supervisor.send([stray, *supervisor.descendants(stray)], signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(stray, 0)


class Gpus:
    """GPUs by the ids that the agent inherited; a trial takes whole ones, or a part of one that others share."""

    def __init__(self, ids: list[str]) -> None:
        self.room = dict.fromkeys(ids, 1.0)
        self._lock = threading.Lock()

    def take(self, amount: float) -> list[str] | None:
        """So many GPUs, or the one of which a part was taken; None where there is no room."""
        with self._lock:
            part = amount if amount < 1 else 1.0
            fitting = [name for name, room in self.room.items() if room >= part - 1e-9]
            count = 0 if amount == 0 else max(1, int(amount))
            if len(fitting) < count:
                return None
            fitting.sort(key=lambda name: self.room[name])  # fills what is begun first
            for name in fitting[:count]:
                self.room[name] -= part
            return fitting[:count]

    def count(self, amount: float) -> int:
        """How many trials there is room for that take so many GPUs each; beyond any number where they take none."""
        with self._lock:
            if amount == 0:
                return sys.maxsize
            if amount < 1:
                return sum(int(room / amount + 1e-9) for room in self.room.values())
            return int(sum(room >= 1 - 1e-9 for room in self.room.values()) // amount)

    def give_back(self, names: list[str], amount: float) -> None:
        """Makes room again."""
        with self._lock:
            for name in names:
                self.room[name] += amount if amount < 1 else 1.0


def inherited_gpus() -> list[str]:
    """The ids in CUDA_VISIBLE_DEVICES, or else those that nvidia-smi lists."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name.strip() for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name.strip()]
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return []
    return listed.stdout.split()
