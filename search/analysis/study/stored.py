"""The jobs of a study as its questions see them, read from the tables: everything that ended, whatever it was for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Row, select

from search.analysis.study import cells
from search.analysis.study.runs import Run, Runs, runs_of
from search.errors import Unreadable
from search.spec.job import JobSpec
from search.states import TrialState
from search.storage.stored import readable
from search.storage.tables import trials
from search.studies.cells import REPLICATE, Cell
from thermowell.api.answers import Result, TemperatureResponse

DIVERGED = "diverged"
"""The reason's type of a trial whose loss was no longer finite: it counts as the worst that completed."""
_ENDED = (TrialState.COMPLETED, TrialState.FAILED)


def cell_of(
    cell: Cell,
    job: Row[Any],
    runs: Runs | None,
    result: Result | None = None,
    response: TemperatureResponse | None = None,
) -> cells.Cell:
    """A cell with its job's row, its runs and, as far as there is one, its answer. Unreadable."""
    with readable(f"the answer of job {job.id}"):
        return cells.cell_of(
            cell.job_id,
            cell.levels,
            {REPLICATE: str(cell.replicate)},
            state=job.state,
            result=result,
            response=response,
            data=job.spec["dataset"]["name"] if job.spec.get("trainer") is None else "",
            runs=runs,
            delta=job.spec["confirmation"]["delta"],
        )


def runs_by_job(connection: Connection, jobs: Mapping[str, Row[Any]]) -> dict[str, Runs]:
    """By job its runs; nothing of a job that has too few, or whose spec or trials cannot be read."""
    columns = (trials.c.job_id, trials.c.arm, trials.c.seed, trials.c.configuration, trials.c.value, trials.c.reason)
    statement = select(*columns).where(trials.c.job_id.in_(list(jobs)), trials.c.state.in_(_ENDED))
    rows: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(statement):
        rows[row.job_id].append(row)
    by_job: dict[str, Runs] = {}
    for job_id, of_job in rows.items():
        with suppress(Unreadable), readable(f"the trials of job {job_id}"):
            runs = runs_of(JobSpec.model_validate(jobs[job_id].spec), list(_runs(of_job)))
            if runs is not None:
                by_job[job_id] = runs
    return by_job


def _runs(rows: Sequence[Any]) -> Iterator[Run]:
    for row in rows:
        diverged = row.reason is not None and row.reason.get("type") == DIVERGED
        if row.configuration is not None and (row.value is not None or diverged):
            yield Run(row.arm, row.seed, row.configuration, None if diverged else row.value)
