"""`python -m benchmarks.calibration.theory_fresh`: students that are trained to test predictions P17 to P19, on data,
splits and numbers of classes that the open tables do not have; and the numbers that these predictions speak of.

Kept as benchmarks/results/theory-fresh.json, which `benchmarks.calibration.theory` reads. Some minutes.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from benchmarks.calibration import theory_numbers as numbers
from benchmarks.calibration.theory_teachers import read_options, teacher_facts
from benchmarks.common import facts, output
from benchmarks.table import build, contexts
from benchmarks.table.contexts import Planned
from trainers import run
from trainers.replay.grid import Grid, Settings
from trainers.replay.runs import Runs
from trainers.run import Roots
from trainers.spec import Classes, Data, Model, Optimizer, Problem, Schedule, Teacher, Training

PAIRS = "digit-pairs.npz"
GRID = Grid(
    (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, 40.0),
    (1.0,),
    {
        "sgd": Settings((0.003, 0.01, 0.03, 0.1, 0.3), (5e-4,), 0.9),
        "adamw": Settings((0.001, 0.003, 0.01, 0.03, 0.1), (0.01,)),
    },
)
SEEDS = 4
LANES = 100


def planned(tiny: bool = False) -> list[Planned]:
    """The fresh contexts; `tiny` is one that ends within seconds."""
    digits = Data("digits", split_seed=31, train_size=500, augmentation="shift")
    pairs = Data("npz", path=PAIRS, split_seed=32, validation_fraction=0.2, test_fraction=0.1, train_size=3000)
    clothes = Data(
        "FashionMNIST", split_seed=33, validation_fraction=1500 / 60_000, train_size=1500, image_size=10,
        augmentation="shift",
    )  # fmt: skip
    two, five = (Classes("map", map=tuple(digit % count for digit in range(10))) for count in (2, 5))
    every = [
        _planned("fresh-2-classes", dataclasses.replace(digits, classes=two), 40, 20),
        _planned("fresh-5-classes", dataclasses.replace(digits, classes=five), 40, 20),
        _planned("fresh-10-digits", digits, 40, 20),
        _planned("fresh-10-clothes", clothes, 30, 16),
        _planned("fresh-100-pairs", pairs, 20, 16),
    ]
    if not tiny:
        return every
    grid = Grid((1.0, 4.0, 40.0), (1.0,), {"sgd": Settings((0.01, 0.1), (5e-4,), 0.9)})
    return [dataclasses.replace(_planned("fresh-tiny", dataclasses.replace(digits, classes=two), 2, 8), grid=grid)]


def _planned(name: str, data: Data, teacher_epochs: int, epochs: int) -> Planned:
    teacher = Teacher(
        model=Model("cnn", {"width": 24, "depth": 2}),
        training=Training(teacher_epochs, 64, Schedule("cosine", 1)),
        optimizer=Optimizer("sgd", 0.05, 5e-4, 0.9, nesterov=True),
        seed=7,
    )
    problem = Problem(data, teacher, Model("mlp", {"width": 48, "depth": 1}), Training(epochs, 50), views=8)
    return Planned(name, False, "of P17 to P19", data.name, "plain", problem, GRID, SEEDS, LANES)


def prepare_data(roots: Roots, chosen: Sequence[Planned]) -> None:
    """Lays below the data root what these contexts need: 5,000 pairs of digits side by side are 100 classes."""
    contexts.prepare_data(roots, [each for each in chosen if each.problem.data.name != "npz"])
    path = roots.data / PAIRS
    if any(each.problem.data.name == "npz" for each in chosen) and not path.is_file():
        pixels, labels = load_digits(return_X_y=True)
        images = (pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
        left, right = np.random.default_rng(34).integers(len(images), size=(2, 5000))
        roots.data.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(
            path, images=np.concatenate([images[left], images[right]], axis=2), labels=10 * labels[left] + labels[right]
        )


def measured(each: Planned, roots: Roots, shards: Path) -> dict[str, Any]:
    """What the predictions ask of one context, once its students are trained, as plain JSON."""
    build.train_missing(each, roots, shards)
    runs = build.assemble(each, roots, shards, {})
    teacher = teacher_facts(each, build.ready_for(each, roots))
    found: dict[str, Any] = {
        "teacher": teacher,
        "classes": runs.context.classes,
        "teacher_accuracy": runs.context.teacher_accuracy,
    }
    for part, asked in (("numbers", numbers.FRESH_NUMBERS), ("again", numbers.AGAIN)):
        found[part] = {name: _of_optimizers(number, runs, teacher) for name, number in asked.items()}
    cut = {optimizer: numbers.cut(runs, optimizer, range(runs.seeds), teacher) for optimizer in each.grid.optimizers}
    found["final_points"] = {optimizer: np.round(data.pure[..., 0], 2).tolist() for optimizer, data in cut.items()}
    return found


def _of_optimizers(number: numbers.Number, runs: Runs, teacher: Mapping[str, Any]) -> dict[str, Any]:
    """A number with its interval, by optimizer; None where it does not apply."""
    intervals = {
        optimizer: numbers.jackknife(partial(_of_seeds, number, runs, teacher, optimizer), runs.seeds)
        for optimizer in runs.grid.optimizers
    }
    return {
        optimizer: None if interval is None else dataclasses.asdict(interval)
        for optimizer, interval in intervals.items()
    }


def _of_seeds(
    number: numbers.Number, runs: Runs, teacher: Mapping[str, Any], optimizer: str, seeds: Sequence[int]
) -> float | None:
    return number(numbers.cut(runs, optimizer, seeds, teacher))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = read_options(__doc__, arguments)
    began, about = time.monotonic(), facts.gather()
    run.set_threads(1)
    roots, chosen = Roots(options.cache / "data", options.cache / "store"), planned(options.tiny)
    prepare_data(roots, chosen)
    parts = {}
    for each in chosen:
        parts[each.name] = measured(each, roots, options.cache / "shards")
        print(f"{each.name}: {(time.monotonic() - began) / 60:.1f} minutes", flush=True)
    headline = {"benchmark": "theory-fresh", "minutes": (time.monotonic() - began) / 60, **about}
    output.conclude(options.keep, headline, parts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
