"""Sides of the benchmark of claims: a server with its clients' processes, and what came of its turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import facts
from benchmarks.serving.claims_clients import REPORTS

PROCESSES = 2
"""Of clients, at most: as many as the small machine's cores, so that a client's interpreter is not what limits."""
LONGEST = 4
"""Times a turn's seconds, after which trials that are still under way are given up, and count as nothing."""
_TICKS = os.sysconf("SC_CLK_TCK")
Cpu = dict[str, float]


@dataclass(slots=True)
class Turn:
    """What one turn came to: times of trials in seconds, and seconds of the processor by who used them."""

    seconds: float
    parts: list[list[float]]
    cpu: Cpu
    errors: list[str] = field(default_factory=list)
    unfinished: int = 0  # trials that were given up

    @property
    def rate(self) -> float:
        """Trials per second."""
        return len(self.parts) / self.seconds


@dataclass(slots=True)
class Side:
    """A server, the processes of its clients. `pids` are the processes, by what they are, whose use of
    the processor is the side's own, their children's included.
    """

    name: str
    python: str
    base: str
    jobs: list[str]
    sampler: str
    pids: Mapping[str, int] = field(default_factory=dict)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def turn(self, clients: int, seconds: float, epoch_seconds: float = 0.0) -> Turn:
        """One turn of all its clients: no trial is begun after `seconds`, and what was is finished."""
        shares = _shares(clients)
        while len(self.processes) < len(shares):
            self.processes.append(self._begin())
        active = self.processes[: len(shares)]
        try:
            for number, (process, share) in enumerate(zip(active, shares, strict=True)):
                order = {"clients": share, "first": sum(shares[:number]), "seconds": seconds}
                order["longest"] = LONGEST * seconds
                _write(process, json.dumps(order | {"epoch_seconds": epoch_seconds}))
            for process in active:
                _read(process)
            before = _used(self.pids)
            for process in active:
                _write(process, "begin")
            answers = [_read(process) for process in active]
        except (OSError, ValueError) as error:
            self.close()
            return Turn(seconds, [], {}, [f"the clients' process ended: {error}"])
        after = _used(self.pids)
        cpu = {name: after[name] - before[name] for name in after}
        cpu["clients"] = sum(answer["cpu"] for answer in answers)
        parts = [part for answer in answers for part in answer["parts"]]
        errors = [error for answer in answers for error in answer["errors"]]
        unfinished = sum(answer["unfinished"] for answer in answers)
        if unfinished:
            self.close()  # a process that gave trials up ends
        return Turn(max(answer["seconds"] for answer in answers), parts, cpu, errors, unfinished)

    def close(self) -> None:
        """Ends the clients' processes."""
        for process in self.processes:
            process.kill()
            process.communicate()
        self.processes.clear()

    def _begin(self) -> subprocess.Popen[str]:
        target = {"side": self.name, "base": self.base, "jobs": self.jobs, "sampler": self.sampler}
        return subprocess.Popen(
            [self.python, "-m", "benchmarks.serving.claims_clients", json.dumps(target)], cwd=facts.ROOT,
            env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip


def figures(name: str, turns: Sequence[Turn]) -> dict[str, Any]:
    """What a side's turns came to; times in milliseconds, the processor's for each trial."""
    parts = [part for turn in turns for part in turn.parts]
    claims, reports = ([1000 * part[i] for part in parts] for i in (0, 1))
    trials = [claim + report for claim, report in zip(claims, reports, strict=True)]
    together = [claim + report / (REPORTS + 1) for claim, report in zip(claims, reports, strict=True)]
    seconds = sum(turn.seconds for turn in turns)
    users = {user for turn in turns for user in turn.cpu}
    cpu = {user: sum(turn.cpu.get(user, 0.0) for turn in turns) for user in sorted(users)}
    return {
        "side": name, "trials_per_s": statistics.median(turn.rate for turn in turns) if turns else 0.0,
        "turns": [round(turn.rate, 2) for turn in turns], "trials": len(parts), "claim_ms": _quantiles(claims),
        "report_ms": _quantiles([milliseconds / (REPORTS + 1) for milliseconds in reports]),
        "trial_ms": _quantiles(trials), "claim_and_report_ms": _quantiles(together),
        "cpu_ms": {user: round(1000 * amount / len(parts), 2) for user, amount in cpu.items()} if parts else None,
        "cores": {user: round(amount / seconds, 2) for user, amount in cpu.items()} if seconds else None,
        "unfinished": sum(turn.unfinished for turn in turns),
        "errors": [error for turn in turns for error in turn.errors][:5],
    }  # fmt: skip


def environment() -> dict[str, str]:
    """What every process of the benchmark begins with."""
    return {**os.environ, "PYTHONPATH": str(facts.ROOT), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def _quantiles(milliseconds: Sequence[float]) -> dict[str, float] | None:
    if not milliseconds:
        return None
    return {f"p{percent}": round(float(np.percentile(np.array(milliseconds), percent)), 1) for percent in (50, 99)}


def _shares(clients: int) -> list[int]:
    """How many clients each process has."""
    count = min(clients, PROCESSES)
    return [clients // count + (number < clients % count) for number in range(count)]


def _write(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _read(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line that is an object: what peers' packages print is none. ValueError where there is none."""
    assert process.stdout is not None
    line = next((line for line in process.stdout if line.startswith("{")), "")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _used(pids: Mapping[str, int]) -> Cpu:
    """Seconds of the processor that process trees have used, by the names of their roots; one that is part of another
    counts for itself alone.
    """
    parents, amounts = {}, {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has just ended
            # its own seconds, and those of its children that have ended
            parents[int(path.name)], amounts[int(path.name)] = int(fields[1]), sum(map(int, fields[11:15])) / _TICKS
    names = {pid: name for name, pid in pids.items()}
    seconds = dict.fromkeys(pids, 0.0)
    for pid, amount in amounts.items():
        name = next((names[root] for root in _line(pid, parents) if root in names), None)
        if name is not None:
            seconds[name] += amount
    return seconds


def _line(pid: int, parents: Mapping[int, int]) -> Iterable[int]:
    while pid in parents:
        yield pid
        pid = parents[pid]
