"""Who trains? Workers say that they are there; whoever is silent for a lease period counts as gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, insert, select, update

from search.db import Database, now_sql
from search.records import Worker
from search.rows import moment, moment_or_none
from search.tables import leases, workers


def worker_seen(
    db: Database, worker_id: str, *, host: str, pid: int, lanes: int, capabilities: Mapping[str, Any]
) -> None:
    """Notes that a worker is alive, and what it can do; to be said at its start and with each heartbeat."""
    said = {"host": host[:255], "pid": pid, "lanes": lanes, "capabilities": dict(capabilities)}
    with db.write() as connection:
        known = update(workers).where(workers.c.id == worker_id)
        if not connection.execute(known.values(seen_at=now_sql(), stopped_at=None, **said)).rowcount:
            connection.execute(insert(workers).values(id=worker_id, started_at=now_sql(), seen_at=now_sql(), **said))


def worker_stopped(db: Database, worker_id: str) -> None:
    """Notes that a worker has gone in good order."""
    with db.write() as connection:
        connection.execute(update(workers).where(workers.c.id == worker_id).values(stopped_at=now_sql()))


def list_workers(db: Database, lease_seconds: float, limit: int = 500) -> list[Worker]:
    """The workers, those seen last first."""
    held = select(func.count()).where(leases.c.worker_id == workers.c.id).scalar_subquery()
    alive = workers.c.stopped_at.is_(None) & (workers.c.seen_at >= now_sql() - lease_seconds)
    query = select(workers, held.label("running"), alive.label("alive"))
    with db.read() as connection:
        rows = connection.execute(query.order_by(workers.c.seen_at.desc(), workers.c.id).limit(limit))
        return [
            Worker(
                id=row.id,
                host=row.host,
                pid=row.pid,
                lanes=row.lanes,
                capabilities=row.capabilities,
                running=row.running,
                alive=bool(row.alive),
                started_at=moment(row.started_at),
                seen_at=moment(row.seen_at),
                stopped_at=moment_or_none(row.stopped_at),
            )
            for row in rows
        ]
