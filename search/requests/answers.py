"""Results and responses of many jobs at once, for advice and for studies."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from search.storage.stored import read_or_none
from search.storage.tables import analyses
from thermowell.api.answers import Result, TemperatureResponse

Answer = tuple[Result, TemperatureResponse | None]


def answers_of(connection: Connection, job_ids: Sequence[str]) -> dict[str, Answer]:
    """By job id, of those that have an answer; without those, and without responses, that cannot be read."""
    criteria = analyses.c.job_id.in_(job_ids) & analyses.c.kind.in_(("result", "response"))
    documents: dict[str, dict[str, str]] = {}
    for row in connection.execute(select(analyses.c.job_id, analyses.c.kind, analyses.c.document).where(criteria)):
        documents.setdefault(row.job_id, {})[row.kind] = row.document
    answers: dict[str, Answer] = {}
    for job_id, kinds in documents.items():
        result = read_or_none(Result, kinds.get("result"), f"the result of job {job_id}")
        response = read_or_none(TemperatureResponse, kinds.get("response"), f"the response of job {job_id}")
        if result is not None:
            answers[job_id] = result, response
    return answers
