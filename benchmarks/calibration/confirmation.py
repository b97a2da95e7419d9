"""Cost and benefit of confirming a search's answer, on synthetic jobs whose truth is known.

    python -m benchmarks.calibration.confirmation [jobs] [search trials]

Each job: a random ridge along T with or without a cliff beside it, a random search that narrows, seed noise of 0.4, 1
or 2 points, of which a part moves all configurations alike. Finalists by their values or by the posterior of their true
means, then raced; the best mean wins. Also: how often a race of equals drops the best.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from benchmarks.common import facts, output
from search import configurations
from search.analysis.job.finalists import by_value, choose_finalists
from search.claims import racing
from search.claims.lifecycle import chosen_of
from search.claims.racing import Values
from search.states import Arm, Stage
from tests import synthetic

NOISES = (0.004, 0.01, 0.02)
SHARED = 0.5
"""Of a seed's deviation, what moves all configurations alike."""
RACES = ((1, 0), (2, 3), (3, 3), (3, 5), (3, 8), (6, 3), (6, 8))
"""Finalists and seeds, at most."""
DELTA, ALPHA = 0.002, 0.1
Row = tuple[float, float, float]


def measure(jobs: int = 200, budget: int = 64, races: int = 2000) -> None:
    """Prints, for each way to confirm, the winner's regret, what the race cost, and how often it was good enough."""
    spec = synthetic.spec(budget={"trials": budget}, confirmation={"finalists": max(most for most, _ in RACES)})
    found: dict[tuple[str, int, int], list[Row]] = {}
    for seed in range(jobs):
        rng = np.random.default_rng(20_000 + seed)
        truth, peaks = synthetic.random_truth(rng)
        noise = float(rng.choice(NOISES))
        trials = [t for t in synthetic.Builder(spec, truth, noise, rng).job() if t.stage is Stage.SEARCH]
        true = {trial.number: truth(configurations.from_json(trial.configuration or {})) for trial in trials}
        luck = noise * (rng.normal(size=(len(trials), 8)) + SHARED * rng.normal(size=8))
        values = {n: dict(enumerate((true[n] + luck[place]).tolist())) for place, n in enumerate(true)}
        best = max(level for _, level in peaks.values())
        for choice, choose in (("values", by_value), ("posterior", choose_finalists)):
            chosen = chosen_of(choose("j", spec, trials, 0, synthetic.NOW))
            for most, seeds in RACES:
                number, cost = _winner(chosen.finalists[Arm.JOINT][:most], values, seeds)
                regret = best - true[number]
                found.setdefault((choice, most, seeds), []).append((regret, cost, regret <= DELTA))
    rows = [
        [choice, str(most), str(seeds), *(f"{mean:.3f}" for mean in np.mean(measured, 0) * [100, 1, 1])]
        for (choice, most, seeds), measured in found.items()
    ]
    output.table(
        f"{jobs} jobs of {budget} trials", ["finalists by", "most", "seeds", "regret", "trials", "within"], rows
    )
    dropped = {count: _dropped(count, races) for count in (2, 3, 6)}
    output.table("how often equals' best is dropped in 20 seeds, at most 0.1", ["finalists", "dropped"],
                 [[str(count), f"{share:.3f}"] for count, share in dropped.items()])  # fmt: skip
    headline = {
        f"regret_points_{choice}": round(100 * float(np.mean([row[0] for row in found[choice, 3, 3]])), 4)
        for choice in ("values", "posterior")
    }
    given = {"jobs": jobs, "trials": budget, "best_dropped": dropped}
    output.conclude(None, {"benchmark": "confirmation", **given, **headline, **facts.gather()}, {})


def _winner(finalists: Sequence[int], values: Values, most: int) -> tuple[int, int]:
    """Its number, and the trials of the race; blocks are planned as a job's are."""
    if len(finalists) == 1 or most == 0:
        return finalists[0], 0
    seeds = list(range(racing.BEGIN))
    cost, run = len(finalists) * len(seeds), racing.race(finalists, values, seeds, ALPHA, DELTA)
    while not run.over and len(seeds) < most:
        cost += len(run.left)
        seeds.append(len(seeds))
        run = racing.race(finalists, values, seeds, ALPHA, DELTA)
    return racing.leader(run, values), cost


def _dropped(count: int, races: int) -> float:
    rng = np.random.default_rng(1)
    lost = 0
    for _ in range(races):
        table = rng.normal(size=(count, 20))
        values = {one: dict(enumerate(row.tolist())) for one, row in enumerate(table)}
        lost += 0 not in racing.race(range(count), values, range(20), ALPHA, 0.0).left
    return lost / races


if __name__ == "__main__":
    measure(*map(int, sys.argv[1:3]))
