"""Migrated databases of both kinds: what the contract of the storage is tested against."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.schema import migrate
from search.storage.db import Database, open_database
from search.storage.tables import metadata
from tests.postgres import Postgres


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small tensors are faster on one thread, and the numbers are the same on every machine size."""
    import torch  # here: the storage's contracts do without

    from trainers import run

    before = torch.get_num_threads()
    run.set_threads(1)
    yield
    run.set_threads(before)


@pytest.fixture
def double() -> Iterator[None]:
    """Weights in float64, where rounding hides nothing."""
    import torch

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a study's questions few sweeps, few hyperparameters, and one of costs: what is decided hardly matters here."""
    from search.analysis.study.quantities import COSTS

    monkeypatch.setattr("search.analysis.study.gibbs.WARM", 20)
    monkeypatch.setattr("search.analysis.study.gibbs.KEPT", 30)
    monkeypatch.setattr("search.analysis.study.curves.BROAD", 8)
    monkeypatch.setattr("search.analysis.study.curves.ROUNDS", 1)
    monkeypatch.setattr("search.analysis.study.curves.DRAWS", 60)
    monkeypatch.setattr("search.analysis.study.questions.COSTS", COSTS[:1])


@pytest.fixture(scope="session")
def storage_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("storage") / "thermowell.db"
    _migrated(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def storage_database(postgres: Postgres) -> str:
    """The URL of a PostgreSQL database with all tables; emptied for each test, since a new one takes longer."""
    url = postgres.create()
    _migrated(url)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def storage_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database with all tables and no rows, on SQLite and on PostgreSQL in turn."""
    if request.param == "sqlite":
        path = request.getfixturevalue("tmp_path") / "thermowell.db"
        shutil.copy(request.getfixturevalue("storage_file"), path)
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("storage_database")
    db = open_database(url)
    with db.write() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())
    db.close()
    return url


@pytest.fixture
def db(storage_url: str) -> Iterator[Database]:
    """The same, opened."""
    opened = open_database(storage_url, pool_size=10, max_overflow=10)
    yield opened
    opened.close()


def _migrated(url: str) -> None:
    db = open_database(url)
    migrate(db)
    db.close()
