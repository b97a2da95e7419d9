"""The database, SQLite or PostgreSQL: one kind of transaction to read and one to write."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import sqlalchemy
from sqlalchemy import Connection, Double, Engine, event, exc
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from search.errors import DatabaseUnavailable, NotStorable, SchemaMissing
from search.storage import connections, outages
from search.storage.stored import from_json, to_json
from search.storage.tables import VERSION_TABLE

BUSY_SECONDS = 30  # how long a writer waits for the others before the database counts as unavailable
# How long a PostgreSQL host may say nothing, by libpq's own words: a machine that has vanished closes no connection.
PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 45_000,
}
_BEGIN = "thermowell_begin"
_SAME = sqlalchemy.text(f"UPDATE {VERSION_TABLE} SET version_num = version_num")  # a write after which all is as before


class now_sql(FunctionElement[float]):
    """Epoch seconds (UTC) by the database's clock, at this moment and not at the transaction's begin."""

    type = Double()
    inherit_cache = True


@compiles(now_sql, "sqlite")
def _now_in_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now_sql, "postgresql")
def _now_in_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"


class Database:
    """An open database; threads may share it, processes open their own.

    `read()` sees one state throughout. `write()` commits on leaving and rolls back on an error. On SQLite a writer
    holds the only write lock from its first moment (BEGIN IMMEDIATE); on PostgreSQL rows are locked as they are
    selected, always in the order job, leases (by subject), trials, so that no two writers wait for each other.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer: Engine = engine
        self.dialect: str = engine.dialect.name
        self.failures = 0  # how often it has not answered, since it was opened
        self._write_failed = False  # for a fault of the database's, and nobody has looked since
        if self.dialect == "sqlite":
            self._looker = self._reader = engine.execution_options(**{_BEGIN: "DEFERRED"})
            self._writer = engine.execution_options(**{_BEGIN: "IMMEDIATE"})
        else:
            self._looker = engine.execution_options(isolation_level="AUTOCOMMIT")
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @property
    def url(self) -> str:
        """The address with the password in it, for who opens connections of its own; not for logs."""
        return self.engine.url.render_as_string(hide_password=False)

    def configure(self, engine: Engine) -> None:
        """Gives an engine that somebody else made for this database the habits of ours; each transaction may write."""
        equip(engine, begin="IMMEDIATE")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads. DatabaseUnavailable, SchemaMissing."""
        with self._plain_errors(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """For one statement that only reads, which sees one state by itself: on PostgreSQL no transaction is begun and
        ended for it, two round trips less. DatabaseUnavailable, SchemaMissing.
        """
        with self._plain_errors(), self._looker.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes. DatabaseUnavailable, where its server only reads too; SchemaMissing."""
        try:
            with self._plain_errors(), self._writer.begin() as connection:
                if why := connections.no_writes(connection):
                    raise DatabaseUnavailable(why)
                yield connection
        except DatabaseUnavailable:
            self._write_failed = True
            raise

    def check_writable(self, *, by_writing: bool = False) -> None:
        """Returns where transactions may write. DatabaseUnavailable, with what is against it; SchemaMissing.

        A server that only reads says so when it is asked. What a full disk says is known by writing alone: that is done
        where it is wanted, and where a write has failed and none has been tried from here since.
        """
        if self.dialect == "sqlite":
            file = Path(str(self.engine.url.database))
            if file.exists() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
                raise DatabaseUnavailable(
                    f"{outages.READ_ONLY.words}: {file} or its folder cannot be written: give this user the right to"
                )
        else:
            with self.look() as connection:
                why = connections.why_no_writes(*connection.exec_driver_sql(connections.STANDING).one())
            if why:
                raise DatabaseUnavailable(why)
        if by_writing or self._write_failed:
            with self.write() as connection:
                connection.execute(_SAME)
            self._write_failed = False

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        try:
            with _plain_errors():
                yield
        except DatabaseUnavailable:
            self.failures += 1
            raise

    def now(self, connection: Connection) -> float:
        """Epoch seconds by the database's clock."""
        return float(connection.execute(sqlalchemy.select(now_sql())).scalar_one())

    def up_seconds(self, connection: Connection) -> float:
        """For how long the database's server has been up, by its own clock; SQLite has none that could restart."""
        if self.dialect == "sqlite":
            return math.inf
        up = "SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())"
        return float(connection.exec_driver_sql(up).scalar_one())

    def close(self) -> None:
        """Gives the connections back."""
        self.engine.dispose()


def open_database(url: str, *, pool_size: int = 5, max_overflow: int = 10) -> Database:
    """Opens the database at a SQLAlchemy URL; connects at the first use. The folder of an SQLite file is made.

    DatabaseUnavailable where that cannot be.
    """
    parsed = normal_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise ValueError("an SQLite database needs a file: every process must see the same one")
        _make_folder(Path(str(parsed.database)).parent)
    options = engine_options(parsed) | {"json_serializer": to_json, "json_deserializer": from_json}
    engine = sqlalchemy.create_engine(parsed, pool_size=pool_size, max_overflow=max_overflow, **options)
    equip(engine)
    return Database(engine)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(
            f"the folder {folder} cannot be made ({error.strerror}): let THERMOWELL_VAR name one that may be written to"
        ) from error


def engine_options(url: URL) -> dict[str, Any]:
    """What every engine is made with: how soon a host that says nothing is given up, as far as the URL does not say."""
    if url.get_backend_name() == "sqlite":
        return {}
    return {"connect_args": {name: value for name, value in PATIENCE.items() if name not in url.query}}


def normal_url(url: str) -> URL:
    """The URL with the driver this project uses: `postgres://` and `postgresql://` mean psycopg."""
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername in ("postgres", "postgresql") else parsed


def equip(engine: Engine, begin: Literal["DEFERRED", "IMMEDIATE"] = "DEFERRED") -> None:
    """Gives an engine this project's habits, whoever made it.

    Every outage is told as DatabaseUnavailable (see `outages`), and PostgreSQL's connections are looked at before they
    are used (see `connections`). On SQLite, Python's driver would begin transactions late and silently; here SQLAlchemy
    begins each one, as `begin` says. A reader that turns into a writer halfway fails at once when somebody else has
    written, whatever the timeout: who is going to write must begin IMMEDIATE.
    """
    doubt = outages.Doubt()
    outages.watch(engine, doubt)
    if engine.dialect.name != "sqlite":
        connections.limit_standstill(engine)
        connections.check_before_use(engine, doubt)
        return

    @event.listens_for(engine, "connect")
    def _habits(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        connection.execute("PRAGMA synchronous = NORMAL")  # safe with WAL, which `migrate` sets for the file
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get(_BEGIN, begin)}")


@contextmanager
def _plain_errors() -> Iterator[None]:
    """The driver's errors in this project's words; each says what a caller can do."""
    try:
        yield
    except exc.DBAPIError as error:
        if _is_missing_table(error):
            raise SchemaMissing("the database has no tables of this version: run `thermowell migrate`") from error
        raise
    except exc.StatementError as error:
        if isinstance(error.orig, NotStorable):
            raise error.orig from None
        raise
    except exc.TimeoutError as error:
        raise DatabaseUnavailable(outages.CROWDED.words) from error


def _is_missing_table(error: exc.DBAPIError) -> bool:
    # sqlstate 42P01 is undefined_table, 42703 undefined_column
    text = str(error.orig)
    return getattr(error.orig, "sqlstate", None) in ("42P01", "42703") or text.startswith(
        ("no such table", "no such column")
    )
