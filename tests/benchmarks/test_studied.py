"""What is kept of a study is enough to draw and tell it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.common import output
from benchmarks.searching import studied
from search.analysis.study.cells import Cell, Optimum
from search.analysis.study.guidance import compute_guidance
from thermowell.api.answers import Interval
from thermowell.api.guidance import Effect, Guidance, Measured, Question, Size, SizeVerdict, Verdict

TEMPERATURES = tuple(float(one) for one in np.geomspace(1, 40, 40))


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("search.analysis.study.gibbs.WARM", 20)
    monkeypatch.setattr("search.analysis.study.gibbs.KEPT", 60)
    monkeypatch.setattr(output, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(studied, "PICTURES", tmp_path / "pictures")


def _cell(optimizer: str, repeat: int) -> Cell:
    weights = np.exp(-0.5 * ((np.log2(TEMPERATURES) - 2) / 0.3) ** 2)
    best = Optimum(TEMPERATURES, tuple(weights / weights.sum()))
    levels = {"space.optimizer": optimizer}
    return Cell(f"{optimizer}-{repeat}", levels, {"seed": str(repeat)}, best=best, data="digits")


def test_what_is_kept_is_told_as_the_whole_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guidance = compute_guidance(
        "two optimizers", [_cell(name, repeat) for name in ("adamw", "sgd") for repeat in range(2)]
    )
    cells = [{"levels": {"space.optimizer": "sgd"}, "replicate": 0, "job_id": "0" * 32, "best_temperature": 4.00001}]
    document = {"study": {"spec": {"name": "two"}, "cells": cells}, "guidance": guidance.model_dump(mode="json")}
    whole, about = tmp_path / "whole.json", tmp_path / "about.json"
    whole.write_text(json.dumps(document))
    about.write_text(json.dumps({"wall_s": 12.0}))

    studied.main([str(whole), "--about", str(about)])
    told = capsys.readouterr().out
    [kept] = (tmp_path / "results").iterdir()
    details = json.loads(kept.read_text())["details"]
    assert details["about"]["wall_s"] == 12.0
    assert details["about"]["versions"]["optuna"]
    assert details["jobs"][0]["best_temperature"] == 4.0
    [picture] = (tmp_path / "pictures").iterdir()
    drawn = picture.read_text()

    picture.unlink()
    assert json.loads(told.splitlines()[-1])["studies"] == 1
    studied.main([str(kept)])
    assert capsys.readouterr().out == told
    assert picture.read_text() == drawn
    assert "## What moves the best T" in told


@pytest.mark.parametrize(
    ("trials", "name"),
    [({}, "study-two"), ({"trials": "grid"}, "study-two-grid"), ({"trials": {"name": "grid"}}, "study-two-grid")],
)
def test_a_study_on_a_grid_stands_beside_the_same_study_that_searched(trials: dict[str, Any], name: str) -> None:
    assert studied.name_of({"spec": {"name": "two"} | trials, "guidance": {"study": "two"}}) == name


def test_qualities_are_compared_between_jobs_that_are_otherwise_alike() -> None:
    jobs: list[dict[str, Any]] = [
        {"levels": {"method": "kl", "optimizer": optimizer}, "replicate": repeat, "quality": {"mean": hard + better}}
        for repeat, hard in enumerate((0.5, 0.9))
        for optimizer, better in (("sgd", 0.0), ("adamw", 0.01))
    ]
    jobs += [
        job | {"levels": job["levels"] | {"method": "mse"}, "quality": {"mean": job["quality"]["mean"] - 0.02}}
        for job in jobs
    ]
    jobs.append({"levels": {"method": "dkd", "optimizer": "sgd"}, "replicate": 0, "quality": None})
    found = studied.compared(jobs, "method", 0.9)
    assert set(found) == {"mse"}
    assert (found["mse"].pairs, found["mse"].mean) == (4, pytest.approx(-0.02))
    assert found["mse"].high == pytest.approx(-0.02)
    assert studied.compared([], "method", 0.9) == {}


def _question(size: SizeVerdict, effect: Verdict, pair: Verdict) -> Question:
    measured = Measured(mean=0.0, interval=Interval(low=-0.1, high=0.1, confidence=0.9))
    levels = [("b", "a"), ("d", "c")]
    return Question(
        name="gain",
        temperature=None,
        margin=0.01,
        cells=[],
        levels=[Size(levels={"x": "a"}, jobs=2, measured=measured, verdict=size)],
        effects=[
            Effect(factors=["x"], levels=levels[:1], measured=measured, verdict=effect),
            Effect(factors=["x", "y"], levels=levels, measured=measured, verdict=pair),
        ],
        within=0.01,
        between=None,
        runs=8,
        words="",
    )


def test_the_last_line_counts_what_is_decided_of_all_studies() -> None:
    cells = [_cell(name, repeat) for name in ("adamw", "sgd") for repeat in range(2)]
    guidance: Guidance = compute_guidance("two optimizers", cells)
    [contrast] = guidance.factors[0].contrasts
    first = guidance.model_copy(update={"questions": [_question("matters", "moves", "cannot tell")]})
    second = guidance.model_copy(update={"questions": [_question("cannot tell", "negligible", "cannot tell")]})
    counted = studied.headline([first, second])
    shifts = 2 * (contrast.verdict != "cannot tell")
    assert counted["decided"] == {
        "sizes": "1 of 2",
        "effects": "2 of 2",
        "pairs": "0 of 2",
        "shifts": f"{shifts} of 2",
        "pairs' shifts": "0 of 0",
    }
    assert (counted["questions"], counted["decided_share"]) == (8, round((3 + shifts) / 8, 3))
    interval = contrast.interval
    assert counted["width_factor_median"] == pytest.approx(2 ** (interval.high - interval.low), abs=0.01)
    assert studied.headline([])["decided_share"] is None
