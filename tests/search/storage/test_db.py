"""Transactions are what they say, and errors tell a caller what to do."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import insert, select, text

from search.errors import DatabaseUnavailable, SchemaMissing
from search.storage import connections
from search.storage import db as databases
from search.storage.db import Database, normal_url, now_sql, open_database
from search.storage.tables import keys

KEY = {"id": "k", "name": "n", "secret_hash": "h", "scopes": [], "created_at": 1.0}


def test_a_writer_keeps_others_out_from_its_first_moment(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    url = db.url
    monkeypatch.setattr(databases, "BUSY_SECONDS", 0)
    other = open_database(url)
    with db.write():  # nothing is written yet
        with pytest.raises(DatabaseUnavailable, match="locked"), other.write():
            pass
        with other.read() as connection:
            assert connection.execute(select(keys)).all() == []
    with other.write() as connection:
        connection.execute(insert(keys).values(**KEY))
    other.close()


def test_a_reader_sees_one_state(db: Database) -> None:
    with db.read() as reader:
        assert reader.execute(select(keys)).all() == []
        with db.write() as writer:
            writer.execute(insert(keys).values(**KEY))
        assert reader.execute(select(keys)).all() == []
    with db.read() as reader:
        assert len(reader.execute(select(keys)).all()) == 1


def test_an_error_rolls_back(db: Database) -> None:
    def write_and_fail() -> None:
        with db.write() as connection:
            connection.execute(insert(keys).values(**KEY))
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    with db.read() as connection:
        assert connection.execute(select(keys)).all() == []


def test_a_writer_waits_for_another(db: Database) -> None:
    begun, order = threading.Event(), []

    def second() -> None:
        begun.set()
        with db.write():
            order.append("second")

    with db.write():
        thread = threading.Thread(target=second)
        thread.start()
        begun.wait()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_the_clock_is_the_databases_and_in_utc(database_url: str) -> None:
    db = open_database(database_url)
    with db.read() as connection:
        assert db.now(connection) == pytest.approx(time.time(), abs=5)
        early, late = db.now(connection), db.now(connection)
        assert early <= late
    with db.write() as connection:  # it goes on within a transaction: a lease counts from when it was given
        before = connection.execute(select(now_sql())).scalar_one()
        time.sleep(0.01)
        assert connection.execute(select(now_sql())).scalar_one() > before
    db.close()


def test_sqlite_has_our_habits(db: Database) -> None:
    with db.read() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 30_000}


def test_no_database_no_tables_no_connection_left(tmp_path: Path) -> None:
    nobody = open_database("postgresql://nobody@localhost:1/none")
    with pytest.raises(DatabaseUnavailable, match="does not answer"), nobody.read():
        pass
    empty = open_database(f"sqlite:///{tmp_path}/deeper/still/thermowell.db")
    with pytest.raises(SchemaMissing, match="migrate"), empty.read() as connection:
        connection.execute(select(keys))
    empty.close()


def test_all_connections_in_use_is_a_database_that_does_not_answer(sqlite_url: str) -> None:
    db = open_database(sqlite_url, pool_size=1, max_overflow=0)
    db.engine.pool._timeout = 0.01  # type: ignore[attr-defined]
    with db.read(), pytest.raises(DatabaseUnavailable, match="in use"), db.read():
        pass
    db.close()


def test_a_missing_table_is_told_on_postgresql_too(fresh_postgres_url: str) -> None:
    db = open_database(fresh_postgres_url)
    with pytest.raises(SchemaMissing), db.read() as connection:
        connection.execute(select(keys))
    with pytest.raises(sqlalchemy.exc.DBAPIError, match="read-only"), db.read() as connection:
        connection.execute(text("CREATE TABLE one (number INTEGER)"))
    db.close()


def test_a_server_that_was_restarted_is_found_again(fresh_postgres_url: str) -> None:
    db = open_database(fresh_postgres_url)
    with db.read() as connection:
        process = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    other = open_database(fresh_postgres_url)
    with other.write() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:process, 5000)"), {"process": process})
    other.close()
    with db.read() as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != process
    db.close()


def test_a_connection_that_worked_a_moment_ago_is_not_asked_again(
    fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, asked = open_database(fresh_postgres_url), []
    monkeypatch.setattr(connections, "_ask", asked.append)

    def use() -> None:
        with db.look() as connection:
            connection.execute(text("SELECT 1"))

    for _ in range(3):
        use()
    assert asked == []
    monkeypatch.setattr(connections, "TRUSTED_SECONDS", 0.0)
    use()
    assert len(asked) == 1
    db.close()


def test_a_silent_death_is_found_by_asking(fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that drops a connection says nothing to either end."""
    monkeypatch.setattr(connections, "TRUSTED_SECONDS", 0.0)
    monkeypatch.setattr(connections, "_has_something_to_say", lambda _: False)
    test_a_server_that_was_restarted_is_found_again(fresh_postgres_url)


@pytest.mark.parametrize("url", ["postgres://u@h/d", "postgresql://u@h/d", "postgresql+psycopg://u@h/d"])
def test_postgresql_means_psycopg(url: str) -> None:
    assert normal_url(url).drivername == "postgresql+psycopg"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="file"):
        open_database(url)


def test_who_stands_still_in_a_transaction_holds_nobody_up(
    fresh_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen process keeps its session: PostgreSQL must end it, or its locks would stay."""
    monkeypatch.setattr(connections, "STILL_SECONDS", 1)
    frozen, other = open_database(fresh_postgres_url), open_database(fresh_postgres_url)
    with other.write() as connection:
        connection.execute(text("CREATE TABLE held (id int)"))
        connection.execute(text("INSERT INTO held VALUES (1)"))

    def freeze() -> None:
        with frozen.write() as connection:
            connection.execute(text("UPDATE held SET id = 2"))
            with other.write() as waiting:
                waiting.execute(text("UPDATE held SET id = 3"))
            connection.execute(text("UPDATE held SET id = 4"))

    with pytest.raises(DatabaseUnavailable):
        freeze()
    with frozen.read() as connection:
        assert connection.execute(text("SELECT id FROM held")).scalar_one() == 3
    frozen.close()
    other.close()
