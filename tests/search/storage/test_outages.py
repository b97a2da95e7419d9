"""Faults of the database are told apart from a caller's, by SQLSTATE and by SQLite's codes, for every engine."""

from __future__ import annotations

import os
import sqlite3
import string
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import exc, insert, text

from search.errors import DatabaseUnavailable
from search.schema import migrate
from search.storage import outages
from search.storage.db import Database, engine_options, normal_url, open_database
from search.storage.outages import Drop
from search.storage.patience import LAST_SECONDS, with_retries
from search.storage.tables import keys

# What each kind of fault is and what becomes of the connection, by the codes that PostgreSQL's manual gives.
OF_THE_DATABASE = {
    Drop.POOL: ["08000", "08001", "08003", "08004", "08006", "08007", "08P01", "25006", "25P03", "25P04", "57P01",
                "57P02", "57P03", "57P04", "57P05"],
    Drop.CONNECTION: ["26000", "34000", "42P03", "42P05", "28000", "28P01", "3D000", "42501", "58000", "58030", "58P01",
                      "F0000", "XX000", "XX001", "XX002"],
    Drop.NOTHING: ["40000", "40001", "40003", "40P01", "53000", "53100", "53200", "53300", "53400", "55006", "55P03",
                   "57000", "57014", "72000"],
}  # fmt: skip
OF_THE_CALLER = ["0A000", "21000", "22001", "22003", "22P02", "23502", "23503", "23505", "23514", "25001", "25P02",
                 "38000", "39000", "40002", "42601", "42703", "42804", "42883", "42P01", "42P07", "54000", "54001",
                 "54011", "55000", "55P02", "P0001", "P0002"]  # fmt: skip
STATES = st.text(string.digits + string.ascii_uppercase, min_size=5, max_size=5)


def as_driven(state: str | None, message: str = "as the server says") -> exc.DBAPIError:
    """An error as SQLAlchemy wraps what psycopg raises for this SQLSTATE."""
    kind: type[psycopg.Error] = psycopg.OperationalError
    if state is not None:
        try:
            kind = psycopg.errors.lookup(state)
        except KeyError:
            kind = psycopg.DatabaseError
    error = kind(message)
    error.sqlstate = state
    wrapped = exc.DBAPIError.instance("SELECT 1", (), error, psycopg.Error)
    assert isinstance(wrapped, exc.DBAPIError)
    return wrapped


@pytest.mark.parametrize(("drop", "state"), [(drop, state) for drop in Drop for state in OF_THE_DATABASE[drop]])
def test_an_outage_is_known_by_its_state(drop: Drop, state: str) -> None:
    outage = outages.outage_of(as_driven(state))
    assert outage is not None
    assert outage.drop is drop
    told = outages.unavailable(as_driven(state, "the first line\nDETAIL: more"))
    assert str(told) == f"{outage.words}: the first line"


@pytest.mark.parametrize("state", OF_THE_CALLER)
def test_who_asks_wrongly_is_told_so(state: str) -> None:
    assert outages.outage_of(as_driven(state)) is None


@pytest.mark.parametrize("state", ["0A000", "55000"])
@pytest.mark.parametrize("words", ["cannot do this during recovery", "not in a hot standby"])
def test_what_a_standby_does_not_do_is_an_outage(state: str, words: str) -> None:
    assert outages.outage_of(as_driven(state, words)) is outages.READ_ONLY


def test_a_plan_whose_tables_have_changed_is_made_anew() -> None:
    told = as_driven("0A000", "cached plan must not change result type")
    assert outages.outage_of(told) is outages.POOLER


def test_what_has_no_state_was_answered_by_nobody() -> None:
    assert outages.outage_of(as_driven(None)) is outages.GONE
    assert outages.outage_of(exc.TimeoutError()) is outages.CROWDED
    assert outages.outage_of(KeyError()) is None
    assert outages.outage_of(None) is None


@given(STATES)
def test_every_state_has_one_answer_and_a_class_speaks_for_its_members(state: str) -> None:
    """Nothing is made of a state that its class, or a named exception, does not say; and a cut connection is an outage
    whatever the error is called."""
    outage = outages.outage_of(as_driven(state))
    named = {one for states in OF_THE_DATABASE.values() for one in states} | set(OF_THE_CALLER)
    whole = {"08", "28", "40", "53", "57", "58", "F0", "XX"}
    if state not in named:
        assert (outage is not None) == (state[:2] in whole)
    cut = outages.outage_of(as_driven(state), disconnected=True)
    assert cut is not None


LITE = {
    "SQLITE_BUSY": Drop.NOTHING, "SQLITE_BUSY_SNAPSHOT": Drop.NOTHING, "SQLITE_LOCKED": Drop.NOTHING,
    "SQLITE_FULL": Drop.NOTHING, "SQLITE_NOMEM": Drop.NOTHING, "SQLITE_INTERRUPT": Drop.NOTHING,
    "SQLITE_READONLY": Drop.POOL, "SQLITE_READONLY_DBMOVED": Drop.POOL, "SQLITE_READONLY_DIRECTORY": Drop.POOL,
    "SQLITE_CANTOPEN": Drop.POOL, "SQLITE_IOERR": Drop.CONNECTION, "SQLITE_IOERR_WRITE": Drop.CONNECTION,
    "SQLITE_IOERR_FSYNC": Drop.CONNECTION, "SQLITE_CORRUPT": Drop.CONNECTION, "SQLITE_NOTADB": Drop.CONNECTION,
    "SQLITE_ERROR": None, "SQLITE_CONSTRAINT": None, "SQLITE_CONSTRAINT_UNIQUE": None, "SQLITE_TOOBIG": None,
    "SQLITE_MISMATCH": None, "SQLITE_MISUSE": None, "SQLITE_RANGE": None,
}  # fmt: skip


@pytest.mark.parametrize(("name", "drop"), LITE.items())
def test_sqlite_has_outages_too(name: str, drop: Drop | None) -> None:
    error = sqlite3.DatabaseError("as SQLite says")
    error.sqlite_errorcode = getattr(sqlite3, name)
    wrapped = exc.DBAPIError.instance("SELECT 1", (), error, sqlite3.Error)
    outage = outages.outage_of(wrapped)
    assert (outage and outage.drop) == drop


def test_a_statement_that_is_wrong_stays_an_error(database_url: str) -> None:
    db = open_database(database_url)
    migrate(db)
    for wrong in ("SELEC 1", "SELECT no_such_function(1)"):
        with pytest.raises(exc.DBAPIError), db.read() as connection:
            connection.execute(text(wrong))
    row = {"id": "k", "name": "n", "secret_hash": "h", "scopes": [], "created_at": 1.0}
    with pytest.raises(exc.IntegrityError), db.write() as connection:
        connection.execute(insert(keys), [row, row])
    db.close()


def writes(db: Database, key: str) -> None:
    with db.write() as connection:
        row = {"id": key, "name": "n", "secret_hash": "h", "scopes": [], "created_at": 1.0}
        connection.execute(insert(keys).values(**row))


def other_engine(db: Database) -> sqlalchemy.Engine:
    """An engine that somebody else made, as Optuna does."""
    made = sqlalchemy.create_engine(normal_url(db.url), **engine_options(normal_url(db.url)))
    db.configure(made)
    return made


@pytest.fixture
def lite(sqlite_url: str) -> Any:
    db = open_database(sqlite_url)
    migrate(db)
    yield db
    db.close()


def test_a_full_disk_is_an_outage_on_sqlite(lite: Database) -> None:
    """As a file that may not grow: SQLite says the same of it as of a disk without room."""

    def limit(pages: int) -> None:
        with lite.read() as connection:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    limit(1)  # as many as it has
    with suppress(DatabaseUnavailable):
        for number in range(500):
            writes(lite, f"a{number:07}" + "x" * 8)
    with pytest.raises(DatabaseUnavailable, match="full"):
        writes(lite, "b" * 16)
    with pytest.raises(DatabaseUnavailable, match="full"), lite.write() as connection:
        connection.exec_driver_sql("CREATE TABLE more (x)")
    limit(2**30)
    writes(lite, "room")
    lite.check_writable()


@pytest.mark.parametrize("engine", ["ours", "another's"])
def test_a_file_that_cannot_be_written_is_an_outage_until_it_can(
    lite: Database, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens a file that is read-only keeps reading only, though it can be written later: he opens it anew."""
    lite.close()
    file = Path(str(lite.engine.url.database))
    uri = f"file:{file}?mode=ro"
    plain, read_only = sqlite3.connect, [True]

    def connect(*given: Any, **named: Any) -> sqlite3.Connection:
        return plain(uri, *given[1:], **{**named, "uri": True}) if read_only[0] else plain(*given, **named)

    used = lite.engine if engine == "ours" else other_engine(lite)
    monkeypatch.setattr(used.dialect.loaded_dbapi, "connect", connect)

    def write() -> None:
        with used.execution_options(thermowell_begin="IMMEDIATE").begin() as connection:
            connection.execute(text("UPDATE tw_alembic_version SET version_num = version_num"))

    with pytest.raises(DatabaseUnavailable, match="readonly"):
        write()
    read_only[0] = False
    write()
    used.dispose()


def test_a_file_that_is_no_database_is_an_outage(sqlite_url: str) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    file.write_bytes(b"something else altogether" * 100)
    db = open_database(sqlite_url)
    with pytest.raises(DatabaseUnavailable, match="not a database"), db.read() as connection:
        connection.execute(text("SELECT 1 FROM tw_keys"))
    db.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_file_that_may_not_grow_is_an_outage(tmp_path: Path) -> None:
    """The operating system itself refuses: EFBIG, which SQLite tells as an I/O error."""
    script = (
        "import resource, signal, sys\n"
        "from search.schema import migrate\nfrom search.storage.db import open_database\n"
        "from search.errors import DatabaseUnavailable\nfrom sqlalchemy import text\n"
        "db = open_database(f'sqlite:///{sys.argv[1]}/a.db'); migrate(db)\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))\n"
        "write = lambda: db.check_writable(by_writing=True)\n"
        "try:\n    write()\nexcept DatabaseUnavailable as error:\n    print(error)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "write(); print('writes again')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith((outages.DAMAGED.words, outages.EXHAUSTED.words))
    assert second == "writes again"


def test_who_is_to_stop_asks_a_moment_longer() -> None:
    """A connection that was cut just then must not leave a lease held; an outage that goes on is not waited for."""
    stop, calls = threading.Event(), [0]
    stop.set()

    def cut_once() -> str:
        calls[0] += 1
        if calls[0] == 1:
            raise DatabaseUnavailable("cut")
        return "given back"

    assert with_retries(cut_once, stop, 60.0) == "given back"

    def away() -> None:
        calls[0] += 1
        raise DatabaseUnavailable("away")

    begun = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        with_retries(away, stop, 60.0)
    assert time.monotonic() - begun < LAST_SECONDS + 5
