"""Coordinates in which the surface of accuracies is easiest to learn: temperature as its logarithm or as the entropy of
the teacher's softmax; the learning rate plain or times the size of the first gradient, which depends on T.

    python -m benchmarks.searching.coordinates [--draws N] [--only NAME,...] [--cache FOLDER] [--tiny] [--keep NAME]

A Gaussian process learns an optimizer's surface from single runs of some cells drawn at random, as a search has them,
and predicts the better half of all cells: root mean square errors, in points, the same draws for all coordinates. The
teacher's logits come from the cache of `python -m benchmarks.table`; a context whose teacher is not there is left out.
"""

from __future__ import annotations

import argparse
import math
import statistics
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from benchmarks.common import facts, output
from benchmarks.common.repetitions import paired
from benchmarks.table.__main__ import CACHE
from benchmarks.table.build import ready_for
from benchmarks.table.contexts import planned
from trainers.replay import synthetic, world
from trainers.replay.grid import Cell
from trainers.replay.world import World
from trainers.run import Roots

Floats = NDArray[np.float64]
WAYS = {"plain": (False, False), "entropy": (True, False), "gradient": (False, True), "both": (True, True)}
RUNS = 32  # that are learned from, of one optimizer


def entropy(logits: Floats, temperature: float) -> float:
    """Mean entropy of softmax(logits / T), as a share of the largest possible."""
    shares = softmax(logits / temperature, axis=-1)
    return float(-(shares * np.log(shares + 1e-30)).sum(-1).mean() / math.log(logits.shape[-1]))


def first_gradient(logits: Floats, labels: NDArray[np.int64], cell: Cell) -> float:
    """The size of the loss's gradient by the logits of a student that knows nothing yet, the root of its mean square:
    kd_weight T (1/C - softmax(z/T)) + label_weight (1/C - label), since T**2 KL's is T (p_student - p_teacher).
    """
    classes = logits.shape[-1]
    temperature = cell.temperature or 1.0
    soft = temperature * (1 / classes - softmax(logits / temperature, axis=-1))
    hard = 1 / classes - np.eye(classes)[labels]
    return float(np.sqrt(((cell.kd_weight * soft + (1 - cell.kd_weight) * hard) ** 2).sum(-1).mean()))


def coordinates(cells: Sequence[Cell], logits: Floats, labels: NDArray[np.int64], way: str) -> Floats:
    """[cells, 4]: temperature, kd_weight, learning rate, weight decay, each from 0 to 1."""
    by_entropy, by_gradient = WAYS[way]
    points = np.array(
        [
            [
                entropy(logits, cell.temperature or 1.0) if by_entropy else math.log(cell.temperature or 1.0),
                cell.kd_weight,
                math.log(cell.learning_rate * (first_gradient(logits, labels, cell) if by_gradient else 1.0)),
                math.log(cell.weight_decay),
            ]
            for cell in cells
        ]
    )
    width = np.ptp(points, axis=0)
    scaled: Floats = (points - points.min(axis=0)) / np.where(width > 0, width, 1.0)
    return scaled


def errors(ground: World, points: Mapping[str, Floats], cells: Sequence[int], draws: int) -> list[Any]:
    """For each draw, the error of each way: the root mean square over the better half, in points of accuracy."""
    truth = ground.truth[list(cells), -1]
    better = truth >= np.median(truth)
    chance, found = np.random.default_rng(0), []
    for draw in range(draws):
        chosen = chance.choice(len(cells), min(RUNS, len(cells) // 2), replace=False)
        seen = np.array([ground.curve(cells[place], 10_000 * draw + place)[-1] for place in chosen])
        level, spread = seen.mean(), seen.std() + 1e-6
        said = {}
        for way, of in points.items():
            kernel = ConstantKernel(1.0) * Matern([0.5] * of.shape[1], (0.05, 20.0), nu=2.5) + WhiteKernel(0.1)
            model = GaussianProcessRegressor(kernel).fit(of[chosen], (seen - level) / spread)
            missed = model.predict(of[better]) * spread + level - truth[better]
            said[way] = 100 * float(np.sqrt((missed**2).mean()))
        found.append(said)
    return found


def measure(ground: World, logits: Floats, labels: NDArray[np.int64], draws: int) -> dict[str, Any]:
    """By optimizer and way: the mean error, and by how much it is larger than that of the plain coordinates."""
    said: dict[str, Any] = {}
    everything = ground.grid.cells()
    for optimizer in ground.grid.optimizers:
        numbers = [at for at, cell in enumerate(everything) if cell.optimizer == optimizer and not cell.label_only]
        cells = [everything[number] for number in numbers]
        points = {way: coordinates(cells, logits, labels, way) for way in WAYS}
        found = errors(ground, points, numbers, draws)
        for way in WAYS:
            against = paired([one[way] for one in found], [one["plain"] for one in found])
            said.setdefault(optimizer, {})[way] = {
                "error": statistics.fmean(one[way] for one in found),
                "worse_by": against.mean,
                "low": against.low,
                "high": against.high,
            }
    return said


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a table for each context and one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searching.coordinates")
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--only", help="names of contexts, with commas between them; all open ones unless given")
    parser.add_argument("--cache", type=Path, default=CACHE, help="of `python -m benchmarks.table`")
    parser.add_argument("--tiny", action="store_true", help="two draws on a table from a formula")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound: what it measures does not matter
    results: dict[str, Any] = {}
    if given.tiny:
        logits, labels = np.random.default_rng(0).normal(0, 4, (50, 10)), np.arange(50) % 10
        results["synthetic"] = measure(synthetic.world(), logits, labels, 2)
    else:
        names = given.only.split(",") if given.only else world.names(sealed=False)
        roots = Roots(given.cache / "data", given.cache / "store")
        for one in (one for one in planned() if one.name in names):
            ready = ready_for(one, roots)
            logits, labels = ready.train_logits[0].double().numpy(), ready.train_labels.numpy()
            results[one.name] = measure(world.load(one.name), logits, labels, given.draws)
    for name, said in results.items():
        rows = []
        for optimizer, ways in said.items():
            for way, one in ways.items():
                against = f"{one['worse_by']:+.2f}", f"{one['low']:+.2f}, {one['high']:+.2f}"
                rows.append([f"{optimizer}, {way}", f"{one['error']:.2f}", *against])
        output.table(f"{name}: error of the surface", ["", "points", "than plain", "95 %"], rows)
    output.conclude(given.keep, {"benchmark": "coordinates", "errors": results, **facts.gather()}, {})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
