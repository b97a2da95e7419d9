"""Coverage of the temperature response's sets and bands, on synthetic jobs whose truth is known.

    python -m benchmarks.calibration.response_coverage [jobs] [search trials] [optimizers]

Each job: a random ridge along T with or without a cliff beside it, a random search that narrows, baselines and
confirmation, seed noise of 0.4, 1 or 2 points. Promised: 90 %.
"""

from __future__ import annotations

import argparse
import math

import numpy as np

from benchmarks.common import facts, output
from search.analysis.job.response import temperature_response
from tests import synthetic

NOISES = (0.004, 0.01, 0.02)
HEADINGS = ("set holds best T", "band holds best value", "share of range in set", "equivalent set found")


def measure(jobs: int, budget: int, optimizers: str) -> None:
    """Prints, by seed noise, how often the set holds the best T and the band the best value, and what is claimed."""
    names = optimizers.split(",")
    spec = synthetic.spec(space={"optimizer": dict.fromkeys(names)}, budget={"trials": budget})
    rows: dict[float, list[tuple[float, ...]]] = {noise: [] for noise in NOISES}
    for seed in range(jobs):
        rng = np.random.default_rng(10_000 + seed)
        truth, peaks = synthetic.random_truth(rng)
        best, value = max((peaks[name] for name in names), key=lambda peak: peak[1])
        noise = float(rng.choice(NOISES))
        trials = synthetic.Builder(spec, truth, noise, rng).job()
        fits = synthetic.fits(spec, trials)
        found = temperature_response("j", spec, trials, fits, [], synthetic.NOW, marginal=False)
        if found.overall is None:
            raise RuntimeError("too few trials for a response: ask for more")
        sets = found.overall.confidence_set.intervals
        nearest = min(found.overall.points, key=lambda point: abs(math.log(point.temperature / best)))
        row = (
            any(low <= best <= high for low, high in sets),
            nearest.low <= value <= nearest.high,
            sum(math.log(high / low) for low, high in sets) / math.log(40),
            bool(found.overall.equivalent_set.intervals),
        )
        rows[noise].append(row)
    print("noise  jobs  " + "  ".join(HEADINGS))
    for name, measured in [
        *((f"{noise:.3f}", row) for noise, row in rows.items()),
        ("all  ", [row for part in rows.values() for row in part]),
    ]:
        if not measured:  # few jobs need not meet every noise
            continue
        means = "  ".join(
            f"{mean:{len(heading)}.2f}" for mean, heading in zip(np.mean(measured, 0), HEADINGS, strict=True)
        )
        print(f"{name}  {len(measured):4}  {means}")
    everything = [row for part in rows.values() for row in part]
    shares = dict(zip(HEADINGS, (round(float(mean), 4) for mean in np.mean(everything, 0)), strict=True))
    given = {"jobs": jobs, "trials": budget, "optimizers": names}
    output.conclude(None, {"benchmark": "response_coverage", **given, **shares, **facts.gather()}, {})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jobs", type=int, nargs="?", default=200)
    parser.add_argument("budget", type=int, nargs="?", default=64, help="trials of each job")
    parser.add_argument("optimizers", nargs="?", default="adamw", help="names with commas between them")
    arguments = parser.parse_args()
    measure(arguments.jobs, arguments.budget, arguments.optimizers)
