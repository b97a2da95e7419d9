"""Every benchmark in a form that ends within seconds: its last line is JSON with what it promises."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.calibration import confirmation, response_coverage
from benchmarks.engines import job, memory, plugin, precision, throughput, views
from benchmarks.searching import coordinates, stopping

Main = Callable[[list[str]], int]


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    """Threads and import path are restored: a module from a benchmark's own folder would be used by later tests."""
    threads, path, modules = torch.get_num_threads(), list(sys.path), set(sys.modules)
    yield
    torch.set_num_threads(threads)
    files = [getattr(sys.modules[name], "__file__", None) for name in set(sys.modules) - modules]
    assert [file for file in files if file and not Path(file).exists()] == []
    assert sys.path == path


def last_line(main: Main, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What the benchmark's last line says; all that it prints before is at most 80 columns wide."""
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines[:-1] if len(line) > 80] == []
    said: dict[str, Any] = json.loads(lines[-1])
    assert said["commit"]
    assert said["machine"]["cores"] >= 1
    assert said["versions"]["torch"] == torch.__version__
    return said


@pytest.mark.slow
@pytest.mark.timeout(900)  # programs of their own, on a machine that may be busy
def test_throughput(capsys: pytest.CaptureFixture[str]) -> None:
    said = last_line(throughput.main, ["--tiny", "--only", "mlp"], capsys)
    assert said["mlp_vs_loop"] > 0


@pytest.mark.slow
@pytest.mark.timeout(900)  # programs of their own, on a machine that may be busy
def test_memory(capsys: pytest.CaptureFixture[str]) -> None:
    said = last_line(memory.main, ["--tiny"], capsys)
    assert said["lane_memory_vs_loop"] is None or said["lane_memory_vs_loop"] > 0
    assert said["lane_memory_vs_loop"] == said["mlp_lane_memory_vs_loop"]


@pytest.mark.slow
@pytest.mark.timeout(900)  # programs of their own, on a machine that may be busy
def test_search_time(capsys: pytest.CaptureFixture[str]) -> None:
    said = last_line(job.main, ["--tiny"], capsys)
    assert said["search_vs_loop"] > 0
    assert said["same_work"]


@pytest.mark.slow
def test_plugin(capsys: pytest.CaptureFixture[str]) -> None:
    said = last_line(plugin.main, ["--quick"], capsys)
    assert said["bank_vs_loop"] > 1


def test_views(capsys: pytest.CaptureFixture[str]) -> None:
    said = last_line(views.main, ["--tiny"], capsys)
    (differences,) = said["differences"].values()
    assert set(differences) == {"1", "2"}
    assert all(one["low"] <= one["mean"] <= one["high"] for one in differences.values())


def test_precision(capsys: pytest.CaptureFixture[str]) -> None:
    said = last_line(precision.main, ["--tiny"], capsys)
    assert said["differences"]["digits-mlp"]["pairs"] == 3
    assert said["bf16_speed_over_fp32"]["digits-mlp"] > 0


def test_response_coverage(capsys: pytest.CaptureFixture[str]) -> None:
    response_coverage.measure(2, 32, "adamw")
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0 <= said["set holds best T"] <= 1


def test_confirmation(capsys: pytest.CaptureFixture[str]) -> None:
    confirmation.measure(1, 24, 20)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    said = json.loads(lines[-1])
    assert said["regret_points_posterior"] >= 0
    assert set(said["best_dropped"]) == {"2", "3", "6"}


@pytest.mark.timeout(300)  # a process of its own
def test_stopping(capsys: pytest.CaptureFixture[str]) -> None:
    said = last_line(stopping.main, ["--tiny"], capsys)
    assert set(said["stopping"]["synthetic"]) >= {"none", "stratified", "curve"}
    assert all(regret >= 0 for part in ("stopping", "lanes") for regret in said[part]["synthetic"].values())


def test_coordinates(capsys: pytest.CaptureFixture[str]) -> None:
    said = last_line(coordinates.main, ["--tiny"], capsys)
    for ways in said["errors"]["synthetic"].values():
        assert ways["plain"]["worse_by"] == 0
        assert all(one["error"] > 0 for one in ways.values())
