"""Reports of many trials in one statement: of jobs that stop no trial, and while everything is as it was.

A report is written here where its lease is current and its key may still train; the answer says which were. Of the
others nothing is written: `search.claims.external` knows why, or takes the lease again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, exists, null, or_, select, update
from sqlalchemy.dialects import sqlite

from search.claims.measurements import COLUMNS, OwnReport
from search.storage.db import Database, now_sql
from search.storage.loop_connection import LoopConnection
from search.storage.stored import to_json
from search.storage.tables import jobs, keys, leases, reports, trials


@dataclass(frozen=True, slots=True)
class BatchedReport:
    """Epochs of a trial, and the key that says them; None where the service is open. The caller knows that the job is
    one that the key may train.
    """

    key_id: str | None
    job_id: str
    number: int
    token: str
    entries: Sequence[OwnReport]

    @property
    def last(self) -> OwnReport:
        """What it says of the last epoch."""
        return max(self.entries, key=lambda entry: entry.epoch)


class Writer:
    """Writes batches from an event loop, one after the other.

    On PostgreSQL a batch is one statement, a transaction by itself, over a connection of the loop's own: no thread is
    woken for it, and none waits. Leases are locked in the order of their subjects, as everywhere.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._connection = None if db.dialect == "sqlite" else LoopConnection(db)

    async def write(self, batch: Sequence[BatchedReport]) -> list[bool]:
        """Writes epochs down and renews the leases, each token's once in a batch; answers of each report whether it
        was. DatabaseUnavailable.
        """
        if self._connection is None:
            return await asyncio.to_thread(self._write_all, batch)
        places = {place for (place,) in await self._connection.execute(_WRITE, _arrays(batch))}
        return [place in places for place in range(len(batch))]

    async def close(self) -> None:
        """Gives the connection back."""
        if self._connection is not None:
            await self._connection.close()

    def _write_all(self, batch: Sequence[BatchedReport]) -> list[bool]:
        with self._db.write() as connection:
            return [_write_one(connection, report) for report in batch]


def row_of(entry: OwnReport) -> dict[str, Any]:
    """An epoch as columns of the reports' table, without its trial's."""
    columns = {name: entry.metrics.get(name) for name in COLUMNS}
    return {"epoch": entry.epoch, "seconds": entry.seconds, "metrics": dict(entry.metrics), **columns}


def _arrays(batch: Sequence[BatchedReport]) -> dict[str, list[Any]]:
    """A batch as columns: reports, and their epochs with the places of the reports that they belong to."""
    lasts = [report.last for report in batch]
    entries = [{"of": place, **row_of(entry)} for place, report in enumerate(batch) for entry in report.entries]
    columns = {name: [entry[name] for entry in entries] for name in ("of", "epoch", "seconds", *COLUMNS)}
    return {
        "place": list(range(len(batch))),
        "token": [report.token for report in batch],
        "job": [report.job_id for report in batch],
        "number": [report.number for report in batch],
        "key": [report.key_id for report in batch],
        "last": [last.epoch for last in lasts],
        "said": [to_json(dict(last.metrics)) for last in lasts],
        "metrics": [to_json(entry["metrics"]) for entry in entries],
        **columns,
    }


def _statement() -> str:
    """PostgreSQL's form. The planner knows how long arrays are, so that few reports are few look-ups."""
    return f"""
    WITH said AS (
        SELECT * FROM unnest(
            CAST(%(place)s AS integer[]), CAST(%(token)s AS varchar[]), CAST(%(job)s AS varchar[]),
            CAST(%(number)s AS integer[]), CAST(%(key)s AS varchar[]), CAST(%(last)s AS integer[]),
            CAST(%(said)s AS text[])
        ) AS said(place, token, job, number, key, last, metrics)
    ), mine AS (
        SELECT said.place, said.last, said.metrics, l.subject, t.id, t.attempt
        FROM said
        JOIN {leases.name} AS l ON l.token = said.token
        JOIN {trials.name} AS t ON t.id = l.trial_id AND t.job_id = said.job AND t.number = said.number
        WHERE l.seconds IS NOT NULL AND CASE WHEN said.key IS NULL
            THEN NOT EXISTS (SELECT FROM {keys.name})
            ELSE EXISTS (SELECT FROM {keys.name} AS k WHERE k.id = said.key AND k.revoked_at IS NULL) END
        ORDER BY l.subject FOR UPDATE OF l
    ), renewed AS (
        UPDATE {leases.name} AS l
        SET expires_at = {_NOW} + l.seconds, progress_at = {_NOW}
        FROM mine WHERE l.subject = mine.subject
    ), moved AS (
        UPDATE {trials.name} AS t SET epoch = mine.last, metrics = CAST(mine.metrics AS json)
        FROM mine WHERE t.id = mine.id AND t.epoch < mine.last
    ), written AS (
        INSERT INTO {reports.name} (trial_id, epoch, attempt, reported_at, seconds, metrics, {", ".join(COLUMNS)})
        SELECT mine.id, e.epoch, mine.attempt, {_NOW}, e.seconds, CAST(e.metrics AS json),
            {", ".join(f"e.{name}" for name in COLUMNS)}
        FROM unnest(
            CAST(%(of)s AS integer[]), CAST(%(epoch)s AS integer[]), CAST(%(seconds)s AS double precision[]),
            CAST(%(metrics)s AS text[]), {", ".join(f"CAST(%({name})s AS double precision[])" for name in COLUMNS)}
        ) AS e(place, epoch, seconds, metrics, {", ".join(COLUMNS)})
        JOIN mine ON mine.place = e.place
        ON CONFLICT DO NOTHING
    )
    SELECT place FROM mine
    """


_NOW = "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
_WRITE = _statement()


def _lease() -> Select[Any]:
    """The trial of a current lease, where the key may still train."""
    open_service = and_(bindparam("key", type_=keys.c.id.type) == null(), ~exists().where(keys.c.id.is_not(None)))
    key_holds = exists().where(keys.c.id == bindparam("key"), keys.c.revoked_at.is_(None))
    return (
        select(trials.c.id, trials.c.attempt)
        .join(leases, leases.c.trial_id == trials.c.id)
        .join(jobs, jobs.c.id == trials.c.job_id)
        .where(leases.c.token == bindparam("held"), leases.c.seconds.is_not(None))
        .where(jobs.c.id == bindparam("job"), trials.c.number == bindparam("place"), or_(open_service, key_holds))
    )


_LEASE = _lease()
_INSERT = sqlite.insert(reports).values(reported_at=now_sql()).on_conflict_do_nothing()
_MOVE = (
    update(trials)
    .where(trials.c.id == bindparam("of"), trials.c.epoch < bindparam("last"))
    .values(epoch=bindparam("last"), metrics=bindparam("said"))
)
_RENEW = (
    update(leases)
    .where(leases.c.token == bindparam("held"))
    .values(expires_at=now_sql() + leases.c.seconds, progress_at=now_sql())
)


def _write_one(connection: Connection, report: BatchedReport) -> bool:
    """SQLite's form, which changes nothing inside of a query: statements of one transaction, in this process."""
    parameters = {"held": report.token, "job": report.job_id, "place": report.number, "key": report.key_id}
    trial = connection.execute(_LEASE, parameters).one_or_none()
    if trial is None:
        return False
    connection.execute(_INSERT, list(_rows(report, trial)))
    last = report.last
    connection.execute(_MOVE, {"of": trial.id, "last": last.epoch, "said": dict(last.metrics)})
    connection.execute(_RENEW, {"held": report.token})
    return True


def _rows(report: BatchedReport, trial: Any) -> Iterator[dict[str, Any]]:
    return ({"trial_id": trial.id, "attempt": trial.attempt, **row_of(entry)} for entry in report.entries)
