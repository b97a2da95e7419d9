"""What the trainers' tests share: one thread, folders, and one problem made ready."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.trainers.problems import problem
from trainers import run


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors are faster on one thread, and the numbers are the same on every machine size."""
    before = torch.get_num_threads()
    run.set_threads(1)
    yield
    run.set_threads(before)


@pytest.fixture
def roots(tmp_path: Path) -> run.Roots:
    """An empty data root and an empty store."""
    for name in ("data", "store"):
        (tmp_path / name).mkdir()
    return run.Roots(tmp_path / "data", tmp_path / "store")


@pytest.fixture(scope="session")
def ready(tmp_path_factory: pytest.TempPathFactory) -> run.Prepared:
    """The example problem on the CPU, its teacher trained once for the session."""
    folder = tmp_path_factory.mktemp("trainers")
    return run.prepare(problem(), run.Roots(folder, folder), "cpu")
