"""A database with jobs in every state that matters, the service over it, and keys of every scope."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from search import public
from search.public import Database, Job, Scope
from service.app import create_app
from service.server import Server
from service.settings import Settings
from tests.service import house


@dataclass(frozen=True)
class Jobs:
    """One job of each kind; all belong to the local owner."""

    completed: Job
    running: Job
    queued: Job
    cancelled: Job


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Jobs]:
    """A folder with a database and files, made once and copied for each test."""
    var = tmp_path_factory.mktemp("furnished")
    db = public.open_database(f"sqlite:///{var / 'thermowell.db'}")
    public.migrate(db)
    completed = house.complete(db, var / "artifacts", name="done", labels={"team": "vision"})
    running = house.submit(db, name="going", labels={"team": "audio"})
    house.train(db, running, trials=2)
    house.claim_one(db, running)
    cancelled = house.submit(db, name="dropped")
    public.cancel_job(db, cancelled.id, house.LOCAL)
    queued = house.submit(db, name="waiting")
    found = [public.get_job(db, job.id, house.LOCAL) for job in (completed, running, queued, cancelled)]
    db.close()
    return var, Jobs(*found)


@pytest.fixture
def jobs(furnished: tuple[Path, Jobs]) -> Jobs:
    return furnished[1]


@pytest.fixture
def settings(furnished: tuple[Path, Jobs], tmp_path: Path) -> Settings:
    """The service on loopback over a copy of the furnished database."""
    shutil.copytree(furnished[0], tmp_path / "var")
    return Settings(var=tmp_path / "var", stream_poll_seconds=0.02, reap_seconds=0.05, shutdown_seconds=2)


@pytest.fixture
def db(settings: Settings) -> Iterator[Database]:
    """The test's own way into the service's database."""
    opened = public.open_database(settings.database_url)
    yield opened
    opened.close()


@pytest.fixture
def client(settings: Settings) -> Iterator[httpx.Client]:
    """The service without keys, asked from this machine."""
    with serving(settings) as url, httpx.Client(base_url=url, timeout=20) as asking:
        yield asking


@pytest.fixture
def key(db: Database) -> Callable[..., dict[str, str]]:
    """Makes a key with these scopes, and answers the header that presents it."""

    def make(*scopes: Scope) -> dict[str, str]:
        _, secret = public.create_key(db, "-".join(scopes), frozenset(scopes))
        return {"Authorization": f"Bearer {secret}"}

    return make


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """A real server over these settings, in this process; its address."""
    server = Server(create_app(settings), settings.model_copy(update={"port": 0}))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < until
        time.sleep(0.002)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()
