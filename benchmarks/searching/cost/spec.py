"""The job that is simulated: the service's own defaults, on a context's whole grid."""

from __future__ import annotations

from typing import Any

from benchmarks.searching.cost.ground import Ground
from benchmarks.searching.replayed import spec_of
from search.spec.job import JobSpec


def job_spec(ground: Ground, seed: int, trials: int, baselines: bool, **parts: Any) -> JobSpec:
    """A job with this seed and budget; without `baselines` none is tuned, as no peer does."""
    given: dict[str, Any] = {"seed": seed, "budget": {"trials": trials}, **parts}
    if not baselines:
        given["baselines"] = {"share": 0.0}
    return spec_of(ground.world, **given)
