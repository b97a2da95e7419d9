"""Registration of workers and their heartbeats; one that is silent for a lease period counts as gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from search import units
from search.errors import Unreadable
from search.records import Worker
from search.storage.db import Database, now_sql
from search.storage.rows import moment, moment_or_none
from search.storage.stored import finite, readable
from search.storage.tables import leases, workers
from thermowell.plugin import Kind
from trainers.plugin_codes import WEIGHTS
from trainers.registry import local_models
from trainers.registry.plugins import Plugin, Plugins


@dataclass(frozen=True, slots=True)
class DataHeld:
    """What lies below a worker's data root: sets by name, and paths; `complete` where no other path is there.

    Paths go down two folders.
    """

    sets: frozenset[str]
    paths: frozenset[str]
    complete: bool

    def lacks(self, path: str) -> bool:
        """Whether a file or folder is surely not there."""
        return self.complete and "/".join(path.strip("/").split("/")[:2]) not in self.paths


@dataclass(frozen=True, slots=True)
class LiveWorkers:
    """What a living worker can do for a job: its labels, its device's memory, and the device's kind.

    `plugins` are the fingerprints of what it has loaded, by kind and name, and the digests of weights that have one.
    `waits_for` is what it waits for itself before it can do anything: room on the artifact store, say.
    """

    labels: frozenset[str]
    memory_gb: float | None
    device: str | None
    waits_for: str | None = None
    host: str = ""
    extras: frozenset[str] | None = None  # optional packages that are there; None where it does not say
    data: DataHeld | None = None  # None where it does not say
    plugins: Mapping[str, str] = field(default_factory=dict)
    preparing: tuple[str, str] | None = None  # the job that it prepares, and how far that is, in words


UNKNOWN = ""
"""The fingerprint of a local model that a worker has and says no more of: it reads its files when a job names them."""


def lacking_plugins(
    names: Iterable[tuple[str, str]], fixed: Mapping[str, Any] | None, codes: Mapping[str, str]
) -> list[str]:
    """What a worker with plugins of these fingerprints lacks for a job that names some, which its first claim has
    fixed; in words.
    """
    first = (fixed or {}).get("plugins", {})
    missing = []
    for kind, name in names:
        key = f"{kind} {name}"
        if key in first and codes.get(key) not in (first[key], UNKNOWN):
            code = "sha256" if kind == WEIGHTS else "fingerprint"
            missing.append(f"{_noun(kind, name)} {name} with {code} {first[key]}, with which the job began")
        elif key not in codes:
            missing.append(f"{_noun(kind, name)} {name}")
    return missing


def _noun(kind: str, name: str) -> str:
    if local_models.is_local(name):
        return "the model"
    return "the weights" if kind == WEIGHTS else "the plugin"


def worker_seen(
    db: Database,
    worker_id: str,
    *,
    host: str,
    pid: int,
    lanes: int,
    capabilities: Mapping[str, Any],
    engines: Sequence[Mapping[str, Any]] = (),
    labels: Sequence[str] = (),
    lease_seconds: float = 120.0,
    database_errors: int = 0,
) -> None:
    """Notes that a worker is alive, what it can do and with which engines it trains now.

    To be said at its start and with each heartbeat: it counts as gone after `lease_seconds` of silence.
    `database_errors` is how often the database has not answered it.
    """
    values = {"host": host[:255], "pid": pid, "lanes": lanes, "capabilities": finite(dict(capabilities))}
    values["engines"] = [finite(dict(engine)) for engine in engines]
    values |= {"labels": list(labels), "database_errors": database_errors}
    values |= {"seen_at": now_sql(), "silent_at": now_sql() + lease_seconds}
    with db.write() as connection:
        statement = update(workers).where(workers.c.id == worker_id)
        if not connection.execute(statement.values(stopped_at=None, **values)).rowcount:
            connection.execute(insert(workers).values(id=worker_id, started_at=now_sql(), **values))


def worker_stopped(db: Database, worker_id: str) -> None:
    """Notes that a worker has gone in good order."""
    with db.write() as connection:
        connection.execute(update(workers).where(workers.c.id == worker_id).values(stopped_at=now_sql()))


AGENTS = workers.c.id.like("agent:%")
"""Of rows of `workers`: they are of agents, which train for programs of others (search.claims.agents)."""


def is_heard() -> ColumnElement[bool]:
    """Whether a row of `workers` is of one that has been heard of in time and has not gone."""
    return workers.c.stopped_at.is_(None) & (workers.c.silent_at >= now_sql())


def is_alive() -> ColumnElement[bool]:
    """Whether a row of `workers` is of a worker that is heard."""
    return is_heard() & ~AGENTS


def living(connection: Connection) -> list[LiveWorkers]:
    """The workers that are alive, as far as a job may ask something of them."""
    columns = (workers.c.labels, workers.c.capabilities, workers.c.host, workers.c.seen_at, now_sql().label("now"))
    alive = select(*columns).where(is_alive())
    entries = []
    for row in connection.execute(alive):
        with suppress(Unreadable), readable(f"what a worker says of itself: {str(row.capabilities)[:80]}"):
            memory, device, waits_for = map(row.capabilities.get, ("memory_gb", "device", "waits_for"))
            extras, data = row.capabilities.get("extras"), row.capabilities.get("data")
            records = _published(row.capabilities).records
            entries.append(
                LiveWorkers(
                    labels=frozenset(row.labels or ()),
                    memory_gb=None if memory is None else float(memory),
                    device=device,
                    waits_for=waits_for,
                    host=row.host,
                    extras=None if extras is None else frozenset(extras),
                    data=None if data is None else _held(data),
                    plugins={f"{kind} {name}": plugin.fingerprint for (kind, name), plugin in records.items()}
                    | {f"{WEIGHTS} {entry['name']}": str(entry["sha256"]) for entry in _weights(row.capabilities)}
                    | {f"model {name}": UNKNOWN for name in row.capabilities.get("local_models", ())},
                    preparing=_preparing(row.capabilities.get("preparing"), row.now - row.seen_at),
                )
            )
    return entries


def _preparing(document: Mapping[str, Any] | None, age: float) -> tuple[str, str] | None:
    """The job that a worker prepares and how far that is, from what it has said so many seconds ago."""
    if document is None:
        return None
    job_id, words, seconds = str(document["job"]), str(document["words"]), document["seconds"]
    if seconds is None:
        return job_id, words
    remaining = float(seconds) - age
    return job_id, f"{words}, about {units.duration(remaining)} left" if remaining >= 1 else f"{words}, soon done"


def _held(data: Mapping[str, Any]) -> DataHeld:
    return DataHeld(frozenset(data["sets"]), frozenset(data["paths"]), bool(data["complete"]))


def published_plugins(db: Database) -> Plugins:
    """The plugins that living workers have, the first of those that several have; and what they could not load."""
    records, errors = dict[tuple[Kind, str], Plugin](), dict[str, str]()
    with db.look() as connection:
        rows = connection.execute(select(workers.c.capabilities).where(is_alive()).order_by(workers.c.id)).all()
    for row in rows:
        with suppress(Unreadable), readable(f"what a worker says of its plugins: {str(row.capabilities)[:80]}"):
            plugins = _published(row.capabilities)
            records = {**plugins.records, **records}
            errors = {**plugins.errors, **errors}
    return Plugins(records, errors)


def published_weights(db: Database) -> list[dict[str, Any]]:
    """The weights of packages and caches that living workers have, by name; each once with each of its digests."""
    with db.look() as connection:
        rows = connection.execute(select(workers.c.capabilities).where(is_alive()).order_by(workers.c.id)).all()
    documents: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        with suppress(Unreadable), readable(f"what a worker says of its weights: {str(row.capabilities)[:80]}"):
            documents |= {
                (str(entry["name"]), str(entry["sha256"])): dict(entry) for entry in _weights(row.capabilities)
            }
    return [document for _, document in sorted(documents.items())]


def _weights(capabilities: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    documents: Sequence[Mapping[str, Any]] = capabilities.get("weights", ())
    return documents


def _published(capabilities: Mapping[str, Any]) -> Plugins:
    """The plugins that a worker has published. ValueError, TypeError or KeyError where they cannot be read."""
    plugins = [Plugin.from_document(document) for document in capabilities.get("plugins", ())]
    records = {(plugin.declaration.kind, plugin.declaration.name): plugin for plugin in plugins}
    return Plugins(records, dict(capabilities.get("plugin_errors", {})))


def list_workers(db: Database, limit: int = 500) -> list[Worker]:
    """The workers, those seen last first."""
    lease_count = select(func.count()).where(leases.c.worker_id == workers.c.id).scalar_subquery()
    query = select(workers, lease_count.label("running"), is_alive().label("alive"))
    with db.read() as connection:
        rows = connection.execute(query.where(~AGENTS).order_by(workers.c.seen_at.desc(), workers.c.id).limit(limit))
        return [
            Worker(
                id=row.id,
                host=row.host,
                pid=row.pid,
                lanes=row.lanes,
                capabilities=row.capabilities,
                engines=row.engines or [],
                labels=row.labels or [],
                running=row.running,
                alive=bool(row.alive),
                started_at=moment(row.started_at),
                seen_at=moment(row.seen_at),
                stopped_at=moment_or_none(row.stopped_at),
            )
            for row in rows
        ]
