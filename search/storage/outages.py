"""Faults of the database or of its machine, apart from those of whoever asked: one table, for every engine.

A statement that is wrong, a duplicate key or a missing table stay the driver's errors. Everything else is told as
DatabaseUnavailable, which callers wait for and repeat, and says what becomes of the connection: kept, dropped alone, or
dropped with all others of its pool, because the server behind them is gone or is no longer the one that takes writes.
"""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from sqlalchemy import Engine, event, exc
from sqlalchemy.engine import ExceptionContext

from search.errors import DatabaseUnavailable


class Drop(Enum):
    """What cannot be used any more after an outage."""

    NOTHING = auto()
    CONNECTION = auto()
    POOL = auto()


@dataclass(frozen=True, slots=True)
class Outage:
    """One kind of fault of the database: what a person reads, and which connections are dropped for it."""

    words: str
    drop: Drop


GONE = Outage("the database does not answer", Drop.POOL)
READ_ONLY = Outage("the database takes no writes now", Drop.POOL)
REFUSED = Outage("the database refuses this account", Drop.CONNECTION)
EXHAUSTED = Outage("the database has run out of something", Drop.NOTHING)
BUSY = Outage("the database was busy", Drop.NOTHING)
CROWDED = Outage("all connections to the database are in use", Drop.NOTHING)
DAMAGED = Outage("the database's own files or memory fail it", Drop.CONNECTION)
POOLER = Outage("a pooler before the database mixes up connections", Drop.CONNECTION)

# By SQLSTATE or its beginning; the longest that fits counts, and None is the statement's own fault, as is all else. An
# error without one is libpq's own: there was nobody to answer.
_STATES: dict[str, Outage | None] = {
    "08": GONE,  # connection exceptions; poolers tell most of theirs as 08P01
    "25006": READ_ONLY,  # read_only_sql_transaction: a standby, or default_transaction_read_only
    "25P03": GONE,  # the session stood still in a transaction and was ended
    "25P04": GONE,  # the transaction lasted too long and its session was ended
    "26000": POOLER,  # a prepared statement that another session of the server has
    "28": REFUSED,
    "34000": POOLER,  # a cursor, likewise
    "3D000": REFUSED,  # there is no such database
    "40": BUSY,  # undone, by a deadlock or another writer: to be repeated
    "40002": None,  # undone by a constraint, and would be again
    "42501": REFUSED,  # also what a file system that has become read-only is told as
    "42P03": POOLER,  # a cursor that is there already
    "42P05": POOLER,  # a prepared statement that is there already
    "53": EXHAUSTED,  # disk, memory, connections
    "54": None,  # larger than this server's limits, whenever it is asked
    "55006": BUSY,
    "55P03": BUSY,  # a lock was not to be had in time
    "57": GONE,  # the server goes, has crashed, starts, or has ended this session
    "57000": BUSY,
    "57014": BUSY,  # the operator or a time limit ended the statement
    "58": DAMAGED,  # the server's system failed: I/O above all
    "72000": BUSY,  # the snapshot is too old
    "F0": DAMAGED,
    "XX": DAMAGED,
}
_PERHAPS = {"0A000", "55000"}  # what a server in recovery does not do, among much that none does
_LITE: dict[int, Outage] = {
    sqlite3.SQLITE_PERM: DAMAGED,
    sqlite3.SQLITE_ABORT: BUSY,
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_NOMEM: EXHAUSTED,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_INTERRUPT: BUSY,
    sqlite3.SQLITE_IOERR: DAMAGED,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_FULL: EXHAUSTED,
    sqlite3.SQLITE_CANTOPEN: GONE,
    sqlite3.SQLITE_PROTOCOL: BUSY,
    sqlite3.SQLITE_SCHEMA: BUSY,
    sqlite3.SQLITE_NOLFS: DAMAGED,
    sqlite3.SQLITE_AUTH: REFUSED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
}


@dataclass(slots=True)
class Doubt:
    """Since when an engine's connections are to be asked, before they are used, whether they still take writes."""

    since: float | None = None  # of time.monotonic; None while nothing has happened

    def rise(self) -> None:
        """Everything that was learnt before this moment is in doubt."""
        self.since = time.monotonic()


def of_state(state: str) -> Outage | None:
    """The outage that an SQLSTATE stands for; None where it stands for none, or not by itself."""
    outage = (state[:length] for length in range(len(state), 1, -1) if state[:length] in _STATES)
    return _STATES.get(next(outage, ""))


def outage_of(error: BaseException | None, *, disconnected: bool = False, standby: bool = False) -> Outage | None:
    """The outage behind an error of SQLAlchemy's; None where whoever asked is at fault.

    `disconnected`: the connection is gone, whatever the error calls it. `standby`: it leads to a server in recovery.
    """
    if isinstance(error, exc.TimeoutError):
        return CROWDED
    if not isinstance(error, exc.DBAPIError):
        return None
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        return _LITE.get(code & 0xFF)  # without what extended codes add
    state: str | None = getattr(error.orig, "sqlstate", None)
    outage = _perhaps(error.orig, standby) if state in _PERHAPS else of_state(state or "")
    if outage is not None:
        return outage
    silent = state is None and isinstance(error, exc.OperationalError | exc.InterfaceError)
    return GONE if disconnected or error.connection_invalidated or silent else None


def unavailable(error: BaseException | None) -> DatabaseUnavailable | None:
    """An error as DatabaseUnavailable, with the first line of what it says; None where it is none of the database's."""
    outage = outage_of(error)
    return None if outage is None else _told(outage, error)


def _told(outage: Outage, error: BaseException | None) -> DatabaseUnavailable:
    detail = str(getattr(error, "orig", "")).strip().splitlines()
    return DatabaseUnavailable(f"{outage.words}: {detail[0]}" if detail else outage.words)


def watch(engine: Engine, doubt: Doubt) -> None:
    """Tells every outage of this engine as DatabaseUnavailable, whoever asks, and drops what is of no more use."""

    @event.listens_for(engine, "handle_error")
    def _outage(context: ExceptionContext) -> DatabaseUnavailable | None:
        error = context.sqlalchemy_exception
        outage = outage_of(error, disconnected=context.is_disconnect, standby=_at_standby(context))
        if outage is None or (outage is READ_ONLY and _only_reads(context)):
            return None
        if outage.drop is not Drop.NOTHING:
            doubt.rise()
            if context.connection is not None and not context.connection.closed:
                context.is_disconnect = True
                context.invalidate_pool_on_disconnect = outage.drop is Drop.POOL
        return _told(outage, error)


def _only_reads(context: ExceptionContext) -> bool:
    """Whether this transaction was begun to read, so that it is who wrote in it that is wrong."""
    options: dict[str, Any] = dict(context.connection.get_execution_options()) if context.connection else {}
    return bool(options.get("postgresql_readonly"))


def _at_standby(context: ExceptionContext) -> bool:
    """What PostgreSQL 14 and later tells each session of itself, in no language."""
    pooled: Any = context.connection and not context.connection.invalidated and context.connection.connection
    info = getattr(pooled and pooled.dbapi_connection, "info", None)
    return bool(info and info.parameter_status("in_hot_standby") == "on")


def _perhaps(error: BaseException | None, standby: bool) -> Outage | None:
    """A server in recovery refuses what it otherwise does; so does one whose tables have changed under a plan."""
    detail = str(error).lower()
    if standby or "recovery" in detail or "standby" in detail:
        return READ_ONLY
    cached = getattr(getattr(error, "diag", None), "source_function", None) == "RevalidateCachedQuery"
    return POOLER if cached or "cached plan" in detail else None
