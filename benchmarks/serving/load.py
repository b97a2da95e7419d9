"""The API under many clients at once. `make bench-load`: hundreds of clients read, page, submit and follow jobs
with ten thousand trials in PostgreSQL, in turns with Optuna Dashboard's own API reading the same study; and the
memory of the process meanwhile.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import facts, output
from benchmarks.serving import load_fill
from benchmarks.serving.load_clients import PATIENCE, READS
from benchmarks.serving.overhead import DURABLE
from tests.postgres import running_postgres
from tests.processes import Processes, free_port

FLAT = 0.5  # MiB a minute: what the API's resident memory may grow by
JUDGED = 300.0  # seconds under load from which on it is told whether memory is flat
WARM = 0.25  # of the API's time under load: caches and pools fill, and do not count for its memory
_EVERY = 0.5  # seconds between two looks at the memory


@dataclass(frozen=True, slots=True)
class Size:
    """How much is asked, and by how many."""

    trials: int
    clients: int
    streams: int  # of the clients
    dashboard_clients: int  # fewer, which favours it: each of its answers takes the processor for seconds
    rounds: int
    seconds: float  # of each of the API's turns
    dashboard_seconds: float


FULL = Size(10_000, 200, 40, 8, 5, 120.0, 40.0)
QUICK = Size(10_000, 200, 40, 8, 2, 25.0, 20.0)
TINY = Size(100, 6, 2, 2, 1, 1.0, 1.0)


@dataclass(slots=True)
class Memory:
    """Resident memory of a process while it is under load, in MiB, by seconds under load."""

    pid: int
    seconds: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)
    _before: float = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Looks every so often, from another thread."""
        over, begun = threading.Event(), time.monotonic()

        def look() -> None:
            while not over.wait(_EVERY):
                self.seconds.append(self._before + time.monotonic() - begun)
                self.mib.append(_resident(self.pid))

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
            self._before += time.monotonic() - begun

    def slope(self) -> float | None:
        """MiB a minute once warm: the median slope between the samples of the last three quarters (Theil and Sen)."""
        at, mib = np.array(self.seconds), np.array(self.mib)
        late = at >= WARM * self._before
        at, mib = at[late][:: max(1, late.sum() // 300)], mib[late][:: max(1, late.sum() // 300)]
        if len(at) < 3:
            return None
        first, second = np.triu_indices(len(at), 1)
        return 60.0 * float(np.median((mib[second] - mib[first]) / (at[second] - at[first])))


def _resident(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


@dataclass(slots=True)
class Side:
    """Who is asked, by how many clients, and what came of all its turns."""

    name: str
    base: str
    memory: Memory
    clients: int
    streams: int
    seconds: float
    latencies: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    took: float = 0.0

    def turn(self, given: Mapping[str, Any], seed: int, clients: int | None = None) -> dict[str, list[float]]:
        """One turn, by a process of its own; its latencies by kind. RuntimeError where that ends badly."""
        asked = {
            "side": self.name, "base": self.base, "seconds": self.seconds, "clients": clients or self.clients,
            "streams": self.streams, "seed": seed, **given,
        }  # fmt: skip
        with self.memory.watched():
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.serving.load_clients"], input=json.dumps(asked), cwd=facts.ROOT,
                env={**os.environ, "PYTHONPATH": str(facts.ROOT)}, capture_output=True, text=True, check=False,
            )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the clients of {self.name} ended with {done.returncode}: {done.stderr[-1000:]}")
        said = json.loads(done.stdout.splitlines()[-1])
        for mine, theirs in ((self.errors, said["errors"]), (self.cut, said["cut"])):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        latencies: dict[str, list[float]] = said["seconds"]
        if clients is None:
            self.took += said["took"]
            for kind, seconds in latencies.items():
                self.latencies.setdefault(kind, []).extend(seconds)
        return latencies

    def said(self) -> dict[str, Any]:
        """Its figures, in seconds."""
        return {
            "side": self.name, "clients": self.clients, "streams": self.streams, "seconds": round(self.took, 1),
            "kinds": {kind: summary(found) for kind, found in sorted(self.latencies.items())},
            "errors": self.errors, "cut": self.cut,
            "memory": {
                "first_mib": self.memory.mib[0] if self.memory.mib else None,
                "last_mib": self.memory.mib[-1] if self.memory.mib else None,
                "slope_mib_per_minute": self.memory.slope(),
                "mib": [round(mib, 1) for mib in self.memory.mib[:: max(1, len(self.memory.mib) // 100)]],
            },
        }  # fmt: skip


def summary(seconds: Sequence[float]) -> dict[str, Any]:
    """How many, their median, and the one that 99 of 100 do not exceed."""
    return {"requests": len(seconds), "p50": percentile(seconds, 50), "p99": percentile(seconds, 99)}


def percentile(seconds: Sequence[float], percent: float) -> float | None:
    """The smallest of the values that so many percent do not exceed; None of none."""
    if not seconds:
        return None
    return round(float(np.percentile(np.array(seconds), percent, method="inverted_cdf")), 5)


def verdict(api: Side, dashboard: Side, alone: Sequence[float]) -> dict[str, Any]:
    """The headline: reads against the dashboard's, errors, memory, and which goals are missed."""
    reads = [seconds for kind in READS for seconds in api.latencies.get(kind, [])]
    theirs = [seconds for found in dashboard.latencies.values() for seconds in found]
    said = {
        "reads_p50": percentile(reads, 50), "reads_p99": percentile(reads, 99),
        "dashboard_p50": percentile(theirs, 50), "dashboard_alone_p50": percentile(alone, 50),
        "requests_per_s": round(sum(map(len, api.latencies.values())) / api.took, 1),
        "errors": sum(api.errors.values()) + sum(api.cut.values()),
        "memory_mib_per_minute": api.memory.slope(), "memory_judged": api.took >= JUDGED,
    }  # fmt: skip
    missed = []
    if said["reads_p99"] is None or said["dashboard_p50"] is None or said["reads_p99"] >= said["dashboard_p50"]:
        missed.append("reads_p99 below dashboard_p50")
    if said["errors"]:
        missed.append("no error")
    slope = said["memory_mib_per_minute"]
    if api.took >= JUDGED and (slope is None or slope > FLAT):
        missed.append("memory flat")
    return said | {"goals_missed": missed}


def run(size: Size) -> dict[str, Any]:
    """Fills a database, starts both sides over it, and lets them take turns."""
    with tempfile.TemporaryDirectory(prefix="thermowell-load-") as folder, running_postgres(settings=DURABLE) as server:
        url, programs = server.create(), Processes(Path(folder))
        filled = load_fill.fill(url, size.trials, size.clients)
        given = {"filled": asdict(filled), "trials": size.trials, "spec": load_fill.document()}
        try:
            api, dashboard = _sides(programs, url, Path(folder), size)
            alone = dashboard.turn(given, seed=0, clients=1)  # also its first look at all trials
            for number in range(size.rounds):
                for side in (api, dashboard) if number % 2 == 0 else (dashboard, api):
                    side.turn(given, seed=1 + number)
        finally:
            with redirect_stdout(io.StringIO()):  # what programs have said is for failed tests
                programs.kill_all()
    polls = [seconds for found in alone.values() for seconds in found]
    return {"headline": verdict(api, dashboard, polls), "sides": [api.said(), dashboard.said()]}


def _sides(programs: Processes, url: str, folder: Path, size: Size) -> tuple[Side, Side]:
    """Both programs as their users start them, with nothing changed but where they are."""
    ours, theirs = free_port(), free_port()
    environment = {"THERMOWELL_DATABASE_URL": url, "THERMOWELL_VAR": str(folder), "OMP_NUM_THREADS": "1"}
    api = programs.thermowell("serve", "--port", str(ours), env=environment)
    tool = Path(sys.executable).with_name("optuna-dashboard")
    dashboard = programs.start(tool, url, "--port", str(theirs), "--quiet", env={"OMP_NUM_THREADS": "1"})
    api.until_answers(f"http://127.0.0.1:{ours}/readyz", PATIENCE)
    dashboard.until_answers(f"http://127.0.0.1:{theirs}/api/meta", PATIENCE)
    return (
        Side("thermowell", f"http://127.0.0.1:{ours}", Memory(api.pid), size.clients, size.streams, size.seconds),
        Side("dashboard", f"http://127.0.0.1:{theirs}", Memory(dashboard.pid), size.dashboard_clients, 0,
             size.dashboard_seconds),
    )  # fmt: skip


def running_pair(programs: Processes, url: str, folder: Path) -> tuple[str, str]:
    """Both programs over one database, open to this machine: their addresses."""
    api, dashboard = _sides(programs, url, folder, TINY)
    return api.base, dashboard.base


def rows(sides: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row for each kind of request, as the terminal and the page show it."""
    return [
        [
            f"{side['side']}: {kind}", f"{one['requests']:,}", f"{1000 * one['p50']:.0f}", f"{1000 * one['p99']:.0f}",
            str(sum(count for said, count in side["errors"].items() if said.startswith(f"{kind}:"))),
        ]
        for side in sides
        for kind, one in side["kinds"].items()
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.load", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter turns, in under five minutes")
    parser.add_argument("--tiny", action="store_true", help="a few clients and trials, to see that it runs")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    given = parser.parse_args(arguments)
    size = TINY if given.tiny else QUICK if given.quick else FULL
    about = facts.gather()
    print(facts.in_words(about))
    found = run(size)
    output.table(
        f"{size.clients} clients at once, {size.trials:,} trials; the dashboard: {size.dashboard_clients} clients",
        ("", "requests", "p50, ms", "p99, ms", "errors"),
        rows(found["sides"]),
    )
    for side in found["sides"]:
        for said, count in side["errors"].items():
            print(f"{side['side']}, {count} times: {said}"[: output.WIDTH])
    headline = {"benchmark": "load", "quick": given.quick, **asdict(size), **found["headline"]}
    output.conclude(given.keep, headline | about, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
