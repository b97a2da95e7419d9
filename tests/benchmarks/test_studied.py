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
    studied.main([str(kept)])
    assert capsys.readouterr().out == told
    assert picture.read_text() == drawn
    assert "## What moves the best T" in told


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
