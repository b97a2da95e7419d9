"""What every test can ask for: databases of both kinds, programs that end with the test, and a free port."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

from tests import processes as programs
from tests.buckets import Server, environment
from tests.postgres import Postgres, running_postgres
from tests.standby import Pair, running_pair

# An example's time says nothing on a machine that runs other things beside.
settings.register_profile("thermowell", deadline=None)
settings.load_profile("thermowell")


def pytest_configure() -> None:
    """The tests' answers depend on nothing that the operator's shell has set."""
    for name in [name for name in os.environ if name.startswith(("THERMOWELL_", "OTEL_")) or name == "TRACEPARENT"]:
        del os.environ[name]
    os.environ["THERMOWELL_STUDENT_PROGRAMS"] = "false"  # torch.export takes seconds; its own tests ask for it


def pytest_collection_finish() -> None:
    """What was imported stays: the collector of garbage, which would look through it again and again, leaves it out."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(autouse=True)
def _logs_of_its_own() -> Iterator[None]:
    """A command that was run within this process has set where all logs go: a stream that is closed by now."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real PostgreSQL server for this session; it fails, and says how to get one, where there is none."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    """A real server and its real standby, for this session; a test may let one take the other's place."""
    with running_pair() as running:
        yield running


@pytest.fixture(scope="session")
def postgres_url(postgres: Postgres) -> str:
    """The URL of one database that the whole session shares; most tests want `fresh_postgres_url`."""
    return postgres.create("shared")


@pytest.fixture
def fresh_postgres_url(postgres: Postgres) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, this test's own."""
    url = postgres.create()
    yield url
    postgres.drop(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an SQLite file, this test's own, that does not exist yet."""
    return f"sqlite:///{tmp_path / 'thermowell.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, on SQLite and on PostgreSQL in turn: what the contract tests run against."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "fresh_postgres_url")
    return url


@pytest.fixture(scope="session")
def s3() -> Iterator[Server]:
    """A server that speaks S3, for this session."""
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def bucket_url(s3: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket, this test's own; the environment says where it is, as boto3 wants to be told."""
    for name, value in environment(s3.endpoint).items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.bucket()}"


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[programs.Processes]:
    """Starts programs and kills them, with their children, when the test ends."""
    started = programs.Processes(tmp_path)
    yield started
    started.kill_all()


@pytest.fixture
def free_port() -> int:
    """A TCP port of the loopback address that was free a moment ago."""
    return programs.free_port()
