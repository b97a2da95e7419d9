"""A real PgBouncer before a real PostgreSQL, in whichever of its modes a test is about."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psycopg

from tests.postgres import START_SECONDS, Postgres, server_directory
from tests.processes import die_with_parent

HOW_TO_GET_ONE = "no PgBouncer was found: install it (Debian: `apt-get install pgbouncer`)"
PORT = 6432  # of a socket in a folder of its own
Mode = Literal["session", "transaction", "statement"]


@dataclass(slots=True)
class PgBouncer:
    """A running pooler, reached by a Unix socket in `directory`."""

    directory: Path
    account: dict[str, int] | None
    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and returns once it answers. RuntimeError, with its own words, where it does not."""
        with (self.directory / "log").open("a") as log:
            self._process = subprocess.Popen(
                [find_pgbouncer(), self.directory / "pgbouncer.ini"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                preexec_fn=die_with_parent(signal.SIGTERM), **(self.account or {}),
            )  # fmt: skip
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                psycopg.connect(self._admin(), autocommit=True).close()
            except psycopg.OperationalError:
                time.sleep(0.02)  # nothing to wait on: it says that it is ready by accepting a connection
            else:
                return
        raise RuntimeError(f"PgBouncer did not start:\n{(self.directory / 'log').read_text()}")

    def stop(self) -> None:
        """Stops it at once, with all connections through it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=START_SECONDS)

    def url(self, database: str) -> str:
        """SQLAlchemy's address of a database behind it."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.directory}&port={PORT}"

    def _admin(self) -> str:
        return f"host={self.directory} port={PORT} user=postgres dbname=pgbouncer"


@contextmanager
def running_pgbouncer(server: Postgres, mode: Mode = "transaction", servers: int = 3) -> Iterator[PgBouncer]:
    """Starts a pooler that keeps `servers` connections to each database, which its clients must share."""
    find_pgbouncer()
    with server_directory(server.binaries) as (directory, _, account):
        (directory / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"* = host={server.directory} user=postgres\n"
            "[pgbouncer]\n"
            f"listen_port = {PORT}\nlisten_addr =\nunix_socket_dir = {directory}\nunix_socket_mode = 0777\n"
            "auth_type = any\nadmin_users = postgres\n"
            f"pool_mode = {mode}\ndefault_pool_size = {servers}\nmax_client_conn = 200\n"
            "server_round_robin = 1\nquery_wait_timeout = 20\nserver_login_retry = 1\n"
        )
        (directory / "pgbouncer.ini").chmod(0o644)
        pooler = PgBouncer(directory, account)
        try:
            pooler.start()
            yield pooler
        finally:
            pooler.stop()


def find_pgbouncer() -> str:
    """The program. RuntimeError, with how to get it, where there is none."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError(HOW_TO_GET_ONE)
    return found
