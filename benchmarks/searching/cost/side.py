"""A peer's searches, in a process of its own: one JSON line for each run.

python -m benchmarks.searching.cost.side METHOD CONTEXT REAL FIRST LAST EPOCHS
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator

from benchmarks.searching.cost.ground import Ground, open_ground
from benchmarks.searching.cost.steps import Step, Tape

Search = Callable[[Tape], None]
# Where each method is written down; imported only in the process that runs it, which has what it needs.
ROOMS = {
    "grid_practised": "plain",
    "grid_full": "plain",
    "random": "plain",
    "optuna_tpe": "of_optuna",
    "optuna_tpe_hyperband": "of_optuna",
    "optuna_gp": "of_optuna",
    "syne_asha": "of_syne_tune",
    "syne_bohb": "of_syne_tune",
    "syne_asha_bore": "of_syne_tune",
    "syne_asha_cqr": "of_syne_tune",
    "smac_mf": "of_smac",
}


def search(method: str, ground: Ground, run: int, epochs: int) -> list[Step]:
    """The steps of one run of a method, up to that many epochs."""
    module = importlib.import_module(f"benchmarks.searching.cost.{ROOMS[method]}")
    tape = Tape(ground, run, epochs)
    module.METHODS[method](tape)
    return tape.steps


def told(method: str, ground: Ground, runs: Iterable[int], epochs: int) -> Iterator[str]:
    """Each run's steps as a line of JSON."""
    for run in runs:
        begun = time.process_time()
        steps = search(method, ground, run, epochs)
        rows = [[step.cell, step.trial, step.start, step.end, round(step.value, 6)] for step in steps]
        yield json.dumps({"run": run, "seconds": time.process_time() - begun, "steps": rows})


def main(given: list[str]) -> int:
    """Runs FIRST to LAST - 1."""
    method, context, real, first, last, epochs = given
    warnings.simplefilter("ignore")  # of other houses
    said, sys.stdout = sys.stdout, sys.stderr  # which may print what they like
    for line in told(method, open_ground(context, real == "real"), range(int(first), int(last)), int(epochs)):
        print(line, file=said, flush=True)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    raise SystemExit(main(sys.argv[1:]))
