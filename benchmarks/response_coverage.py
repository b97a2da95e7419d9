"""How often do the temperature response's sets and bands hold the truth? Synthetic jobs whose truth is known.

    python -m benchmarks.response_coverage [jobs] [search trials]

Each job: one optimizer, a random ridge along T with or without a cliff beside it, a random search that narrows,
baselines and confirmation, seed noise of 0.4, 1 or 2 points. Promised: 90 %.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from search.analysis.response import temperature_response
from tests import synthetic

NOISES = (0.004, 0.01, 0.02)


def measure(jobs: int, trials: int) -> None:
    """Prints, per seed noise, how often the set holds the best T and the band the best value, and the set's size."""
    spec = synthetic.spec(space={"optimizer": {"adamw": None}}, budget={"trials": trials})
    rows: dict[float, list[tuple[bool, bool, float, bool]]] = {noise: [] for noise in NOISES}
    for seed in range(jobs):
        rng = np.random.default_rng(10_000 + seed)
        truth, best = synthetic.random_truth(rng)
        noise = float(rng.choice(NOISES))
        found = temperature_response("j", spec, synthetic.Builder(spec, truth, noise, rng).job(), [], synthetic.NOW)
        curve = found.overall
        if curve is None:
            raise RuntimeError("too few trials for a response: ask for more")
        sets = curve.confidence_set.intervals
        held = any(low <= best <= high for low, high in sets)
        nearest = min(curve.points, key=lambda point: abs(math.log(point.temperature / best)))
        size = sum(math.log(high / low) for low, high in sets) / math.log(40)
        rows[noise].append((held, nearest.low <= 0.9 <= nearest.high, size, bool(curve.equivalent_set.intervals)))
    print("noise  jobs  set holds best T  band holds best value  share of the range in the set  equivalent set found")
    for noise, measured in rows.items():
        held_, banded, size_, shown = np.mean(measured, axis=0)
        print(f"{noise:5.3f}  {len(measured):4}  {held_:16.2f}  {banded:21.2f}  {size_:29.2f}  {shown:20.2f}")
    held_, banded = np.mean([row[:2] for measured in rows.values() for row in measured], axis=0)
    print(f"all    {jobs:4}  {held_:16.2f}  {banded:21.2f}")


if __name__ == "__main__":
    measure(*(int(argument) for argument in sys.argv[1:3]) if len(sys.argv) == 3 else (200, 64))
