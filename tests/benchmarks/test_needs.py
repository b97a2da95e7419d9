"""A benchmark that lacks a data set says so before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.common import needs
from benchmarks.engines import limits, precision, problems, throughput, views
from trainers.fetch import NotFetched


@pytest.fixture(autouse=True)
def nothing_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, root: Path) -> str:
        raise NotFetched(f"{name} is nowhere")

    def measure(*_: object) -> None:
        raise AssertionError("something was measured")

    monkeypatch.setattr(needs, "fetch", refuse)
    monkeypatch.setattr(limits, "measure", measure)
    monkeypatch.setattr(views, "compare", measure)
    monkeypatch.setattr(precision, "compare", measure)


@pytest.mark.parametrize("benchmark", [throughput, views, precision])
def test_a_missing_data_set_is_named_at_the_start(benchmark: object) -> None:
    with pytest.raises(SystemExit, match=r"needs FashionMNIST\. FashionMNIST is nowhere"):
        benchmark.main([])  # type: ignore[attr-defined]


def test_what_is_installed_or_made_needs_nothing(tmp_path: Path) -> None:
    needs.data_sets(["digits", "npz"], tmp_path)
    assert set(problems.DATA) == set(throughput.FULL.images)
