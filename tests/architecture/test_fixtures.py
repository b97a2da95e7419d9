"""The fixtures that all other tests stand on."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy

from tests import postgres as servers
from tests.postgres import Postgres
from tests.processes import Processes


def test_each_test_gets_an_empty_database(database_url: str) -> None:
    engine = sqlalchemy.create_engine(database_url)
    assert sqlalchemy.inspect(engine).get_table_names() == []
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE one (number INTEGER)"))
    engine.dispose()


def test_database_is_copied_from_a_template(postgres: Postgres) -> None:
    template = sqlalchemy.create_engine(postgres.create("a_template"))
    with template.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE one AS SELECT 7 AS number"))
    template.dispose()
    copy = sqlalchemy.create_engine(postgres.create(template="a_template"))
    with copy.connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT number FROM one")).scalar_one() == 7
    copy.dispose()


def test_environment_carries_a_server_of_its_own() -> None:
    [newest, *_] = servers.bundled_binaries()
    with servers.running_postgres(newest) as server:
        engine = sqlalchemy.create_engine(server.create())
        with engine.connect() as connection:
            assert "PostgreSQL" in connection.execute(sqlalchemy.text("SELECT version()")).scalar_one()
        engine.dispose()
    assert not server.directory.exists()


def test_no_server_is_a_failure_that_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers.shutil, "which", lambda _: None)
    monkeypatch.setattr(servers, "bundled_binaries", list)
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    with pytest.raises(RuntimeError, match="apt-get install postgresql"):
        servers.find_binaries()


def test_no_test_moves_the_clock_of_all() -> None:
    """A server of other tests that sleeps meanwhile would sleep until the moved clock's time.

    `module.time` is replaced, not `module.time.monotonic`.
    """
    moved = re.compile(r"setattr\(\s*\w*\.?(time|asyncio|threading), ")
    tests = Path(__file__).parents[1]
    assert [path for path in tests.rglob("*.py") if moved.search(path.read_text())] == []


def test_programs_end_with_their_test(tmp_path: Path) -> None:
    programs = Processes(tmp_path)
    started = programs.start(sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()")
    programs.kill_all()
    assert started.process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent has died")
def test_programs_end_when_the_test_run_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.processes import Processes\n"
        f"programs = Processes(Path({str(tmp_path)!r}))\n"
        "child = programs.start(sys.executable, '-c', 'import signal; signal.pause()')\n"
        "print(child.pid, flush=True); sys.stdin.read()"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()
    try:
        ready, _, _ = select.select([child], [], [], 10.0)  # readable once its process has ended
        assert ready == [child]
    finally:
        os.close(child)
