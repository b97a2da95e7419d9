"""`python -m benchmarks.table.spec NAME`: a job spec whose trials are a table's runs, replayed, on its own grid."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from trainers.replay import runs
from trainers.replay.context import Context
from trainers.replay.grid import Grid
from trainers.replay.world import TABLES


def spec(context: Context, grid: Grid, **changes: Any) -> dict[str, Any]:
    """The spec as plain JSON; `changes` replace parts of it. The data root must hold NAME.parquet."""
    problem = context.problem
    teacher = {name: value for name, value in problem["teacher"].items() if value is not None}
    document = {
        "schema_version": 1,
        "name": context.name,
        "dataset": {"name": "replay", "path": f"{context.name}.parquet"},
        "teacher": teacher,
        "student": problem["student"],
        "training": problem["training"],
        "space": searched(grid),
        "precision": "fp32",
    }
    return document | changes


def searched(grid: Grid) -> dict[str, Any]:
    """The space of a spec that searches the whole grid, and nothing else."""
    optimizers: dict[str, dict[str, Any]] = {}
    for name, settings in grid.optimizers.items():
        optimizers[name] = {
            "learning_rate": _part(settings.learning_rates),
            "weight_decay": _part(settings.weight_decays),
        }
        if name == "sgd":
            optimizers[name]["momentum"] = settings.momentum
    return {
        "temperature": _part(grid.temperatures),
        "kd_weight": _part(grid.kd_weights),
        "optimizer": optimizers,
    }


def _part(values: Sequence[float]) -> Any:
    return list(values) if len(values) > 1 else values[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the spec as YAML."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table.spec", description=__doc__)
    parser.add_argument("name")
    recorded = runs.read_runs(TABLES / f"{parser.parse_args(arguments).name}.parquet")
    sys.stdout.write(yaml.safe_dump(spec(recorded.context, recorded.grid), sort_keys=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
