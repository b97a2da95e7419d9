"""The luck that runs of one seed share: correlations of recorded runs and of the benchmarks' world, and what gains,
sets and bands of jobs hold with it and without.

python -m benchmarks.searching.luck [--only NAME,...] [--seeds N] [--searches N] [--tiny] [--keep NAME]

A search gives every trial a seed of its own, so it cannot notice; the confirmation trains all finalists on the same
fresh seeds. So each search is made once, and confirmed in both worlds. Sealed contexts stay closed unless named.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import facts, output
from benchmarks.common.repetitions import paired
from benchmarks.searching.cost import coverage
from benchmarks.searching.cost.ground import Ground
from benchmarks.searching.cost.jobs import Job, Search
from benchmarks.searching.cost.spec import job_spec
from search.states import Arm
from trainers.replay import synthetic
from trainers.replay.world import World, load, names

AXES = ("T", "kd_weight", "weight decay", "learning rate", "optimizer")
LOOKS = {
    "all cells": (1.0, 1.0),
    "best third": (1.0, 1 / 3),
    "all, at a quarter": (0.25, 1.0),
    "best, at a quarter": (0.25, 1 / 3),
}
"""After which share of the training correlations are looked at, and among which share of the cells, the best."""
SEEDS = 200
MEASURES = ("gains hold", "gains, width", "set holds", "set, width", "bands hold", "in .2 points")
JOBS = ("", "apart", "shared", "more by", "from", "to")
Floats = NDArray[np.float64]


def neighbours(world: World) -> dict[str, list[tuple[int, int]]]:
    """Pairs of cells that distil and differ by one place of one setting alone, by that setting."""
    order = list(world.grid.optimizers)
    places: dict[tuple[int, ...], int] = {}
    for number, cell in enumerate(world.grid.cells()):
        if not cell.label_only:
            temperature, kd_weight, rate, decay = world.grid.coordinates(number)
            places[temperature, kd_weight, decay, rate, order.index(cell.optimizer)] = number
    pairs: dict[str, list[tuple[int, int]]] = {name: [] for name in AXES}
    for place, number in places.items():
        for axis, name in enumerate(AXES):
            other = places.get((*place[:axis], place[axis] + 1, *place[axis + 1 :]))
            if other is not None:
                pairs[name].append((number, other))
    return pairs


def recorded(world: World) -> Floats:
    """Deviations of the recorded runs from their cells' means [cells, seeds, E], in standard deviations of a run."""
    values = world.runs.accuracy[:, list(world.seeds)]
    count = values.shape[1]
    widened = np.sqrt(count / (count - 1))  # for the mean, which is their own
    return _scaled(world, (values - values.mean(1, keepdims=True)) * widened)


def drawn(world: World, seeds: Sequence[int]) -> Floats:
    """Deviations of the world's runs from the truth [cells, seeds, E], likewise."""
    cells = range(len(world.grid.cells()))
    runs = np.stack([world.curves(cells, [seed] * len(cells)) for seed in seeds], axis=1)
    return _scaled(world, runs - world.truth[:, None])


def _scaled(world: World, deviations: Floats) -> Floats:
    scaled: Floats = deviations / np.maximum(world.residual_sd, 1e-9)[:, None]
    return scaled


def correlations(world: World, deviations: Floats, share: float = 1.0, best: float = 1.0) -> dict[str, float | None]:
    """The mean product of neighbours' deviations after that share of the training, by setting, among that share of the
    cells whose truth is best; None where there are no neighbours along it.
    """
    place = int(np.searchsorted(world.epochs, round(share * float(world.epochs[-1]))))
    values, final = deviations[..., place], world.truth[:, -1]
    distilled = [number for number, cell in enumerate(world.grid.cells()) if not cell.label_only]
    good = final >= np.quantile(final[distilled], 1 - best)
    found: dict[str, float | None] = {}
    for name, pairs in neighbours(world).items():
        products = [values[one] @ values[other] for one, other in pairs if good[one] and good[other]]
        found[name] = float(np.mean(products)) / values.shape[1] if products else None
    return found


def compared(apart: World, shared: World, seeds: int) -> dict[str, Any]:
    """Correlations by look: of the recorded runs, and of either world's at so many seeds; and the mean variance of
    these runs at the last epoch, in units of what it should be.
    """
    deviations = {
        "recorded": recorded(shared),
        "apart": drawn(apart, range(seeds)),
        "shared": drawn(shared, range(seeds)),
    }
    told: dict[str, Any] = {
        name: {look: correlations(shared, values, *parts) for look, parts in LOOKS.items()}
        for name, values in deviations.items()
    }
    return told | {"variance": {name: float((values[..., -1] ** 2).mean()) for name, values in deviations.items()}}


def confirmed(apart: Ground, shared: Ground, number: int) -> dict[str, dict[str, float]]:
    """One search, and its jobs' MEASURES in both worlds: shares, and widths in points or of the range of log T."""
    spec = job_spec(apart, 2_000_000 + number, coverage.TRIALS, True)
    first = Job(apart, spec, Search(apart, spec, Arm.JOINT)).run()
    return {
        world: _measured(
            ground,
            [
                coverage.confirmed_again(ground, first, number, confirmation, with_set=confirmation == 0)
                for confirmation in range(coverage.CONFIRMATIONS)
            ],
        )
        for world, ground in (("apart", apart), ("shared", shared))
    }


def _measured(ground: Ground, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    gains = [gain for row in rows for gain in row["gains"]]
    held, of = rows[0]["band_holds"]
    return {
        "gains hold": statistics.fmean(gain[1] for gain in gains),
        "gains, width": 100 * statistics.fmean(gain[2] for gain in gains),
        "set holds": float(rows[0]["set_holds"]),
        "set, width": rows[0]["set_width"],
        "bands hold": held / of,
        "in .2 points": statistics.fmean(ground.hit(row["winner"]) for row in rows),
    }


def summarised(searches: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """By measure: its means in both worlds, and by how much the shared one's is more, with a 95 % t interval."""
    found = {}
    for measure in MEASURES:
        apart, shared = ([search[world][measure] for search in searches] for world in ("apart", "shared"))
        more = paired(shared, apart)
        found[measure] = {
            "apart": statistics.fmean(apart),
            "shared": statistics.fmean(shared),
            "more": more.mean,
            "low": more.low,
            "high": more.high,
        }
    return found


def main(arguments: Sequence[str]) -> int:
    """Prints a table of correlations and one for each context's jobs, and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="contexts, by commas; all open ones unless given")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="whose runs are drawn of every cell")
    parser.add_argument("--searches", type=int, default=0, help="whose jobs are looked at in each context, 2 or more")
    parser.add_argument("--tiny", action="store_true", help="a table from a formula")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json")
    options = parser.parse_args(arguments)
    chosen = ["synthetic"] if options.tiny else options.only.split(",") if options.only else names(sealed=False)
    headline: dict[str, Any] = facts.gather()
    details: dict[str, Any] = {}
    for name in chosen:
        apart, shared = _worlds(name)
        details[name] = compared(apart, shared, options.seeds)
        title = f"{name}: correlation of neighbours at one seed"
        output.table(title, ["", *AXES], correlation_rows(details[name]))
        if options.searches:
            grounds = Ground(apart), Ground(shared)
            searches = [confirmed(*grounds, number) for number in range(options.searches)]
            details[name]["searches"], details[name]["jobs"] = searches, summarised(searches)
            output.table(f"{name}: jobs of {len(searches)} searches", JOBS, job_rows(details[name]["jobs"]))
    headline["correlations"] = {
        name: {world: one[world]["all cells"] for world in ("recorded", "shared")} for name, one in details.items()
    }
    headline |= {"seeds": options.seeds, "searches": options.searches}
    output.conclude(options.keep, headline, details)
    return 0


def _worlds(name: str) -> tuple[World, World]:
    if name == "synthetic":
        runs = synthetic.runs()
        return World(runs), World(runs, luck="shared")
    return load(name, luck="apart"), load(name, luck="shared")


def correlation_rows(one: Mapping[str, Any]) -> list[list[str]]:
    """A context's correlations as a table shows them."""
    return [
        [f"{look}: {world}", *("-" if value is None else f"{value:.2f}" for value in one[world][look].values())]
        for look in LOOKS
        for world in ("recorded", "shared", "apart")
    ]


def job_rows(jobs: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    """What a context's jobs hold, as a table shows it."""
    return [
        [
            measure,
            *(f"{one[world]:.2f}" for world in ("apart", "shared")),
            *(f"{one[end]:+.3f}" for end in ("more", "low", "high")),
        ]
        for measure, one in jobs.items()
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
