"""A search over ranges is simulated between the table's cells as it is on them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks import figures
from benchmarks.common import output
from benchmarks.searching import ranges
from benchmarks.searching.cost.ground import TRY, open_ground
from tests.benchmarks.test_tiny import last_line
from trainers.spec import Configuration, Optimizer

GROUND = open_ground(TRY)
WORLD = ranges.Between(GROUND)


def configuration(temperature: float) -> Configuration:
    own = Optimizer("sgd", learning_rate=0.1, weight_decay=1e-3, momentum=0.9)
    return Configuration(temperature=temperature, kd_weight=0.7, label_weight=0.3, optimizer=own)


def test_on_a_cell_it_is_the_cells_own_run() -> None:
    here = configuration(4.0)
    cell = GROUND.grid.index(here)
    assert WORLD.regret(here) == pytest.approx(GROUND.regret(cell))
    assert WORLD.run(here, 5) == pytest.approx(GROUND.curve(cell, 5)[-1])


def test_between_two_cells_it_is_between_them() -> None:
    here, there = WORLD.regret(configuration(4.0)), WORLD.regret(configuration(6.0))
    assert WORLD.regret(configuration(math.sqrt(24))) == pytest.approx((here + there) / 2)


def test_the_benchmark_and_its_figures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(output, "RESULTS", tmp_path)
    said = last_line(ranges.main, ["--tiny", "--methods", "gp,tpe", "--keep", "r"], capsys)
    assert set(said["regret_points"]) == {"gp", "tpe"}
    assert "synthetic, tpe" in figures.written("<!-- figures: ranges r -->\n<!-- end -->\n", tmp_path)
