"""The stored documents of a closed job."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy import select

from search.errors import NotReady
from search.records import Principal
from search.states import TERMINAL_JOBS
from search.storage.access import visible_job
from search.storage.db import Database
from search.storage.rows import reason_of
from search.storage.stored import read
from search.storage.tables import analyses
from thermowell.api.answers import Importances, Interactions, Result, TemperatureResponse
from thermowell.api.document import Document

Kind = TypeVar("Kind", bound=Document)


def get_result(db: Database, job_id: str, principal: Principal) -> Result:
    """The answer. NotFound; NotReady while the job has none; Unreadable."""
    return _read_document(db, job_id, principal, "result", Result)


def get_response(db: Database, job_id: str, principal: Principal) -> TemperatureResponse:
    """The temperature response. NotFound; NotReady while the job has none; Unreadable."""
    return _read_document(db, job_id, principal, "response", TemperatureResponse)


def get_importances(db: Database, job_id: str, principal: Principal) -> Importances:
    """How much each setting mattered. NotFound; NotReady while the job has none; Unreadable."""
    return _read_document(db, job_id, principal, "importances", Importances)


def get_interactions(db: Database, job_id: str, principal: Principal) -> Interactions:
    """How T and each other setting act together. NotFound; NotReady while the job has none; Unreadable."""
    return _read_document(db, job_id, principal, "interactions", Interactions)


def _read_document(db: Database, job_id: str, principal: Principal, kind: str, document: type[Kind]) -> Kind:
    with db.read() as connection:
        job = visible_job(connection, job_id, principal)
        query = select(analyses.c.document).where(analyses.c.job_id == job_id, analyses.c.kind == kind)
        text = connection.execute(query).scalar_one_or_none()
    if text is None:
        terminal = job.state in TERMINAL_JOBS
        why = reason_of(job.problem) if terminal else None
        raise NotReady(
            f"the job is {job.state} and {'left no' if terminal else 'has no'} {kind}{'' if terminal else ' yet'}"
            + (f": {why.detail}" if why else "")
        )
    return read(document, text, f"the {kind} of job {job_id}")
