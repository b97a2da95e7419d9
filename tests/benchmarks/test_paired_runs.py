"""Benchmarks of methods that are paired run by run go on where their log ends, and their page has all methods."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import figures
from benchmarks.common import output
from benchmarks.searching import blocks, pruned
from tests.benchmarks.test_tiny import last_line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "methods", "measure", "lines"),
    [
        (pruned, ("none", "auto"), "winner, 24", ["|  | none | auto |"]),
        (blocks, ("shipped", "turn 4"), "winner, 12", ["|  | shipped | turn 4 |", "| pairs | 2 | 2 |"]),
    ],
)
def test_the_benchmark_goes_on_where_its_log_ends(
    module: ModuleType,
    methods: tuple[str, str],
    measure: str,
    lines: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(output, "RESULTS", tmp_path)
    arguments = ["--tiny", "--methods", ",".join(methods), "--log", str(tmp_path / "log.jsonl")]
    first = last_line(module.main, arguments, capsys)
    assert set(first["shared"][measure]) == set(methods)
    monkeypatch.setattr(module, "measured", lambda *_: pytest.fail("it is in the log"))
    again = last_line(module.main, [*arguments, "--keep", "r"], capsys)
    assert again["real"] == first["real"]
    page = figures.written(f"<!-- figures: {again['benchmark']} r -->\n<!-- end -->\n", tmp_path)
    for line in lines:
        assert line in page
