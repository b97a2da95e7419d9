"""The benchmark of shared luck: what it compares, and what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import figures
from benchmarks.common import output
from benchmarks.searching import luck
from benchmarks.searching.cost import coverage
from tests.benchmarks.test_tiny import last_line
from trainers.replay import synthetic


def test_neighbours_differ_by_one_place_of_one_setting() -> None:
    world = synthetic.world()
    pairs = luck.neighbours(world)
    cells = world.grid.cells()
    assert [len(pairs[axis]) for axis in luck.AXES] == [5 * 2 * 3 * 2, 6 * 3 * 2, 0, 6 * 2 * 2 * 2, 6 * 2 * 3]
    for one, other in pairs["learning rate"]:
        assert (cells[one].temperature, cells[one].optimizer) == (cells[other].temperature, cells[other].optimizer)
        assert cells[one].learning_rate < cells[other].learning_rate


def test_the_command_compares_the_worlds_and_its_figures_are_published(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(output, "RESULTS", tmp_path)
    monkeypatch.setattr(coverage, "TRIALS", 16)
    monkeypatch.setattr(coverage, "CONFIRMATIONS", 1)
    said = last_line(luck.main, ["--tiny", "--seeds", "20", "--searches", "2", "--keep", "l"], capsys)
    assert set(said["correlations"]["synthetic"]["shared"]) == set(luck.AXES)
    page = figures.written("<!-- figures: luck l -->\n<!-- end -->\n", tmp_path)
    assert "| synthetic, all cells: recorded |" in page
    assert "| synthetic, gains hold | 2 |" in page
