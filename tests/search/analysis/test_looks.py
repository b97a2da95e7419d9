"""What intervals promise survives stopping: the error of all looks at a job together is what was stated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.analysis.job.verdict import Field, Option, decide, spent

OPTIONS = (Option("joint", 10.0), Option("t4", 4.0), Option("t1", 1.0), Option("label_only", None))
SEEDS = 5
NOISE = 0.005


@given(st.floats(0.5, 0.999), st.integers(1, 500))
def test_the_errors_of_all_looks_add_up_to_what_was_stated(confidence: float, looks: int) -> None:
    levels = [spent(confidence, look) for look in range(1, looks + 1)]
    assert levels == sorted(levels)
    assert sum(1 - level for level in levels) <= (1 - confidence) * (1 + 1e-9)
    assert levels[0] > confidence


def kept(jobs: int, looks: int, confidence: float, *, spending: bool) -> tuple[float, float]:
    """Of jobs all of whose contestants are equal: in how many every look's intervals held, and in how many some look
    showed one to be better than all others. Each look adds seeds of all contestants to those of before.
    """
    rng, held, shown = np.random.default_rng(0), 0, 0
    for _ in range(jobs):
        total, holds, shows = np.zeros(len(OPTIONS)), True, False
        for look in range(1, looks + 1):
            total += rng.normal(0, NOISE * np.sqrt(SEEDS), len(OPTIONS))
            deviation = NOISE / np.sqrt(SEEDS * look)
            draws = 0.9 + total / (SEEDS * look) + deviation * rng.standard_normal((500, len(OPTIONS)))
            known = Field(OPTIONS, draws, 1e-9, 4.0, confidence, NOISE, look=look if spending else 1)
            decision = decide(known)
            holds &= all(gain.low <= 0 <= gain.high for gain in decision.gains)
            shows |= decision.shown and decision.kind == "use"
        held, shown = held + holds, shown + shows
    return held / jobs, shown / jobs


def test_intervals_hold_at_every_look_and_nothing_is_shown_that_is_not() -> None:
    held, shown = kept(400, 4, 0.9, spending=True)
    assert held >= 0.9
    assert shown <= 0.1


@pytest.mark.slow
def test_without_spending_they_would_not() -> None:
    spending, as_once = kept(1500, 8, 0.9, spending=True), kept(1500, 8, 0.9, spending=False)
    assert spending[0] >= 0.9
    assert as_once[0] < 0.9 - 2 * np.sqrt(0.09 / 1500)
    assert spending[1] <= as_once[1]
