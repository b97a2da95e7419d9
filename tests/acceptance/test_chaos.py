"""The chaos run (`make chaos`) in a short form: workers are killed, frozen and stopped, the database is restarted, or
fails over to its standby, and the artifact disk fills and empties.
"""

from __future__ import annotations

import pytest

from benchmarks.serving.chaos import Size, storm

SHORT = {
    "postgresql": Size(workers=3, jobs=2, trials=32, restarts=1, fault_every=1.5, patience=400.0),
    "standby": Size(workers=3, jobs=2, trials=32, restarts=2, fault_every=2.5, patience=400.0),
    "sqlite": Size(workers=2, jobs=1, trials=60, restarts=0, fault_every=1.5, patience=400.0),
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", sorted(SHORT))
def test_nothing_is_lost_doubled_or_left_behind(kind: str) -> None:
    told = storm(kind, SHORT[kind], seed=1)
    assert told["violations"] == []
    assert told["faults"]
