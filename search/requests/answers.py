"""Results and responses of many jobs at once, for advice and for studies."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from search.answer import Result, TemperatureResponse
from search.storage.tables import analyses

Answer = tuple[Result, TemperatureResponse | None]


def answers_of(connection: Connection, job_ids: Sequence[str]) -> dict[str, Answer]:
    """By job id, of those that have an answer."""
    wanted = analyses.c.job_id.in_(job_ids) & analyses.c.kind.in_(("result", "response"))
    documents: dict[str, dict[str, str]] = {}
    for row in connection.execute(select(analyses.c.job_id, analyses.c.kind, analyses.c.document).where(wanted)):
        documents.setdefault(row.job_id, {})[row.kind] = row.document
    return {
        job_id: (
            Result.model_validate_json(kinds["result"]),
            TemperatureResponse.model_validate_json(kinds["response"]) if "response" in kinds else None,
        )
        for job_id, kinds in documents.items()
        if "result" in kinds
    }
