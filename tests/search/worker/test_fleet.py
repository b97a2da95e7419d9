"""What jobs may ask of a worker: its device, its memory, and the words that the operator gave it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from search.settings import Settings
from search.storage.db import Database
from search.worker.context import Context, Interruption
from tests.search import factories


def context(tmp_path: Path, device: str = "cpu", labels: str = "") -> Context:
    """A worker that need do nothing."""
    capable = {"device": device, "memory_gb": 32.0, "bf16": False, "torch": "2", "threads": 1}
    settings = Settings(var=tmp_path, labels=labels)
    nothing = cast(Any, None)
    return Context("w", settings, cast(Database, nothing), nothing, nothing, capable, Interruption())


def test_a_worker_has_its_device_and_the_operators_words(tmp_path: Path) -> None:
    assert context(tmp_path).labels == ("cpu",)
    assert context(tmp_path, "cuda", "fast, big ,fast").labels == ("gpu", "fast", "big")


@pytest.mark.parametrize(
    ("asked", "may"),
    [
        ({}, True),
        ({"labels": ["cpu"]}, True),
        ({"labels": ["gpu"]}, False),
        ({"labels": ["cpu", "big"], "memory_gb": 32}, True),
        ({"memory_gb": 33}, False),
    ],
)
def test_it_takes_only_jobs_whose_wishes_it_has(tmp_path: Path, asked: dict[str, Any], may: bool) -> None:
    spec = factories.spec(fleet=asked)
    worker = context(tmp_path, labels="big")
    assert worker.allowed(spec, None) is may
    assert worker.allowed(spec, {"device": "cpu"}) is may
    assert not worker.allowed(spec, {"device": "cuda"})


@pytest.mark.parametrize("labels", ["Fast", "two words", "a/b", "x" * 51])
def test_words_that_no_job_could_ask_for_are_refused(tmp_path: Path, labels: str) -> None:
    with pytest.raises(ValidationError):
        Settings(var=tmp_path, labels=labels)
