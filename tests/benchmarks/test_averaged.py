"""Averages of the last epochs: what they are compared with, and the command's form."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmarks import figures
from benchmarks.common import output
from benchmarks.searching import averaged
from tests.benchmarks.test_tiny import last_line
from trainers.replay import synthetic


def test_what_scatters_from_epoch_to_epoch_is_averaged_away_and_what_rises_is_shifted() -> None:
    runs = synthetic.runs(epochs=12)
    noise = np.random.default_rng(0).normal(0, 0.01, runs.accuracy.shape)
    rising = np.linspace(0.5, 0.61, 12)
    one, four = (averaged.averaged(dataclasses.replace(runs, accuracy=rising + noise), last, 1.0) for last in (1, 4))
    assert one["deviation"] == pytest.approx(1.0, rel=0.2)
    assert four["deviation"] == pytest.approx(0.5, rel=0.2)
    assert (one["shift"], one["ranks"]) == (0.0, pytest.approx(1.0))
    assert four["shift"] == pytest.approx(-1.5, abs=0.3)


def test_the_command_and_its_figures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(output, "RESULTS", tmp_path)
    said = last_line(averaged.main, ["--tiny", "--keep", "a"], capsys)
    assert said["deviation_ratio"]["synthetic"] > 0
    assert "| synthetic | 5 | 1/6 |" in figures.written("<!-- figures: averaged a -->\n<!-- end -->\n", tmp_path)
