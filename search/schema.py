"""The version of the database's tables, and their migration where several processes start at once."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from search.errors import DatabaseUnavailable, SchemaMissing
from search.optuna_bridge import study
from search.storage.db import Database
from search.storage.tables import VERSION_TABLE

SCRIPTS = Path(__file__).parent / "storage" / "migrations"
_LOCK = 0x7468_6572_6D6F  # "thermo": a number of our own among PostgreSQL's advisory locks
_POLL_SECONDS = 0.2
_log = structlog.get_logger(__name__)


def migrate(db: Database) -> None:
    """Creates or updates Optuna's tables and ours. Under a lock: any number of processes may call it at once."""
    with _locked(db):
        if db.dialect == "sqlite":
            with db.engine.connect() as connection:  # a property of the file: set once, here, where nobody interferes
                connection.exec_driver_sql("ROLLBACK")  # not possible inside a transaction
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
                connection.exec_driver_sql("BEGIN")
        study.create_optuna_tables(db)
        with db.write() as connection:
            command.upgrade(alembic_config(connection), "head")


def check_schema(db: Database) -> None:
    """SchemaMissing unless our tables are there in this version. DatabaseUnavailable."""
    with db.read() as connection:
        current = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    required = ScriptDirectory(str(SCRIPTS)).get_current_head()
    if current != required:
        state = "no schema" if current is None else f"the schema of version {current}, not {required}"
        raise SchemaMissing(f"the database has {state}: run `thermowell migrate`")


def check_ready(db: Database) -> None:
    """As `check_schema`, and DatabaseUnavailable where the database takes no writes."""
    check_schema(db)
    db.check_writable()


def wait_for_schema(db: Database, timeout: float) -> None:
    """Returns once `check_schema` passes; after `timeout` seconds its SchemaMissing or DatabaseUnavailable.

    What is waited for is said at once, in the log.
    """
    deadline, reason = time.monotonic() + timeout, ""
    while True:
        try:
            return check_schema(db)
        except (SchemaMissing, DatabaseUnavailable) as error:
            if time.monotonic() >= deadline:
                raise
            if reason != str(error):
                reason = str(error)
                _log.warning("waiting for the database", error=reason, seconds=round(deadline - time.monotonic()))
        time.sleep(_POLL_SECONDS)


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for our scripts, to run on this connection."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes["connection"] = connection
    return config


@contextmanager
def _locked(db: Database) -> Iterator[None]:
    """Only one process at a time, though several connections write: Optuna creates its tables on its own."""
    if db.dialect == "sqlite":
        with Path(f"{db.engine.url.database}.migrate").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    else:
        with db.write() as connection:  # held until this transaction ends, or its process dies
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))  # others work meanwhile
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            yield
