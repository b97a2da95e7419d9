"""The benchmark of guidance compares with the truth that its studies were made with."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.calibration import guidance
from search.analysis.study.cells import Cell


@pytest.fixture(autouse=True)
def _few_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.analysis.study.gibbs.WARM", 20)
    monkeypatch.setattr("search.analysis.study.gibbs.KEPT", 60)
    monkeypatch.setattr(guidance, "DRAWS", 200)


def test_one_study_of_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    guidance.measure(1)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    said = json.loads(lines[-1])["scenarios"]
    assert set(said) == {one.name for one in guidance.SCENARIOS}
    assert said["no effect"]["effect_held"] is None
    assert said["no effect"]["null_held"] in (0.0, 0.5, 1.0)


def test_a_jobs_word_is_about_its_own_best() -> None:
    found = guidance.job(3.0, np.random.default_rng(0))
    mean = float(np.array(found.shares) @ np.log2(found.temperatures))
    assert mean == pytest.approx(3.0, abs=0.8)
    assert guidance.job(9.0, np.random.default_rng(0)).shares[-1] > 0.3


def test_what_acts_together_has_its_part_in_the_main_effect() -> None:
    scenario = next(one for one in guidance.SCENARIOS if one.together)
    cells = guidance.study(scenario, np.random.default_rng(0))
    assert len(cells) == 12
    assert isinstance(cells[0], Cell)
    seen = guidance.Seen()
    seen.add(scenario, guidance.compute_guidance("mine", cells))
    assert len(seen.off) == 2  # 2 octaves in one of two levels: a main effect of 1 of each factor
    assert max(map(abs, seen.off)) < 1
