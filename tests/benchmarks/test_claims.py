"""What the benchmark of claims makes of its turns."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.serving import claims, claims_sides
from benchmarks.serving.claims_clients import RANGES


def point(sampler: str, clients: int, median: float, **rates: float) -> dict[str, Any]:
    sides = [
        {"side": name, "turns": [rate, rate], "claim_and_report_ms": {"p50": median}} for name, rate in rates.items()
    ]
    return {"sampler": sampler, "clients": clients, "epoch_seconds": 0.0, "sides": sides}


def test_the_headline_is_the_worst_point_that_has_a_goal() -> None:
    points = [
        point("random", 1, 400.0, thermowell=30.0, optuna=10.0, vizier=20.0),
        point("tpe", 32, 90.0, thermowell=30.0, optuna=25.0, vizier=60.0),
        point("gp", 32, 900.0, thermowell=1.0, optuna=9.0, vizier=9.0),
    ]
    headline = claims.headline(points)
    assert (headline["vs_optuna_proxy"], headline["vs_vizier"], headline["median_ms_32"]) == (1.2, 0.5, 90.0)
    assert headline["goals_missed"] == ["vs_vizier"]


def test_what_was_not_measured_is_missed() -> None:
    headline = claims.headline([point("random", 1, 50.0, thermowell=30.0, optuna=10.0)])
    assert headline["vs_vizier"] is None
    assert headline["goals_missed"] == ["vs_vizier", "median_ms_32"]


def test_a_turn_that_failed_counts_as_nothing() -> None:
    figures = claims_sides.figures("thermowell", [claims_sides.Turn(4.0, [], {}, ["no answer"])])
    assert (figures["trials_per_s"], figures["claim_ms"], figures["errors"]) == (0.0, None, ["no answer"])


def test_clients_that_train_have_a_figure_of_their_own() -> None:
    points = [point("tpe", 32, 250.0, thermowell=3.0), point("tpe", 32, 40.0, thermowell=3.0) | {"epoch_seconds": 0.5}]
    headline = claims.headline(points)
    assert (headline["median_ms_32"], headline["median_ms_32_training"]) == (250.0, 40.0)
    assert "median_ms_32" in headline["goals_missed"]


def test_the_processor_is_counted_by_who_used_it() -> None:
    turns = [claims_sides.Turn(2.0, [[0.01, 0.11]] * 4, {"clients": 0.5, "server": 1.0}) for _ in range(2)]
    figures = claims_sides.figures("optuna", turns)
    assert figures["cpu_ms"] == {"clients": 125.0, "server": 250.0}
    assert figures["cores"] == {"clients": 0.25, "server": 0.5}
    assert (figures["trials_per_s"], figures["claim_and_report_ms"]["p50"]) == (2.0, 20.0)


def test_clients_answer_turn_after_turn_and_say_what_failed() -> None:
    side = claims_sides.Side("thermowell", sys.executable, "http://127.0.0.1:9", ["q"], "random")
    try:
        for _ in range(2):
            turn = side.turn(3, 0.1)
            assert turn.parts == []
            assert "ConnectionRefusedError" in turn.errors[0]
            assert turn.unfinished == 0
        assert len(side.processes) == claims_sides.PROCESSES
    finally:
        side.close()


def test_stored_trials_lie_within_the_space() -> None:
    for row in claims.finished(50):
        assert all(low <= row["parameters"][name] <= high for name, (low, high) in RANGES.items())
        assert 0 < row["value"] < 1
