"""The number of augmented views V that is enough: validation accuracy of students that are shown V fixed views in turn,
against students that are shown fresh augmentation each epoch, with the teacher looking at the same pixels; paired by
seed.

    python -m benchmarks.engines.views [--draws N] [--only digits-mlp,...] [--tiny] [--keep NAME]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import functools
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import nn

from benchmarks.common import facts, needs, output
from benchmarks.common.preparation import prepare
from benchmarks.common.repetitions import paired
from trainers import run
from trainers.data import datasets
from trainers.data.views import Views
from trainers.engines.bank import BankEngine
from trainers.spec import (
    Assignment,
    Configuration,
    Data,
    EpochReport,
    Model,
    Optimizer,
    Problem,
    Schedule,
    Teacher,
    Training,
)
from trainers.teaching.prepared import Prepared
from trainers.training.epoch import pieces, predict_batches
from trainers.zoo import models, weights

SGD = Optimizer("sgd", 0.1, 5e-4, 0.9)
EACH = 0  # stands for V = number of epochs
MARGIN = 0.002  # within 0.2 points counts as the same, as `confirmation.delta`


@dataclass(frozen=True, slots=True)
class Case:
    """One problem, one configuration, how many draws of views, how many seeds in each, and which V to compare."""

    name: str
    problem: Problem
    configuration: Configuration
    draws: int
    seeds: int
    counts: tuple[int, ...]


def _digits(student: Model, epochs: int) -> Problem:
    return Problem(
        Data("digits", train_size=600, augmentation="shift"),
        Teacher(
            model=Model("cnn", {"width": 16, "depth": 2}),
            training=Training(20, 64),
            optimizer=Optimizer("sgd", 0.05, 5e-4, 0.9),
        ),
        student,
        Training(epochs, 64),
    )


def _fashion(epochs: int) -> Problem:
    return Problem(
        Data("FashionMNIST", train_size=2000, validation_fraction=1 / 30, augmentation="crop_flip"),
        Teacher(
            model=Model("cnn", {"width": 32, "depth": 3}),
            training=Training(15, 64, Schedule("cosine", 1)),
            optimizer=Optimizer("sgd", 0.1, 5e-4, 0.9, nesterov=True),
        ),
        Model("cnn", {"width": 8, "depth": 2}),
        Training(epochs, 64),
    )


def cases(tiny: bool) -> list[Case]:
    """What is compared; `tiny` is one case that ends within seconds."""
    soft = Configuration(temperature=4.0, kd_weight=0.9, label_weight=0.1, optimizer=SGD)
    mlp, cnn = Model("mlp", {"width": 32, "depth": 1}), Model("cnn", {"width": 8, "depth": 2})
    if tiny:
        return [Case("digits-mlp-2", _digits(mlp, 2), soft, 3, 2, (1, EACH))]
    all_counts = (1, 2, 4, 8, 16, EACH)
    return [
        Case("digits-mlp-30", _digits(mlp, 30), soft, 16, 16, all_counts),
        Case("digits-mlp-120", _digits(mlp, 120), soft, 8, 16, all_counts),
        Case("digits-cnn-30", _digits(cnn, 30), soft, 12, 8, all_counts),
        Case("fashion-cnn-30", _fashion(30), soft, 8, 2, (1, 4, 16, EACH)),
    ]


class Teaching:
    """A problem made ready, and its teacher, who can be asked about any other views of the same images."""

    def __init__(self, problem: Problem, roots: run.Roots) -> None:
        self.prepared = prepare(problem, roots, "cpu")
        self._images = datasets.load(problem.data, roots.data).train.images
        ready = self.prepared
        assert problem.teacher.model is not None
        self._teacher: nn.Module = models.build(problem.teacher.model, ready.channels, ready.size, ready.classes, 0)
        (path,) = (roots.store / "teachers" / problem.teacher_fingerprint()).glob("weights-*.safetensors")
        weights.fill(self._teacher, weights.load(path), "the teacher's file")

    def on(self, count: int, draw: int) -> Prepared:
        """The problem with `count` views drawn from the seed `draw`, the teacher's logits on each of them.

        The teacher is in evaluation mode: its logits on a view are the same whether it is asked in the loop or before.
        """
        ready = self.prepared
        views = Views(self._images, ready.normalise, ready.problem.data.augmentation, draw, count)
        numbers = torch.arange(len(self._images))
        logits = [
            predict_batches(self._teacher, (views.batch(view, part) for part in pieces(numbers)), "fp32")
            for view in range(count)
        ]
        return dataclasses.replace(ready, views=views, train_logits=torch.stack(logits))


def last_accuracies(prepared: Prepared, configuration: Configuration, seeds: Sequence[int]) -> list[float]:
    """The validation accuracy of each student's last epoch; they are trained together."""
    engine = BankEngine(prepared, len(seeds))
    for seed in seeds:
        engine.admit(Assignment(str(seed), configuration, seed))
    accuracies: list[float] = []
    for _ in range(prepared.problem.training.epochs):
        said = engine.step_epoch()
        accuracies = [one.validation.accuracy for one in said if isinstance(one, EpochReport)]
        if len(accuracies) < len(seeds):
            raise RuntimeError("a student diverged: choose another configuration")
    return accuracies


@functools.cache
def _taught(name: str, tiny: bool, root: Path) -> Teaching:
    """A case's teaching, once in each process; the teacher itself is trained once and stored."""
    run.set_threads(1)
    (case,) = (case for case in cases(tiny) if case.name == name)
    return Teaching(case.problem, run.Roots(root, root))


def one_draw(name: str, tiny: bool, root: Path, draw: int) -> tuple[list[float], dict[int, list[float]]]:
    """The accuracies of the draw's seeds on fresh views, and on each V; a seed fixes initial weights and order."""
    (case,) = (case for case in cases(tiny) if case.name == name)
    teaching, epochs = _taught(name, tiny, root), case.problem.training.epochs
    seeds = range(draw * case.seeds, (draw + 1) * case.seeds)

    def trained(count: int, drawn: int) -> list[float]:
        return last_accuracies(teaching.on(count, drawn), case.configuration, seeds)

    # another draw than that of the fixed views: with one per epoch it would be the very same training
    return trained(epochs, 1_000_000 + draw), {count or epochs: trained(count or epochs, draw) for count in case.counts}


def compare(case: Case, tiny: bool, root: Path) -> dict[str, Any]:
    """Trains all students of a case, its draws shared out over the cores.

    The intervals are those of the draws' mean differences: the luck of a draw, which its seeds share, counts.
    """
    started = time.perf_counter()
    teacher_accuracy = _taught(case.name, tiny, root).prepared.facts.validation.accuracy
    draw = functools.partial(one_draw, case.name, tiny, root)
    if tiny:
        said = [draw(number) for number in range(case.draws)]
    else:
        spawn = multiprocessing.get_context("spawn")
        with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), mp_context=spawn) as pool:
            said = list(pool.map(draw, range(case.draws)))
    fresh = [accuracies for accuracies, _ in said]
    fixed = {str(count): [by_count[count] for _, by_count in said] for count in said[0][1]}
    return {
        "case": case.name,
        "epochs": case.problem.training.epochs,
        "teacher_accuracy": teacher_accuracy,
        "fresh": fresh,
        "fixed": fixed,
        "differences": {
            count: dataclasses.asdict(paired([*map(fmean, accuracies)], [*map(fmean, fresh)]))
            for count, accuracies in fixed.items()
        },
        "seconds": time.perf_counter() - started,
    }


def show(result: dict[str, Any]) -> None:
    """One case as a table, in points."""
    rows = []
    for count, interval in result["differences"].items():
        mean = fmean(chain(*result["fixed"][count]))
        low, high = 100 * interval["low"], 100 * interval["high"]
        verdict = "worse" if high < 0 else "better" if low > 0 else ""
        if low >= -100 * MARGIN and high <= 100 * MARGIN:
            verdict += " within 0.2"
        rows.append(
            [count, f"{100 * mean:.2f}", f"{100 * interval['mean']:+.2f}", f"[{low:+.2f}, {high:+.2f}]", verdict]
        )
    fresh = list(chain(*result["fresh"]))
    rows.append(["fresh", f"{100 * fmean(fresh):.2f}", "", "", ""])
    counted = f"{len(fresh)} seeds in {len(result['fresh'])} draws"
    title = f"{result['case']}: {counted}, teacher {100 * result['teacher_accuracy']:.1f} %"
    output.table(title, ["V", "accuracy %", "V - fresh", "95 % interval", ""], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares all cases that are asked for and prints tables and one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines.views")
    parser.add_argument("--draws", type=int, help="draws of each case, instead of its own number")
    parser.add_argument("--only", help="names of cases, with commas between them")
    parser.add_argument("--tiny", action="store_true", help="a try that ends within seconds")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    given = parser.parse_args(arguments)
    run.set_threads(1)
    chosen = [case for case in cases(given.tiny) if not given.only or case.name in given.only.split(",")]
    about = facts.gather()
    print(facts.in_words(about))
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        needs.data_sets((case.problem.data.name for case in chosen), Path(folder))
        for case in chosen:
            case = dataclasses.replace(case, draws=given.draws or case.draws)
            results.append(compare(case, given.tiny, Path(folder)))
            show(results[-1])
    differences = {result["case"]: result["differences"] for result in results}
    output.conclude(given.keep, {"benchmark": "views", "differences": differences, **about}, {"cases": results})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
