"""Claims and reports over HTTP. `make bench-claims`: trials per second, and how long claims and reports take, with 1 to
200 clients that train nothing, on PostgreSQL; beside Optuna's gRPC proxy and Vizier's service with like samplers, the
sides in turns. A trial is a claim, ten reports and its end.
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

import httpx
import numpy as np

from benchmarks.common import facts, output, peers
from benchmarks.common.repetitions import median
from benchmarks.serving.claims_clients import RANGES, REPORTS, value
from benchmarks.serving.overhead import DURABLE
from tests.postgres import Postgres, running_postgres
from tests.processes import Processes, free_port

GOAL_MS = 100.0  # claim and reports of a trial together, in the median, at JUDGED clients
JUDGED = 32
GOAL_SAMPLERS = ("random", "tpe")  # gp has no goal
BUDGET = 1000  # trials of each job


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    clients: Sequence[int]
    samplers: Sequence[str]
    jobs: int
    stored: int  # finished trials of all jobs together, before the first turn
    seconds: float
    rounds: int


FULL = Size((1, 32, 200), ("random", "tpe", "gp"), 32, 1000, 15.0, 3)
QUICK = Size((1, 32), ("random", "tpe"), 32, 1000, 4.0, 1)


@dataclass(slots=True)
class Side:
    """A server, and what came of its turns."""

    name: str
    python: str
    base: str
    jobs: list[str]
    sampler: str
    rates: list[float] = field(default_factory=list)
    parts: list[list[float]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def turn(self, clients: int, seconds: float) -> None:
        """One turn of all its clients, which are a process of their own."""
        asked = {
            "side": self.name, "base": self.base, "jobs": self.jobs, "sampler": self.sampler, "clients": clients,
            "seconds": seconds,
        }  # fmt: skip
        done = subprocess.run(
            [self.python, "-m", "benchmarks.serving.claims_clients", json.dumps(asked)], cwd=facts.ROOT,
            env=_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            self.errors.append(done.stderr[-300:])
            return
        answer = json.loads(done.stdout.splitlines()[-1])
        self.errors += answer["errors"]
        self.rates.append(len(answer["parts"]) / answer["seconds"])
        self.parts += answer["parts"]

    def figures(self) -> dict[str, Any]:
        """What its turns came to; times in milliseconds."""
        claims, reports = ([1000 * part[i] for part in self.parts] for i in (0, 1))
        both = [claim + report for claim, report in zip(claims, reports, strict=True)]
        together = [claim + report / (REPORTS + 1) for claim, report in zip(claims, reports, strict=True)]
        return {
            "side": self.name, "trials_per_s": median(self.rates) if self.rates else 0.0,
            "turns": [round(rate, 2) for rate in self.rates], "trials": len(self.parts),
            "claim_ms": _quantiles(claims), "report_ms": _quantiles([one / (REPORTS + 1) for one in reports]),
            "trial_ms": _quantiles(both), "claim_and_report_ms": _quantiles(together), "errors": self.errors[:5],
        }  # fmt: skip


def _quantiles(milliseconds: Sequence[float]) -> dict[str, float] | None:
    if not milliseconds:
        return None
    return {f"p{percent}": round(float(np.percentile(np.array(milliseconds), percent)), 1) for percent in (50, 99)}


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(facts.ROOT), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def finished(count: int) -> list[dict[str, Any]]:
    """Finished trials, evenly drawn: what a search has stored before."""
    draws = np.random.default_rng(0).uniform(size=(count, len(RANGES)))
    parameters = [
        {name: low + (high - low) * float(draw) for draw, (name, (low, high)) in zip(row, RANGES.items(), strict=True)}
        for row in draws
    ]
    return [{"parameters": one, "value": value(one)} for one in parameters]


@contextmanager
def _ours(sampler: str, size: Size, server: Postgres, folder: Path) -> Iterator[Side]:
    programs, port = Processes(folder), free_port()
    environment = {"THERMOWELL_DATABASE_URL": server.create(), "THERMOWELL_VAR": str(folder), "OMP_NUM_THREADS": "1"}
    # all clients are one address without a key here, which is not what these limits are for
    environment |= {"THERMOWELL_REQUESTS_PER_MINUTE": "10000000", "THERMOWELL_CONNECTIONS_PER_ADDRESS": "400"}
    try:
        assert programs.thermowell("migrate", env=environment).wait() == 0
        programs.thermowell("serve", "--port", str(port), env=environment)
        base = f"http://127.0.0.1:{port}"
        _ready(f"{base}/readyz")
        queues = [f"q{number}" for number in range(size.jobs)]
        with httpx.Client(base_url=base, timeout=120) as client:
            for queue in queues:
                _submit(client, queue, sampler, finished(size.stored // size.jobs))
            client.post("/v1/claims", json={"queue": "none", "client": "first"}).raise_for_status()
        yield Side("thermowell", sys.executable, base, queues, sampler)
    finally:
        for each in programs.started:
            each.process.kill()
            each.process.wait()


def _submit(client: httpx.Client, queue: str, sampler: str, rows: Sequence[dict[str, Any]]) -> None:
    names = [name for name in RANGES if name.startswith("p")]
    spec = {
        "name": queue, "trainer": {"external": {"queue": queue}}, "training": {"epochs": REPORTS},
        "budget": {"trials": BUDGET}, "sampler": {"name": sampler},
        "space": {
            "temperature": {"low": 1, "high": 20}, "kd_weight": {"low": 0.1, "high": 1}, "optimizer": None,
            "parameters": {name: {"low": 0, "high": 1} for name in names},
        },
    }  # fmt: skip
    answer = client.post("/v1/jobs", json=spec)
    answer.raise_for_status()
    values = [{"row": n, "values": row["parameters"] | {"value": row["value"]}} for n, row in enumerate(rows)]
    stored = client.post(
        f"/v1/jobs/{answer.json()['id']}/imports", json={"as": "trials", "source": "fill", "rows": values}
    )
    stored.raise_for_status()
    assert stored.json()["taken"] == len(rows), stored.text


@contextmanager
def _peer(name: str, python: str, sampler: str, size: Size, server: Postgres) -> Iterator[Side]:
    url = server.create() if name == "optuna" else ""
    jobs = [f"s{number}" for number in range(size.jobs)]
    asked = {
        "side": name, "url": url, "port": free_port(), "jobs": jobs, "sampler": sampler,
        "rows": finished(size.stored // size.jobs) if name == "optuna" else [],
    }  # fmt: skip
    process = subprocess.Popen(
        [python, "-m", "benchmarks.serving.claims_server", json.dumps(asked)], cwd=facts.ROOT, env=_environment(),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line.startswith("{")), None)
        if line is None:
            raise peers.PeerMissing(f"{name}'s server ended with {process.wait()}")
        answer = json.loads(line)
        yield Side(name, python, answer["base"], answer.get("jobs", jobs), sampler)
    finally:
        process.kill()
        process.wait()


def _ready(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"{url} does not answer")


def measured(
    sampler: str, clients: int, size: Size, server: Postgres, folder: Path, pythons: dict[str, str]
) -> dict[str, Any]:
    """One point: every side, each over a database of its own, in turns."""
    with ExitStack() as stack:
        place = folder / uuid.uuid4().hex
        place.mkdir()
        sides = [stack.enter_context(_ours(sampler, size, server, place))]
        sides += [stack.enter_context(_peer(name, python, sampler, size, server)) for name, python in pythons.items()]
        for side in sides:  # what a server does once
            side.turn(1, 1.0)
            side.rates.clear()
            side.parts.clear()
        for number in range(size.rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                side.turn(clients, size.seconds)
    figures = [side.figures() for side in sides]
    shown = ", ".join(f"{one['side']} {one['trials_per_s']:.1f}" for one in figures)
    print(f"{sampler}, {clients} clients: {shown} trials/s", file=sys.stderr)
    return {"sampler": sampler, "clients": clients, "sides": figures}


def worst(points: Sequence[dict[str, Any]], peer: str) -> float | None:
    """The smallest ratio of trials per second to a peer's, over the points that have a goal; None without the peer."""
    ratios = []
    for point in points:
        rates = {side["side"]: side["trials_per_s"] for side in point["sides"]}
        if point["sampler"] in GOAL_SAMPLERS and rates.get(peer):
            ratios.append(rates["thermowell"] / rates[peer])
    return round(min(ratios), 2) if ratios else None


def headline(points: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures that have goals, and which are missed."""
    medians = [
        side["claim_and_report_ms"]["p50"]
        for point in points
        for side in point["sides"]
        if side["side"] == "thermowell" and point["clients"] == JUDGED and point["sampler"] in GOAL_SAMPLERS
        if side["claim_and_report_ms"] is not None
    ]
    said = {"vs_optuna_proxy": worst(points, "optuna"), "vs_vizier": worst(points, "vizier")}
    slowest = max(medians) if medians else None
    missed = [name for name, ratio in said.items() if ratio is None or ratio <= 1]
    if slowest is None or slowest >= GOAL_MS:
        missed.append("median_ms_32")
    return {**said, "median_ms_32": slowest, "goals_missed": missed}


def _pythons() -> tuple[dict[str, str], dict[str, str]]:
    """The peers' interpreters, and why some are missing."""
    pythons, missing = {"optuna": sys.executable}, {}
    try:
        pythons["vizier"] = peers.python("vizier")
        check = [pythons["vizier"], "-c", "from vizier.service import servers"]
        checked = subprocess.run(check, capture_output=True, text=True, env=_environment(), check=False)
        if checked.returncode:
            raise peers.PeerMissing(checked.stderr.strip().splitlines()[-1][:200])
    except peers.PeerMissing as error:
        pythons.pop("vizier", None)
        missing["vizier"] = str(error)
        print(f"vizier is not measured: {error}", file=sys.stderr)
    return pythons, missing


def rows(points: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A row for each side at each point."""
    lines = []
    for point in points:
        for side in point["sides"]:
            times = [side[kind] or {"p50": float("nan"), "p99": float("nan")} for kind in ("claim_ms", "report_ms")]
            cells = [f"{one['p50']:.0f} / {one['p99']:.0f}" for one in times]
            name = f"{point['sampler']}, {point['clients']} clients, {side['side']}"
            lines.append([name, f"{side['trials_per_s']:.1f}", *cells, "errors" if side["errors"] else ""])
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.claims", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer points and shorter turns")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    arguments = parser.parse_args()
    size, about = QUICK if arguments.quick else FULL, facts.gather()
    print(facts.in_words(about))
    pythons, missing = _pythons()
    points = []
    with tempfile.TemporaryDirectory(prefix="thermowell-claims-") as folder, running_postgres(settings=DURABLE) as pg:
        for sampler in size.samplers:
            points += [measured(sampler, clients, size, pg, Path(folder), pythons) for clients in size.clients]
    output.table("Trials of ten reports", ("", "trials/s", "claim ms", "report ms", ""), rows(points))
    summary = {"benchmark": "claims", "quick": arguments.quick, **headline(points)}
    output.conclude(arguments.keep, summary | about, {"points": points, "missing": missing})
    return 0


if __name__ == "__main__":
    sys.exit(main())
