"""Programs of others at full size: clients are killed, frozen and cut off, the API and the database are restarted."""

from __future__ import annotations

import pytest

from benchmarks.serving.chaos_others import FULL, storm


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_trial_is_lost_and_nothing_is_told_twice() -> None:
    outcome = storm(FULL, seed=1)
    assert outcome["violations"] == []
    assert outcome["faults"] == FULL.faults
    assert outcome["lost"] > 10  # or nothing was tried
