"""What the benchmark of claims makes of its turns."""

from __future__ import annotations

from typing import Any

from benchmarks.serving import claims
from benchmarks.serving.claims_clients import RANGES


def point(sampler: str, clients: int, median: float, **rates: float) -> dict[str, Any]:
    sides = [
        {"side": name, "trials_per_s": rate, "claim_and_report_ms": {"p50": median}} for name, rate in rates.items()
    ]
    return {"sampler": sampler, "clients": clients, "sides": sides}


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
    side = claims.Side("thermowell", "python", "", [], "random", errors=["no answer"])
    figures = side.figures()
    assert (figures["trials_per_s"], figures["claim_ms"], figures["errors"]) == (0.0, None, ["no answer"])


def test_stored_trials_lie_within_the_space() -> None:
    for row in claims.finished(50):
        assert all(low <= row["parameters"][name] <= high for name, (low, high) in RANGES.items())
        assert 0 < row["value"] < 1
