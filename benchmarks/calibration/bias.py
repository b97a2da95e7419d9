"""The bias of early stopping toward some temperatures: how their order changes along training, and what halving that is
blind to them loses by it. On the recorded curves; nothing is trained.

python -m benchmarks.calibration.bias [--open | --only NAME,...] [--draws N] [--tiny] [--keep NAME]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from benchmarks.calibration.bias_halving import WAYS, losses, temperatures
from benchmarks.common import facts, output
from benchmarks.common.repetitions import Interval
from trainers.replay import synthetic, world
from trainers.replay.world import World

SHARES = (0.1, 0.25, 0.5, 1.0)
"""Of the training: where the order of temperatures is looked at."""
DRAWS = 500
Floats = NDArray[np.float64]


def profile(found: World, optimizer: str) -> Floats:
    """The best true accuracy of each temperature over all other settings, at each epoch [T, E]."""
    return np.stack([found.truth[cells].max(axis=0) for cells in temperatures(found)[optimizer]])


def order(found: World, optimizer: str) -> list[dict[str, Any]]:
    """At each of SHARES: the best temperature, and by Kendall's tau how much the order is the last one; the range of
    the best over worlds from which one seed each was left out; and how many points the end has lost who takes the
    temperature that is best by then, every setting at its best.
    """
    own, grid = profile(found, optimizer), found.grid.temperatures
    without = [profile(World(found.runs, held_out=(seed,)), optimizer) for seed in range(found.runs.seeds)]
    rows = []
    for share in SHARES:
        place = int(np.searchsorted(found.epochs, round(share * float(found.epochs[-1]))))
        best, others = int(own[:, place].argmax()), [int(each[:, place].argmax()) for each in without]
        rows.append(
            {
                "share": share,
                "epoch": int(found.epochs[place]),
                "best_temperature": grid[best],
                "range": [grid[min(others)], grid[max(others)]],
                "tau": float(kendalltau(own[:, place], own[:, -1]).statistic),
                "lost_points": 100 * float(own[:, -1].max() - own[best, -1]),
            }
        )
    return rows


def halving(found: World, draws: int) -> dict[str, dict[str, Any]]:
    """By whose cells are searched (each optimizer's, and all), and by way: what is lost."""
    names = list(found.grid.optimizers)
    told: dict[str, dict[str, Any]] = {}
    for who in [[name] for name in names] + ([names] if len(names) > 1 else []):
        for way in WAYS:
            loss, sure = losses(found, way, draws, who), losses(found, way, draws, who, lucky=False)
            told.setdefault(" and ".join(who), {})[way] = {
                "lost": _plain(loss.lost),
                "by_temperature": _plain(loss.by_temperature),
                "lost_by_means": _plain(sure.lost),
                "by_temperature_by_means": _plain(sure.by_temperature),
                "trainings": round(loss.trainings, 2),
            }
    return told


def main(arguments: Sequence[str]) -> int:
    """Prints two tables, and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--open", action="store_true", help="leave the sealed contexts closed")
    parser.add_argument("--only", help="contexts, by commas")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of candidates, for each way of halving")
    parser.add_argument("--tiny", action="store_true", help="a few draws on a table from a formula")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json")
    options = parser.parse_args(arguments)
    headline: dict[str, Any] = facts.gather()
    if options.tiny:
        worlds = [synthetic.world()]
    else:
        chosen = options.only.split(",") if options.only else world.names(sealed=False if options.open else None)
        worlds = [world.load(name) for name in chosen]
    draws = 20 if options.tiny else options.draws
    details: dict[str, dict[str, Any]] = {
        found.name: {
            "length": int(found.epochs[-1]),
            "sealed": found.sealed,
            "order": {name: order(found, name) for name in found.grid.optimizers},
            "halving": halving(found, draws),
        }
        for found in worlds
    }
    show(details)
    said = {
        "by_temperature_points": {
            name: {who: way["halving from 1/9"]["by_temperature"] for who, way in one["halving"].items()}
            for name, one in details.items()
        },
        "draws": draws,
    }
    output.conclude(options.keep, headline | said, details)
    return 0


def show(details: dict[str, Any]) -> None:
    """The order of temperatures, and what halving loses."""
    output.table(
        "Best T after a share of the training; Kendall's tau with the order at the end",
        ["", *(f"{100 * share:.0f} %" for share in SHARES), *(f"tau {100 * share:.0f} %" for share in SHARES[:-1])],
        [
            [f"{name}, {optimizer}", *(f"{at['best_temperature']:g}" for at in places)]
            + [f"{at['tau']:.2f}" for at in places[:-1]]
            for name, one in details.items()
            for optimizer, places in one["order"].items()
        ],
    )
    output.table(
        "Points lost by halving, and of them by temperatures that are early or late",
        ["", "way", "lost", "by temperature"],
        [
            [f"{name}, {who}", way, f"{loss['lost']['mean']:+.2f}", words(loss["by_temperature"])]
            for name, one in details.items()
            for who, ways in one["halving"].items()
            for way, loss in ways.items()
        ],
    )


def words(interval: dict[str, float]) -> str:
    """A mean with its interval."""
    return f"{interval['mean']:+.2f} ({interval['low']:+.2f}, {interval['high']:+.2f})"


def _plain(interval: Interval) -> dict[str, float]:
    return {"mean": round(interval.mean, 3), "low": round(interval.low, 3), "high": round(interval.high, 3)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
