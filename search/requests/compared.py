"""Jobs beside each other: each with its answer, or with what its trials say so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from search.records import Job, Principal
from search.requests.answers import answers_of
from search.requests.progress import progress_of
from search.storage.access import visible_job
from search.storage.db import Database
from search.storage.rows import job_of
from search.storage.stored import read_or_none
from search.storage.tables import analyses
from thermowell.api.answers import Interim, Result, TemperatureResponse


@dataclass(frozen=True, slots=True)
class ComparedJob:
    """One job with its answer; `final` where that is its last word, `result` and `response` missing where none is."""

    job: Job
    final: bool
    result: Result | None
    response: TemperatureResponse | None


def compared_jobs(db: Database, job_ids: Sequence[str], principal: Principal) -> list[ComparedJob]:
    """These jobs in this order. NotFound where one of them is not there."""
    with db.read() as connection:
        rows = [visible_job(connection, job_id, principal) for job_id in dict.fromkeys(job_ids)]
        progress = progress_of(connection, rows, remember=True)
        answers = answers_of(connection, [row.id for row in rows])
        criteria = analyses.c.job_id.in_([row.id for row in rows]) & (analyses.c.kind == "interim")
        interims = connection.execute(select(analyses.c.job_id, analyses.c.document).where(criteria))
        documents: dict[str, str] = {row.job_id: row.document for row in interims}
    compared = []
    for row in rows:
        job = job_of(row, progress[row.id])
        final = row.ended_at is not None and row.id in answers
        result, response = answers[row.id] if final else (None, None)
        if not final:
            interim = read_or_none(Interim, documents.get(row.id), f"what job {row.id} says so far")
            result, response = (None, None) if interim is None else (interim.result, interim.response)
        compared.append(ComparedJob(job, final, result, response))
    return compared
