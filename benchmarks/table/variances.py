"""`python -m benchmarks.table.variances`: what runs of each table scatter by, for the power of studies.

Of the better third of the cells that distil, at the last epoch: the deviation that all runs of a seed share, that which
neighbours along T share beyond it, and what is left. As rows of search/analysis/study/variances.py, in points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainers.replay.runs import Runs
from trainers.replay.world import load, names

BEST = 1 / 3
Array = NDArray[np.float64]


def components(runs: Runs) -> tuple[float, float, float]:
    """Deviations in shares: of a seed, along T, and of a run."""
    values = runs.accuracy[:, :, -1]
    cells = runs.grid.cells()
    distilled = np.flatnonzero([not cell.label_only for cell in cells])
    order = np.argsort(-values[distilled].mean(axis=1))
    better = distilled[order[: int(BEST * len(distilled))]]
    freedom = runs.seeds / (runs.seeds - 1)
    off = values[better] - values[better].mean(axis=1, keepdims=True)
    whole = float((off**2).mean()) * freedom
    shared = max(0.0, float((off.mean(axis=0) ** 2).mean()) * freedom - whole / len(better))
    left = off - off.mean(axis=0, keepdims=True)
    places = {(*runs.grid.coordinates(int(cell)), cells[int(cell)].optimizer): n for n, cell in enumerate(better)}
    pairs = [(n, places[(key[0] + 1, *key[1:])]) for key, n in places.items() if (key[0] + 1, *key[1:]) in places]
    along = max(0.0, float(np.mean([left[one] @ left[other] / runs.seeds for one, other in pairs])) * freedom)
    return shared**0.5, along**0.5, max(0.0, whole - shared - along) ** 0.5


def main() -> None:
    """Prints a row for each table."""
    for name in names():
        runs = load(name).runs
        luck, along, noise = (100 * part for part in components(runs))
        print(f'    Scatter("{name}", "{runs.context.data}", {luck:.2f}, {along:.2f}, {noise:.2f}),')


if __name__ == "__main__":
    main()
