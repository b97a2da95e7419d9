"""What a job says whose search came to nothing: how its trials ended, the last one's own words, and what to try."""

from __future__ import annotations

import pytest

from search.claims.search_failure import no_trials
from search.records import Reason
from search.states import TrialState

FAILED, PRUNED, CANCELLED = TrialState.FAILED, TrialState.PRUNED, TrialState.CANCELLED


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (
            [(FAILED, "diverged", "epoch 3: the loss is nan")] * 12,
            ["12 of 12 diverged", "the last, trial 11: epoch 3: the loss is nan", "learning rates"],
        ),
        ([(FAILED, "crashed", "RuntimeError: no kernel")] * 3, ["3 of 3 crashed", "no kernel", "spec check"]),
        (
            [(FAILED, "worker-lost", "lost three times")] * 2,
            ["2 of 2 were lost with their workers", "lost three times", "memory"],
        ),
        (
            [(PRUNED, "pruned", "median stopped it at the rung of epoch 1")] * 5,
            ["5 of 5 were stopped early", "epoch 1", "pruner"],
        ),
        ([(CANCELLED, None, None)], ["1 of 1 were cancelled before their end", "before it is stopped"]),
        ([(FAILED, "something-new", "words of its own")], ["1 of 1 failed", "words of its own"]),
        ([(FAILED, None, None)], ["1 of 1 failed"]),
        ([], ["none began", "larger budget"]),
        (
            [(FAILED, "diverged", "epoch 1"), (PRUNED, "pruned", "stopped"), (FAILED, "diverged", "x " * 1000)],
            ["2 of 3 diverged, 1 of 3 were stopped early", "the last, trial 2", "learning rates"],
        ),
    ],
)
def test_a_search_that_came_to_nothing_says_how(
    ended: list[tuple[TrialState, str | None, str | None]], words: list[str]
) -> None:
    reasons = [None if slug is None else Reason(slug, detail or "") for _, slug, detail in ended]
    reason = no_trials((number, one[0], why) for number, (one, why) in enumerate(zip(ended, reasons, strict=True)))
    assert reason.type == "no-trials"
    assert reason.detail.startswith("no trial of the search was trained to its end: ")
    for one in words:
        assert one in reason.detail
    assert "Try: " in reason.detail
    assert len(reason.detail) < 700
