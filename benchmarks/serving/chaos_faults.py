"""What can befall a worker and its database: killed, told to stop, frozen past its lease, cut off, and the database
itself stopped at once and started again, or replaced by its standby. Which comes next is drawn from a seed.
"""

from __future__ import annotations

import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg

from benchmarks.serving.chaos_failover import FailedOver, Restarted
from tests.processes import Processes, Started

START_SECONDS = 60.0  # a worker that is drawn before it has loaded torch would be killed for nothing


@dataclass(slots=True)
class Fleet:
    """So many worker processes, each replaced as soon as it has ended."""

    processes: Processes
    environment: Mapping[str, str]
    size: int
    members: list[Started] = field(default_factory=list)
    paused: dict[int, float] = field(default_factory=dict)  # process id -> when it is to go on (monotonic)
    stopping: set[int] = field(default_factory=set)  # told to stop: a second signal would end them at once, by promise
    unexpected: list[str] = field(default_factory=list)

    def refill(self) -> None:
        """Starts what is missing; a worker that ended by itself, or not with 0 after SIGTERM, is written down."""
        for member in list(self.members):
            status = member.process.poll()
            if status is None:
                continue
            self.members.remove(member)
            self.paused.pop(member.pid, None)
            if status not in (0, -signal.SIGKILL):
                self.unexpected.append(f"a worker ended with {status}: {member.output()[-500:]}")
        while len(self.members) < self.size:
            self.members.append(
                self.processes.start(sys.executable, "-m", "search.worker", env=self.environment)
            )  # fmt: skip

    def wake(self, now: float) -> None:
        """Lets those go on whose pause is over."""
        for member in self.members:
            if self.paused.get(member.pid, now + 1) <= now:
                member.signal(signal.SIGCONT)
                del self.paused[member.pid]

    def working(self) -> list[Started]:
        """Those that have begun to work and are neither frozen nor about to stop."""
        away = self.paused.keys() | self.stopping
        return [each for each in self.members if each.pid not in away and "worker started" in each.output()]

    def end(self) -> None:
        """Asks all to stop and waits; who does not, or not with 0, is written down."""
        for member in self.members:
            member.signal(signal.SIGCONT)
            if member.process.poll() is None and member.pid not in self.stopping:
                member.signal(signal.SIGTERM)
        for member in self.members:
            try:
                status = member.wait(START_SECONDS)
            except AssertionError:
                self.unexpected.append(f"a worker did not stop within {START_SECONDS:.0f} s of SIGTERM")
            else:
                # one that had not yet set its handler ends by the signal itself
                if status not in (0, -signal.SIGTERM):
                    self.unexpected.append(f"a worker ended with {status}: {member.output()[-500:]}")
        self.members.clear()


@dataclass(slots=True)
class Faults:
    """Draws a fault every `every` seconds; the database's restarts come at given shares of the work."""

    fleet: Fleet
    chance: random.Random
    every: float
    freeze_seconds: float
    server: Restarted | FailedOver | None
    database: str | None  # the server's database whose connections are cut
    restarts: int  # or failovers
    counts: Counter[str] = field(default_factory=Counter)
    _next: float = 0.0

    def strike(self, share: float) -> None:
        """Whatever is due, at this share (0 to 1) of all work."""
        now = time.monotonic()
        self.fleet.wake(now)
        if self.server is not None:
            due = (self.counts[self.server.kind] + 1) / (self.restarts + 1)  # 1 once all have been: never above it
            if share > due:
                self.server.strike()
                self.counts[self.server.kind] += 1
        if now < self._next:
            return
        self._next = now + self.every
        kinds = ["kill", "terminate", "freeze"] + (["cut"] if self.server is not None else [])
        kind = self.chance.choice(kinds)
        if kind == "cut":
            assert self.server is not None
            self._cut(self.server)
            return
        working = self.fleet.working()
        if len(working) < 2:  # somebody must be left to work
            return
        victim = self.chance.choice(working)
        if kind == "freeze":
            victim.signal(signal.SIGSTOP)
            self.fleet.paused[victim.pid] = now + self.freeze_seconds
        else:
            victim.signal(signal.SIGKILL if kind == "kill" else signal.SIGTERM)
            self.fleet.stopping.add(victim.pid)
        self.counts[kind] += 1

    def _cut(self, server: Restarted | FailedOver) -> None:
        """Ends half of the database's connections, in the middle of whatever they do."""
        with psycopg.connect(host=server.directory, user="postgres", autocommit=True) as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND pid <> pg_backend_pid() AND random() < 0.5",
                [self.database],
            ).fetchall()
        self.counts["cut"] += len(ended)
