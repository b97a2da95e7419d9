"""The pages of a large job and of a large study: how long the service works on each, and how much it sends.

Part of `make bench-load`: a job of 1,000 trials and an answered study of 100 cells in PostgreSQL, each page read
several times, and what a study's page loads beside itself: its guidance, worked out at the first request, and a
picture of it; beside them Optuna Dashboard's own page of the same trials, with its script and the data it asks for.
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
from sqlalchemy import Connection, insert, select, update

from benchmarks.common import facts, output
from benchmarks.serving import overhead_fill
from benchmarks.serving.load import running_pair
from benchmarks.serving.overhead import DURABLE
from search.records import SCOPES, Principal
from search.requests.dashboard_queries import study_number
from search.requests.jobs import get_job
from search.requests.studies import submit_study
from search.states import JobState
from search.storage import tables
from search.storage.db import Database, now_sql, open_database
from search.studies.records import StudyDetail
from search.studies.spec import StudySpec
from tests.postgres import running_postgres
from tests.processes import Processes
from tests.service import server_fixtures

MOST_SECONDS, MOST_KILOBYTES = 0.5, 200.0
PAGE, BESIDE = "thermowell", "thermowell, beside the page"
TIMES_BESIDE = 3
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


def fill(url: str, trials: int, cells: int, answers: int, root: Path) -> Large:
    """Fills an empty database with a job of so many trials, and with a study of so many jobs, all of them answered: so
    many answers are worked out, and the other jobs have copies of them.
    """
    database = open_database(url)
    try:
        job = overhead_fill.ours(database, trials)
        base = {name: part for name, part in server_fixtures.document().items() if name != "name"}
        base |= {"budget": {"trials": server_fixtures.ENOUGH}}
        factors = {"seed": list(range(cells // 10)), "training.epochs": [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]}
        study = StudySpec.model_validate({"name": "large", "base": base, "factors": factors})
        detail = submit_study(database, study, _OWNER)[0]
        _answer(database, detail, answers, root)
        number = study_number(database, job, _OWNER)
        assert number is not None
        return Large(job, detail.id, number)
    finally:
        database.close()


def _answer(database: Database, study: StudyDetail, answers: int, root: Path) -> None:
    for cell in study.cells[:answers]:
        job = get_job(database, cell.job_id, _OWNER)
        server_fixtures.train(database, job)
        server_fixtures.close(database, root, job)
    with database.write() as connection:
        for place, cell in enumerate(study.cells[answers:]):
            _copy(connection, study.cells[place % answers].job_id, cell.job_id)


def _copy(connection: Connection, source: str, job_id: str) -> None:
    """Gives a job the trials and the answer of another one."""
    for table in (tables.trials, tables.analyses):
        rows = connection.execute(select(table).where(table.c.job_id == source)).mappings().all()
        copies = [{name: value for name, value in row.items() if name != "id"} | {"job_id": job_id} for row in rows]
        for copy in copies:
            if table is tables.analyses:
                copy["document"] = copy["document"].replace(source, job_id)
        connection.execute(insert(table), copies)
    values = {"state": JobState.COMPLETED, "ended_at": now_sql(), "updated_at": now_sql()}
    connection.execute(update(tables.jobs).where(tables.jobs.c.id == job_id).values(**values))


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


def run(trials: int, cells: int, answers: int, times: int) -> list[Weight]:
    """Both sides over one database."""
    with (
        tempfile.TemporaryDirectory(prefix="thermowell-pages-") as folder,
        running_postgres(settings=DURABLE) as server,
    ):
        url, programs = server.create(), Processes(Path(folder))
        large = fill(url, trials, cells, answers, Path(folder) / "files")
        ours = {
            "list of jobs": "/jobs", "job": f"/jobs/{large.job}", "trial": f"/jobs/{large.job}/trials/7",
            "list of studies": "/studies", "study": f"/studies/{large.study}",
        }  # fmt: skip
        beside = {
            "a study's guidance": f"/studies/{large.study}/guidance",
            "a picture of it": f"/studies/{large.study}/factors/0.svg",
            "a study's report": f"/v1/studies/{large.study}/report",
        }
        theirs = {
            "page": f"/dashboard/studies/{large.number}",
            "script": "/static/bundle.js",
            "data": f"/api/studies/{large.number}?after=0",
        }
        try:
            api, dashboard = running_pair(programs, url, Path(folder))
            weights = [*weigh(PAGE, api, ours, times), *weigh(BESIDE, api, beside, min(times, TIMES_BESIDE))]
            return [*weights, *weigh("dashboard", dashboard, theirs, times)]
        finally:
            with redirect_stdout(io.StringIO()):
                programs.kill_all()


def missed(weights: Sequence[Weight]) -> list[str]:
    """Which pages of ours miss their goals; what is loaded beside them has none."""
    pages = [weight for weight in weights if weight.side == PAGE]
    slow = [f"{w.page} in {MOST_SECONDS} s" for w in pages if max(w.first_seconds, w.seconds) > MOST_SECONDS]
    return slow + [f"{w.page} in {MOST_KILOBYTES:.0f} kB" for w in pages if w.kilobytes > MOST_KILOBYTES]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.pages", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a few trials and cells, to see that it runs")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    given = parser.parse_args(arguments)
    trials, cells, answers, times = (50, 20, 1, 2) if given.tiny else (1000, 100, 10, 9)
    about = facts.gather()
    print(facts.in_words(about))
    weights = run(trials, cells, answers, times)
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
