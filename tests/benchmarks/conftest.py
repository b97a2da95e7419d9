"""What tests of the cost of an answer share: a context from a formula, and places for what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.common import output, peers
from benchmarks.searching.cost.ground import TRY, Ground, open_ground


@pytest.fixture(scope="module")
def ground() -> Ground:
    """The context from a formula."""
    return open_ground(TRY)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own for pieces and results."""
    monkeypatch.setattr(peers, "CACHE", tmp_path)
    monkeypatch.setattr(output, "RESULTS", tmp_path / "results")
    return tmp_path
