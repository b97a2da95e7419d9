"""Ownership of jobs and studies: another owner's is answered as missing, but for an admin."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection, Row, select

from search.errors import NotFound
from search.records import Principal
from search.storage.tables import jobs, studies

_ID = re.compile(r"[0-9a-f]{1,32}")


def is_id(text: str) -> bool:
    """Whether a text may be the id of a job or a study: the database need not see what is none, such as a NUL."""
    return _ID.fullmatch(text) is not None


def visible_job(connection: Connection, job_id: str, principal: Principal, *, lock: bool = False) -> Row[Any]:
    """The row of a job that the principal may see, locked against other writers if asked. NotFound.

    `job_id` may be any string at all.
    """
    row = None
    if is_id(job_id):
        query = select(jobs).where(jobs.c.id == job_id)
        # NO KEY UPDATE: rows that refer to the job may still be written, e.g. a trial's reports
        row = connection.execute(query.with_for_update(key_share=True) if lock else query).one_or_none()
    if row is None or not (row.owner == principal.id or principal.may("admin")):
        raise NotFound("there is no such job that this key may see: `thermowell list` shows those that there are")
    return row


def visible_study(connection: Connection, study_id: str, principal: Principal, *, lock: bool = False) -> Row[Any]:
    """As `visible_job`, of a study. Locked before any of its jobs. NotFound."""
    row = None
    if is_id(study_id):
        query = select(studies).where(studies.c.id == study_id)
        row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None or not (row.owner == principal.id or principal.may("admin")):
        raise NotFound(
            "there is no such study that this key may see: `thermowell study list` shows those that there are"
        )
    return row
