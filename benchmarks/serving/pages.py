"""The pages of a large job and of a large study: how long the service works on each, and how much it sends.

Part of `make bench-load`: a job of 1,000 trials and a study of 100 cells in PostgreSQL, each page read several times;
beside it Optuna Dashboard's own page of the same trials, with its script and the data that it asks for.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.common import facts, output
from benchmarks.serving import overhead_fill
from benchmarks.serving.load import running_pair
from benchmarks.serving.overhead import DURABLE
from search.records import SCOPES, Principal
from search.requests.dashboard_queries import study_number
from search.requests.studies import submit_study
from search.storage.db import open_database
from search.studies.spec import StudySpec
from tests.postgres import running_postgres
from tests.processes import Processes
from tests.service import server_fixtures

MOST_SECONDS, MOST_KILOBYTES = 0.5, 200.0
_OWNER = Principal("load", "load", frozenset(SCOPES))


@dataclass(frozen=True, slots=True)
class Weight:
    """What one page costs: its first answer and the median of all, in seconds, and its size in kB."""

    side: str
    page: str
    first_seconds: float
    seconds: float
    kilobytes: float


@dataclass(frozen=True, slots=True)
class Large:
    """What is looked at."""

    job: str
    study: str
    number: int  # Optuna's, of the job


def fill(url: str, trials: int, cells: int) -> Large:
    """Fills an empty database with a job of so many trials, and with a study of so many jobs."""
    database = open_database(url)
    try:
        job = overhead_fill.ours(database, trials)
        base = {name: part for name, part in server_fixtures.document().items() if name not in ("name", "labels")}
        factors = {"seed": list(range(cells // 10)), "training.epochs": [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]}
        study = StudySpec.model_validate({"name": "large", "base": base, "factors": factors})
        detail = submit_study(database, study, _OWNER)[0]
        number = study_number(database, job, _OWNER)
        assert number is not None
        return Large(job, detail.id, number)
    finally:
        database.close()


def weigh(side: str, base: str, pages: dict[str, str], times: int) -> list[Weight]:
    """Each page so many times. HTTPStatusError where one is not answered."""
    weights = []
    with httpx.Client(base_url=base, timeout=120, trust_env=False, headers={"Accept": "text/html"}) as client:
        for page, path in pages.items():
            durations, size = [], 0
            for _ in range(times):
                start = time.perf_counter()
                answer = client.get(path)
                durations.append(time.perf_counter() - start)
                answer.raise_for_status()
                size = len(answer.content)
            weights.append(Weight(side, page, durations[0], statistics.median(durations), size / 1000))
    return weights


def run(trials: int, cells: int, times: int) -> list[Weight]:
    """Both sides over one database."""
    with (
        tempfile.TemporaryDirectory(prefix="thermowell-pages-") as folder,
        running_postgres(settings=DURABLE) as server,
    ):
        url, programs = server.create(), Processes(Path(folder))
        large = fill(url, trials, cells)
        ours = {
            "list of jobs": "/jobs", "job": f"/jobs/{large.job}", "trial": f"/jobs/{large.job}/trials/7",
            "list of studies": "/studies", "study": f"/studies/{large.study}",
        }  # fmt: skip
        theirs = {
            "page": f"/dashboard/studies/{large.number}",
            "script": "/static/bundle.js",
            "data": f"/api/studies/{large.number}?after=0",
        }
        try:
            api, dashboard = running_pair(programs, url, Path(folder))
            return [*weigh("thermowell", api, ours, times), *weigh("dashboard", dashboard, theirs, times)]
        finally:
            with redirect_stdout(io.StringIO()):
                programs.kill_all()


def missed(weights: Sequence[Weight]) -> list[str]:
    """Which pages of ours miss their goals."""
    pages = [weight for weight in weights if weight.side == "thermowell"]
    slow = [f"{w.page} in {MOST_SECONDS} s" for w in pages if max(w.first_seconds, w.seconds) > MOST_SECONDS]
    return slow + [f"{w.page} in {MOST_KILOBYTES:.0f} kB" for w in pages if w.kilobytes > MOST_KILOBYTES]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.pages", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a few trials and cells, to see that it runs")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    given = parser.parse_args(arguments)
    trials, cells, times = (50, 20, 2) if given.tiny else (1000, 100, 9)
    about = facts.gather()
    print(facts.in_words(about))
    weights = run(trials, cells, times)
    output.table(
        f"pages of a job of {trials:,} trials and of a study of {cells} cells",
        ("", "first, ms", "median, ms", "kB"),
        [
            [f"{w.side}: {w.page}", f"{1000 * w.first_seconds:.0f}", f"{1000 * w.seconds:.0f}", f"{w.kilobytes:.0f}"]
            for w in weights
        ],
    )
    details: dict[str, Any] = {"pages": [asdict(weight) for weight in weights]}
    headline: dict[str, Any] = {"benchmark": "pages", "trials": trials, "cells": cells, "goals_missed": missed(weights)}
    output.conclude(given.keep, headline | about, details)
    return 0


if __name__ == "__main__":
    sys.exit(main())
