"""A database with jobs in every state that matters, the service over it, and keys of every scope."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from search.records import Scope
from search.requests.keys import create_key
from search.storage.db import Database, open_database
from service.settings import Settings
from tests.service import server_fixtures
from tests.service.server_fixtures import Jobs, serving


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Jobs]:
    """A folder with a database and files, made once and copied for each test."""
    var = tmp_path_factory.mktemp("furnished")
    return var, server_fixtures.furnish(var)


@pytest.fixture
def jobs(furnished: tuple[Path, Jobs]) -> Jobs:
    return furnished[1]


@pytest.fixture
def settings(furnished: tuple[Path, Jobs], tmp_path: Path) -> Settings:
    """The service on loopback over a copy of the furnished database."""
    return over(furnished[0], tmp_path / "var")


def over(furnished: Path, var: Path) -> Settings:
    """Settings of a service over a copy of the furnished folder; quick to notice what happens."""
    shutil.copytree(furnished, var)
    quick = {"stream_poll_seconds": 0.02, "reap_seconds": 0.05, "shutdown_seconds": 2}
    quick |= {"show_seconds": 3600.0}  # what is shown, and how the tests of that await it, is told there
    return Settings.model_validate({"var": var, "lease_seconds": server_fixtures.LEASE, **quick})


@pytest.fixture
def db(settings: Settings) -> Iterator[Database]:
    """The test's own way into the service's database."""
    opened = open_database(settings.database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def reader(furnished: tuple[Path, Jobs], tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """As `client`, but shared by all tests that change nothing."""
    settings = over(furnished[0], tmp_path_factory.mktemp("shared") / "var")
    with serving(settings) as url, httpx.Client(base_url=url, timeout=20) as asking:
        yield asking


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    """The service without keys, asked from this machine."""
    with serving(settings) as url, httpx.Client(base_url=url, timeout=20) as asking:
        yield asking


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT reaches programs that a test starts, even where the tests run in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what is ignored is ignored by children too
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def key(db: Database) -> Callable[..., dict[str, str]]:
    """Makes a key with these scopes, and answers the header that presents it."""

    def make(*scopes: Scope) -> dict[str, str]:
        _, secret = create_key(db, "-".join(scopes), frozenset(scopes))
        return {"Authorization": f"Bearer {secret}"}

    return make
