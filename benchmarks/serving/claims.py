"""Claims and reports over HTTP. `make bench-claims`: trials per second, and how long claims and reports take, with 1 to
200 clients that train nothing, on PostgreSQL; beside Optuna's gRPC proxy and Vizier's service with like samplers, the
sides in turns. A trial is a claim, ten reports and its end, each a request of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.common import facts, output, peers
from benchmarks.common.repetitions import median
from benchmarks.serving.claims_clients import RANGES, REPORTS, value
from benchmarks.serving.claims_sides import Side, Turn, environment, figures
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
QUICK = Size((1, 32, 200), ("random", "tpe"), 32, 1000, 3.0, 1)
EPOCH_SECONDS = 0.5
"""Of clients that train: their figures are beside the goals, which are of clients that do not."""


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
    settings = {"THERMOWELL_DATABASE_URL": server.create(), "THERMOWELL_VAR": str(folder), "OMP_NUM_THREADS": "1"}
    # all clients are one address without a key here, which is not what these limits are for
    settings |= {"THERMOWELL_REQUESTS_PER_MINUTE": "10000000", "THERMOWELL_CONNECTIONS_PER_ADDRESS": "400"}
    settings |= {"THERMOWELL_REQUESTS_AT_ONCE": "400"}
    # what the dashboard shows is drawn in turns of others too, who have nothing of the kind
    settings |= {"THERMOWELL_SHOW_SECONDS": "86400"}
    try:
        assert programs.thermowell("migrate", env=settings).wait() == 0
        serving = programs.thermowell("serve", "--port", str(port), env=settings)
        base = f"http://127.0.0.1:{port}"
        serving.until_answers(f"{base}/readyz")
        queues = [f"q{number}" for number in range(size.jobs)]
        with httpx.Client(base_url=base, timeout=120) as client:
            for queue in queues:
                _submit(client, queue, sampler, finished(size.stored // size.jobs))
            client.post("/v1/claims", json={"queue": "none", "client": "first"}).raise_for_status()
        yield Side("thermowell", sys.executable, base, queues, sampler, _pids(serving.pid, server))
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
        [python, "-m", "benchmarks.serving.claims_server", json.dumps(asked)], cwd=facts.ROOT, env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line.startswith("{")), None)
        if line is None:
            raise peers.PeerMissing(f"{name}'s server ended with {process.wait()}")
        answer = json.loads(line)
        pids = _pids(process.pid, server) if name == "optuna" else {"server": process.pid}
        yield Side(name, python, answer["base"], answer.get("jobs", jobs), sampler, pids)
    finally:
        process.kill()
        process.wait()


def _pids(serving: int, server: Postgres) -> dict[str, int]:
    """The processes of a side that is over PostgreSQL; its own server waits while other sides have their turns."""
    return {"server": serving, "database": server.pid}


def measured(
    sampler: str, size: Size, server: Postgres, folder: Path, pythons: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """The points of a sampler: every side, each over a database of its own, in turns. Last, ours with clients that
    train, for its latency alone.
    """
    with ExitStack() as stack:
        place = folder / uuid.uuid4().hex
        place.mkdir()
        sides = [stack.enter_context(_ours(sampler, size, server, place))]
        sides += [stack.enter_context(_peer(name, python, sampler, size, server)) for name, python in pythons.items()]
        for side in sides:
            stack.callback(side.close)
            side.turn(JUDGED, 1.0)  # what a server does once
        for clients in size.clients:
            turns: dict[str, list[Turn]] = {side.name: [] for side in sides}
            for number in range(size.rounds):
                for side in sides if number % 2 == 0 else reversed(sides):
                    turns[side.name].append(side.turn(clients, size.seconds))
            yield _shown({"sampler": sampler, "clients": clients, "epoch_seconds": 0.0, "sides": _figures(turns)})
        trained = [sides[0].turn(JUDGED, 2 * REPORTS * EPOCH_SECONDS, EPOCH_SECONDS)]
        paced = {"sampler": sampler, "clients": JUDGED, "epoch_seconds": EPOCH_SECONDS}
        yield _shown(paced | {"sides": _figures({sides[0].name: trained})})


def _figures(turns: dict[str, list[Turn]]) -> list[dict[str, Any]]:
    return [figures(name, of_side) for name, of_side in turns.items()]


def _shown(point: dict[str, Any]) -> dict[str, Any]:
    rates = ", ".join(f"{side['side']} {side['trials_per_s']:.1f}" for side in point["sides"])
    trains = ", who train" if point["epoch_seconds"] else ""
    print(f"{point['sampler']}, {point['clients']} clients{trains}: {rates} trials/s", file=sys.stderr)
    return point


def worst(points: Sequence[dict[str, Any]], peer: str) -> float | None:
    """The smallest ratio of trials per second to a peer's, over the points that have a goal; None without the peer.

    A point's ratio is the median of its rounds': the machine's other work weighs on turns that follow each other alike.
    """
    ratios = []
    for point in points:
        turns = {side["side"]: side["turns"] for side in point["sides"]}
        if point["sampler"] in GOAL_SAMPLERS and any(turns.get(peer, ())):
            pairs = zip(turns["thermowell"], turns[peer], strict=True)
            ratios.append(median([ours / theirs if theirs else float("inf") for ours, theirs in pairs]))
    return round(min(ratios), 2) if ratios else None


def _slowest(points: Sequence[dict[str, Any]], *, train: bool) -> float | None:
    """The greatest median of a claim and a report together, of clients that train or that do not."""
    medians = [
        side["claim_and_report_ms"]["p50"]
        for point in points
        for side in point["sides"]
        if side["side"] == "thermowell" and point["clients"] == JUDGED and point["sampler"] in GOAL_SAMPLERS
        if side["claim_and_report_ms"] is not None and bool(point["epoch_seconds"]) is train
    ]
    return max(medians) if medians else None


def headline(points: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures that have goals, and which are missed; and the latency of clients that train, which has none."""
    ratios = {"vs_optuna_proxy": worst(points, "optuna"), "vs_vizier": worst(points, "vizier")}
    slowest = _slowest(points, train=False)
    missed = [name for name, ratio in ratios.items() if ratio is None or ratio <= 1]
    if slowest is None or slowest >= GOAL_MS:
        missed.append("median_ms_32")
    beside = {"median_ms_32": slowest, "median_ms_32_training": _slowest(points, train=True)}
    return {**ratios, **beside, "goals_missed": missed}


def _pythons() -> tuple[dict[str, str], dict[str, str]]:
    """The peers' interpreters, and why some are missing."""
    pythons, missing = {"optuna": sys.executable}, {}
    try:
        pythons["vizier"] = peers.python("vizier")
        check = [pythons["vizier"], "-c", "from vizier.service import servers"]
        checked = subprocess.run(check, capture_output=True, text=True, env=environment(), check=False)
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
            quantiles = [f"{one['p50']:.0f} / {one['p99']:.0f}" for one in times]
            cpu = side["cpu_ms"] or {}
            shares = " ".join(f"{cpu[user]:.0f}" if user in cpu else "-" for user in ("clients", "server", "database"))
            train = ", train" if point["epoch_seconds"] else ""
            name = f"{point['sampler']}, {point['clients']}{train}, {side['side']}"
            errors = "errors" if side["errors"] else ""
            lines.append([name, f"{side['trials_per_s']:.1f}", *quantiles, shares, errors])
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.claims", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer points and shorter turns")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    parser.add_argument("--samplers", metavar="NAMES", help="by commas, of " + ", ".join(FULL.samplers))
    arguments = parser.parse_args()
    size, about = QUICK if arguments.quick else FULL, facts.gather()
    if arguments.samplers:
        size = replace(size, samplers=arguments.samplers.split(","))
    print(facts.in_words(about))
    pythons, missing = _pythons()
    points: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="thermowell-claims-") as folder, running_postgres(settings=DURABLE) as pg:
        for sampler in size.samplers:
            points += measured(sampler, size, pg, Path(folder), pythons)
    headings = ("sampler, clients, side", "trials/s", "claim ms", "report ms", "cpu c s d", "")
    output.table("Trials of ten reports", headings, rows(points))
    print("cpu c s d: milliseconds of the processor for a trial, of clients, server and database")
    summary = {"benchmark": "claims", "quick": arguments.quick, **headline(points)}
    output.conclude(arguments.keep, summary | about, {"points": points, "missing": missing})
    return 0


if __name__ == "__main__":
    sys.exit(main())
