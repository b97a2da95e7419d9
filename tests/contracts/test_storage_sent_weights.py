"""Weights that are sent: kept while a job names them or for their days, and nobody else's file is touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from search.claims import artifacts, sent_weights
from search.settings import Settings
from search.storage import tables
from search.storage.db import Database
from search.storage.store import Store, open_store
from tests.search.factories import submitted

DAY = 86_400.0
GIVEN: dict[str, Any] = {"source": "weights", "model": {"name": "cnn"}}
PLACES: dict[str, Any] = {
    "a teacher": lambda digest: {"teacher": {**GIVEN, "artifact": digest}},
    "a teacher's origin": lambda digest: {
        "teacher": {"model": {"name": "cnn"}, "origin": {"weights": digest}, "training": {}, "optimizer": {}}
    },
    "students": lambda digest: {"student": {"name": "mlp", "initial": {"source": "weights", "artifact": digest}}},
}


@pytest.fixture(params=["folder", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    bucket = request.getfixturevalue("bucket_url") if request.param == "bucket" else None
    opened = open_store(Settings(var=tmp_path, artifact_store=bucket))
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "own.safetensors"
    file.write_bytes(b"weights")
    return file


def is_kept(files: Store, digest: str) -> bool:
    return files.exists(artifacts.place(digest))


def notes(files: Store) -> list[str]:
    return files.names(sent_weights.NOTES)


def aged(files: Store, digest: str, days: float) -> None:
    """The note of a file as it would be had the file been sent so long ago."""
    (note,) = [name for name in notes(files) if name.startswith(digest)]
    files.delete(f"{sent_weights.NOTES}/{note}")
    moment = int(note.partition("-")[2]) - int(days * DAY)
    with files.adding(f"{sent_weights.NOTES}/{digest}-{moment}") as empty:
        empty.touch()


def test_a_file_that_no_job_names_goes_after_its_days(db: Database, files: Store, path: Path) -> None:
    digest = sent_weights.keep(db, files, path)
    aged(files, digest, 29)
    assert sent_weights.sweep(db, files, 30 * DAY) == 0
    assert is_kept(files, digest)
    aged(files, digest, 2)
    assert sent_weights.sweep(db, files, 30 * DAY) == 1
    assert not is_kept(files, digest)
    assert notes(files) == []
    assert sent_weights.sweep(db, files, 30 * DAY) == 0


@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_a_job_names_stays_until_that_is_gone(db: Database, files: Store, path: Path, place: str) -> None:
    digest = sent_weights.keep(db, files, path)
    aged(files, digest, 31)
    submitted(db, **PLACES[place](digest))
    assert sent_weights.sweep(db, files, 30 * DAY) == 0
    assert is_kept(files, digest)
    with db.write() as connection:
        connection.execute(sqlalchemy.delete(tables.jobs))
    assert sent_weights.sweep(db, files, 30 * DAY) == 1
    assert not is_kept(files, digest)


def test_a_file_that_is_sent_again_is_kept_as_long_again(db: Database, files: Store, path: Path) -> None:
    digest = sent_weights.keep(db, files, path)
    aged(files, digest, 31)
    assert sent_weights.keep(db, files, path) == digest
    assert len(notes(files)) == 1
    assert sent_weights.sweep(db, files, 30 * DAY) == 0
    assert is_kept(files, digest)


def test_an_operators_file_stays_whoever_sends_it(db: Database, files: Store, path: Path) -> None:
    digest = sent_weights.keep_for_good(files, path)
    sent_weights.keep(db, files, path)
    assert notes(files) == []
    other = path.with_name("other.safetensors")
    other.write_bytes(b"other weights")
    aged(files, sent_weights.keep(db, files, other), 31)
    later = sent_weights.keep_for_good(files, other)
    assert sent_weights.sweep(db, files, 30 * DAY) == 0
    assert is_kept(files, digest)
    assert is_kept(files, later)
