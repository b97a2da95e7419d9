"""The noise of an objective that is averaged over the last epochs, and by how much the truth moves with it.

python -m benchmarks.searching.averaged [--tiny] [--keep NAME]

On the recorded curves of the open contexts, among the cells whose mean is best; of epochs that a table does not have,
nothing is averaged.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.common import facts, output
from trainers.replay import synthetic
from trainers.replay.runs import Runs
from trainers.replay.world import load, names

LAST = (1, 2, 3, 5)
"""Epochs that are averaged."""
BEST = (1 / 3, 1 / 6)
"""Shares of the cells that distil."""
HEADINGS = ("epochs", "best", "s.d.", "shift", "of a cell", "ranks")
Floats = NDArray[np.float64]


def averaged(runs: Runs, last: int, best: float) -> dict[str, float]:
    """In points: one run's standard deviation over seeds, by how much the mean over cells moves against the last epoch
    and a single cell's mean against that; and Spearman's correlation of the cells' means with those of the last epoch.
    """
    cells = [number for number, cell in enumerate(runs.grid.cells()) if not cell.label_only]
    accuracy = 100 * runs.accuracy[cells]
    final: Floats = accuracy[..., -1].mean(1)
    good = final >= np.quantile(final, 1 - best)
    values = accuracy[good][..., runs.epochs > runs.epochs[-1] - last].mean(-1)
    shift = values.mean(1) - final[good]
    return {
        "deviation": float(np.sqrt(values.var(1, ddof=1).mean())),
        "shift": float(shift.mean()),
        "shift_of_a_cell": float(shift.std()),
        "ranks": float(spearmanr(values.mean(1), final[good]).statistic),
    }


def main(arguments: Sequence[str]) -> int:
    """Prints a table for each context, and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="a table from a formula")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json")
    options = parser.parse_args(arguments)
    tables = [synthetic.runs()] if options.tiny else [load(name).runs for name in names(sealed=False)]
    details: dict[str, Any] = {}
    for runs in tables:
        rows = details[runs.context.name] = [
            {"last": last, "best": best, **averaged(runs, last, best)} for best in BEST for last in LAST
        ]
        output.table(runs.context.name, HEADINGS, [shown(row) for row in rows])
    headline: dict[str, Any] = facts.gather()
    headline["deviation_ratio"] = {
        name: rows[len(LAST) - 1]["deviation"] / rows[0]["deviation"] for name, rows in details.items()
    }
    output.conclude(options.keep, headline, details)
    return 0


def shown(row: dict[str, float]) -> list[str]:
    """A row as a table shows it."""
    points = [f"{row['deviation']:.2f}", f"{row['shift']:+.2f}", f"{row['shift_of_a_cell']:.2f}"]
    return [f"{row['last']:.0f}", f"1/{1 / row['best']:.0f}", *points, f"{row['ranks']:.3f}"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
