"""Many processes that start on an empty database at once all come up, and one that is early waits."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from search.errors import DatabaseUnavailable, SchemaMissing
from search.schema import check_schema, migrate, wait_for_schema
from search.storage.db import open_database
from tests.processes import Processes

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_eight_processes_migrate_an_empty_database(database_url: str, processes: Processes, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from search.storage.db import open_database\n"
        "from search.schema import check_schema, migrate\n"
        "db = open_database(sys.argv[1]); Path(sys.argv[2]).touch()\n"
        "while not Path(sys.argv[3]).exists(): time.sleep(0.005)\n"
        "migrate(db); check_schema(db); db.close()"
    )
    ready, go = [tmp_path / f"ready-{number}" for number in range(8)], tmp_path / "go"
    started = [
        processes.start(sys.executable, "-W", "error", "-c", script, database_url, mark, go, cwd=ROOT) for mark in ready
    ]
    while not all(mark.exists() for mark in ready):  # so that all begin at the same moment
        assert [each.process.poll() for each in started] == [None] * 8, [each.output() for each in started]
        threading.Event().wait(0.05)
    go.touch()
    assert [each.wait() for each in started] == [0] * 8, [each.output() for each in started]
    assert [each.output() for each in started] == [""] * 8
    db = open_database(database_url)
    check_schema(db)
    db.close()


def test_waiting_ends_when_the_schema_is_there(database_url: str) -> None:
    db = open_database(database_url)
    with pytest.raises(SchemaMissing):
        wait_for_schema(db, 0.0)
    waiting = threading.Thread(target=wait_for_schema, args=(db, 60.0))
    waiting.start()
    migrate(db)
    waiting.join(30.0)
    assert not waiting.is_alive()
    db.close()


def test_waiting_bears_a_server_that_is_not_up_yet() -> None:
    db = open_database("postgresql://nobody@localhost:1/none?connect_timeout=1")
    with pytest.raises(DatabaseUnavailable):
        wait_for_schema(db, 0.0)
    db.close()


def test_what_is_waited_for_is_said_at_once_and_once(database_url: str) -> None:
    db = open_database(database_url)
    with capture_logs() as lines, pytest.raises(SchemaMissing):
        wait_for_schema(db, 0.5)
    assert [line["error"] for line in lines] == ["the database has no schema: run `thermowell migrate`"]
    db.close()
