"""The load benchmark: its judgement, and a run against real programs."""

from __future__ import annotations

import json

import pytest

from benchmarks.serving import load, pages
from benchmarks.serving.load import Memory, Side, percentile, verdict


def side(latencies: dict[str, list[float]], mib: list[float]) -> Side:
    memory = Memory(1, seconds=[float(i) for i in range(len(mib))], mib=mib)
    return Side("x", "http://x", memory, 2, 1, 1.0, latencies=latencies, took=400.0)


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([float(i) for i in range(1, 101)], 99) == 99.0
    assert percentile([3.0, 1.0], 50) == 1.0
    assert percentile([], 50) is None


def test_memory_is_told_as_growth_by_the_minute() -> None:
    growing = [100.0 + i / 60 for i in range(200)]
    growing[50] = 500.0  # one look in the midst of something
    assert side({}, growing).memory.slope() == pytest.approx(1.0)
    assert side({}, [1.0]).memory.slope() is None


def test_all_goals_met() -> None:
    api, flat = side({"read": [0.1] * 100, "submit": [9.0]}, [5.0] * 9), side({"open": [1.0], "poll": [1.0]}, [5.0])
    said = verdict(api, flat, alone=[0.5])
    assert said["goals_missed"] == []
    assert (said["reads_p99"], said["dashboard_p50"], said["dashboard_alone_p50"]) == (0.1, 1.0, 0.5)
    assert said["requests_per_s"] == 0.3


@pytest.mark.parametrize(
    ("reads", "errors", "mib", "missed"),
    [
        ([1.1], {}, [5.0] * 9, "reads_p99 below dashboard_p50"),
        ([], {}, [5.0] * 9, "reads_p99 below dashboard_p50"),
        ([0.1], {"read: 503": 1}, [5.0] * 9, "no error"),
        ([0.1], {}, [float(i) for i in range(9)], "memory flat"),
        ([0.1], {}, [], "memory flat"),
    ],
)
def test_a_goal_missed(reads: list[float], errors: dict[str, int], mib: list[float], missed: str) -> None:
    api = side({"read": reads, "submit": [1.0]}, mib)
    api.errors = errors
    assert verdict(api, side({"poll": [1.0]}, [5.0]), [1.0])["goals_missed"] == [missed]


def test_minutes_alone_do_not_judge_memory() -> None:
    api = side({"read": [0.1]}, [float(i) for i in range(9)])
    api.took = 60.0
    assert verdict(api, side({"poll": [1.0]}, [5.0]), [1.0])["goals_missed"] == []


@pytest.mark.slow
@pytest.mark.timeout(600)  # three programs of their own, on a machine that may be busy
def test_a_tiny_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert load.main(["--tiny"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines[:-1] if len(line) > 80] == []
    said = json.loads(lines[-1])
    assert said["errors"] == 0
    assert said["reads_p99"] > 0
    assert said["dashboard_p50"] > 0


def test_a_page_that_is_slow_or_heavy_misses_its_goal_and_the_dashboard_has_none() -> None:
    weights = [
        pages.Weight("thermowell", "job", 0.4, 0.1, 199.0),
        pages.Weight("thermowell", "study", 0.6, 0.1, 201.0),
        pages.Weight("dashboard", "script", 3.0, 3.0, 6000.0),
    ]
    assert pages.missed(weights) == ["study in 0.5 s", "study in 200 kB"]
