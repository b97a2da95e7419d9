"""The cost of a trial besides its training. `make bench-overhead`: seconds of storage and sampler per trial (five
parameters, ten reports) of this service's worker and of plain Optuna, on the same PostgreSQL server and on SQLite, with
100 to 10,000 trials stored, with TPE on both sides; the same with a Gaussian process on both sides, once; and trials
per second of 1 to 32 workers. Nothing is trained; the sides take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import facts, output
from benchmarks.common.repetitions import median, spread
from benchmarks.serving import overhead_fill
from search.storage.db import open_database
from tests.postgres import Postgres, running_postgres

GOAL = 0.5  # of plain Optuna's seconds, at most
# As PostgreSQL ships: what is committed is on the disk.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
SIDES = {"postgresql": ("thermowell", "Optuna"), "sqlite": ("thermowell", "Optuna", "Optuna, WAL")}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    stored: Sequence[int]
    rounds: int
    trials: int  # of each turn
    workers: Sequence[int]
    seconds: float  # of each turn of several workers
    stored_for_workers: int
    gp_trials: int  # of each turn where Gaussian processes propose
    patience: float  # seconds for each worker's first trials: where writers lock each other out, these can take minutes


FULL = Size((100, 1000, 10_000), 5, 20, (1, 8, 32), 8.0, 1000, 10, 20.0)
QUICK = Size((100, 1000, 10_000), 2, 6, (1, 8), 4.0, 1000, 3, 5.0)
STORED_FOR_GP = 100


@dataclass(slots=True)
class Side:
    """A running side and what its turns took."""

    name: str
    process: subprocess.Popen[str]
    seconds: list[float] = field(default_factory=list)  # per trial
    rates: list[float] = field(default_factory=list)
    error: str | None = None

    def turn(self, **asked: float) -> None:
        """One turn of all its workers."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(asked) + "\n")
        self.process.stdin.flush()
        said = self.hear()
        self.error = said["error"] or self.error
        self.rates.append(said["trials"] / said["seconds"])
        if said["trials"]:
            self.seconds.append(said["seconds"] / said["trials"])

    def hear(self) -> dict[str, Any]:
        """Its next line of JSON. RuntimeError where it has ended."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                said: dict[str, Any] = json.loads(line)
                return said
        raise RuntimeError(f"{self.name} ended with {self.process.wait()}")


def measured(
    kind: str,
    stored: int,
    workers: int,
    size: Size,
    server: Postgres | None,
    folder: Path,
    sampler: str = "tpe",
) -> dict[str, Any]:
    """One point: every side on a database of its own with the same trials, in turns."""
    begun = time.monotonic()
    with ExitStack() as stack:
        sides = []
        for name in SIDES[kind]:
            url = server.create() if server else f"sqlite:///{folder / uuid.uuid4().hex}.db"
            _fill(name, url, stored, sampler)
            sides.append(stack.enter_context(_started(name, url, workers, sampler)))
        for each in sides:  # what a worker does once: it reads the trials that are there
            each.turn(trials=2, seconds=size.patience)
            each.seconds.clear()
            each.rates.clear()
        trials = size.gp_trials if sampler == "gp" else size.trials
        asked = {"trials": trials} if workers == 1 else {"seconds": size.seconds}
        for turn in range(size.rounds):
            for each in sides if turn % 2 == 0 else reversed(sides):
                each.turn(**asked)
    said = [_said(each) for each in sides]
    figures = ", ".join(f"{one['side']} {one['trials_per_s']:.1f}" for one in said)
    took = time.monotonic() - begun
    print(
        f"{kind}, {stored:,} stored, {workers} workers, {sampler}: {figures} trials/s ({took:.0f} s)", file=sys.stderr
    )
    return {"database": kind, "stored": stored, "workers": workers, "sampler": sampler, "sides": said}


def _said(side: Side) -> dict[str, Any]:
    seconds = side.seconds or [float("nan")]
    return {
        "side": side.name, "seconds_per_trial": median(seconds), "spread": spread(seconds) if side.seconds else None,
        "trials_per_s": median(side.rates), "turns": [round(one, 5) for one in side.seconds], "error": side.error,
    }  # fmt: skip


def _fill(side: str, url: str, stored: int, sampler: str) -> None:
    if side != "thermowell":
        overhead_fill.plain(url, stored)
        return
    database = open_database(url)
    try:
        overhead_fill.ours(database, stored, sampler)
    finally:
        database.close()


@contextmanager
def _started(name: str, url: str, workers: int, sampler: str) -> Iterator[Side]:
    given = json.dumps({"side": name, "url": url, "workers": workers, "sampler": sampler})
    environment = {**os.environ, "PYTHONPATH": str(facts.ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.serving.overhead_side", given], cwd=facts.ROOT, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        side = Side(name, process)
        side.hear()
        yield side
    finally:
        process.kill()
        process.wait()


def ratios(points: Sequence[dict[str, Any]]) -> dict[str, float]:
    """This service's seconds per trial over plain Optuna's, at each point; with several workers, per trial of all."""
    found = {}
    for point in points:
        seconds = {side["side"]: side["seconds_per_trial"] for side in point["sides"]}
        name = f"{point['database']}_{point['stored']}_stored"
        if point["several"]:
            name = f"{point['database']}_{point['workers']}_workers"
        if point["sampler"] != "tpe":
            name += f"_{point['sampler']}"
        found[name] = round(seconds["thermowell"] / seconds["Optuna"], 3)
    return found


def rows(points: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A row for each side at each point, as the terminal and the page show it."""
    found = []
    for point in points:
        plain = next(side for side in point["sides"] if side["side"] == "Optuna")
        for side in point["sides"]:
            cost = side["seconds_per_trial"]
            found.append(
                [
                    f"{point['database']}, {point['stored']:,} stored, {point['sampler']}, {side['side']}",
                    str(point["workers"]),
                    f"{1000 * cost:.1f}", f"{side['trials_per_s']:.1f}", f"{cost / plain['seconds_per_trial']:.2f}",
                    "locked" if side["error"] else "",
                ]
            )  # fmt: skip
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.overhead", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns, in under five minutes")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    parser.add_argument("--only", choices=sorted(SIDES), help="one database alone")
    given = parser.parse_args()
    size = QUICK if given.quick else FULL
    about = facts.gather()
    print(facts.in_words(about))
    points = []
    with tempfile.TemporaryDirectory(prefix="thermowell-overhead-") as folder, running_postgres(settings=DURABLE) as pg:
        for kind in [given.only] if given.only else list(SIDES):
            server = pg if kind == "postgresql" else None
            points += [
                measured(kind, stored, 1, size, server, Path(folder)) | {"several": False} for stored in size.stored
            ]
            several = [
                measured(kind, size.stored_for_workers, workers, size, server, Path(folder)) | {"several": True}
                for workers in size.workers
            ]
            points += several
            if server is not None:
                gp = measured(kind, STORED_FOR_GP, 1, size, server, Path(folder), "gp")
                points.append(gp | {"several": False})
    output.table(
        "Storage and sampler, per trial of five parameters and ten reports",
        ("", "workers", "ms", "trials/s", "of Optuna's", ""),
        rows(points),
    )
    found = ratios(points)
    missed = sorted(name for name, ratio in found.items() if not ratio <= GOAL)
    headline = {"benchmark": "overhead", "quick": given.quick, "goal": GOAL, "missed": missed, **found}
    output.conclude(given.keep, headline | about, {"points": points})
    return 0


if __name__ == "__main__":
    sys.exit(main())
