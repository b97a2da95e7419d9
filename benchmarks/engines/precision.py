"""Effect of bf16 autocast on accuracy and speed: students that differ in the precision alone, paired by
seed; the difference of their validation accuracies with its interval, and the speed of both side by side.

    python -m benchmarks.engines.precision [--seeds N] [--only digits-mlp,...] [--tiny] [--keep NAME]

The teacher answers in the students' precision, as it does in a job.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import facts, needs, output
from benchmarks.common.preparation import prepare
from benchmarks.common.repetitions import median, paired
from benchmarks.engines.problems import assignment
from benchmarks.engines.views import MARGIN
from trainers import run
from trainers.engines.loop import LoopEngine
from trainers.spec import (
    Assignment,
    Data,
    EpochReport,
    Model,
    Optimizer,
    Precision,
    Problem,
    Schedule,
    Teacher,
    Training,
)

PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


@dataclass(frozen=True, slots=True)
class Case:
    """One problem, and how many seeds are compared."""

    name: str
    problem: Problem
    seeds: int


def cases(tiny: bool) -> list[Case]:
    """What is compared; `tiny` is one case that ends within seconds."""
    digits = Data("digits", train_size=600, augmentation="shift")
    clothes = Data("FashionMNIST", train_size=1000, validation_fraction=1 / 30, augmentation="crop_flip")
    teacher = Teacher(
        model=Model("cnn", {"width": 16, "depth": 2}),
        training=Training(2 if tiny else 20, 64, Schedule("cosine", 1)),
        optimizer=Optimizer("sgd", 0.05, 5e-4, 0.9),
    )
    mlp, cnn = Model("mlp", {"width": 32, "depth": 1}), Model("cnn", {"width": 8, "depth": 2})
    resnet = Model("resnet", {"depth": 8, "width": 2})
    if tiny:
        return [Case("digits-mlp", Problem(digits, teacher, mlp, Training(2, 64), 2), 3)]
    return [
        Case("digits-mlp", Problem(digits, teacher, mlp, Training(30, 64), 4), 64),
        Case("digits-cnn", Problem(digits, teacher, cnn, Training(30, 64), 4), 32),
        Case("fashion-cnn", Problem(clothes, teacher, cnn, Training(15, 64), 4), 12),
        Case("fashion-resnet8x2", Problem(clothes, teacher, resnet, Training(8, 64), 4), 8),
    ]


def train(prepared: run.Prepared, given: Assignment) -> tuple[float, float]:
    """One student: its last epoch's validation accuracy, and the median seconds of an epoch."""
    engine = LoopEngine(prepared)
    engine.admit(given)
    seconds, accuracy = [], 0.0
    for _ in range(prepared.problem.training.epochs):
        started = time.perf_counter()
        (said,) = engine.step_epoch()
        seconds.append(time.perf_counter() - started)
        if not isinstance(said, EpochReport):
            raise RuntimeError(f"the student of seed {given.seed} diverged: choose another configuration")
        accuracy = said.validation.accuracy
    return accuracy, median(seconds)


def compare(case: Case, roots: run.Roots) -> dict[str, Any]:
    """Both precisions in turn, seed by seed; students are spread over T and, in turn, over SGD and AdamW."""
    ready = {
        precision: prepare(dataclasses.replace(case.problem, precision=precision), roots, "cpu")
        for precision in PRECISIONS
    }
    accuracies: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    seconds: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for seed in range(case.seeds):
        for precision in PRECISIONS if seed % 2 == 0 else reversed(PRECISIONS):
            accuracy, taken = train(ready[precision], assignment(seed, mixed=True))
            accuracies[precision].append(accuracy)
            seconds[precision].append(taken)
    return {
        "case": case.name,
        "accuracies": accuracies,
        "difference": dataclasses.asdict(paired(accuracies["bf16"], accuracies["fp32"])),
        "epoch_s": {precision: median(taken) for precision, taken in seconds.items()},
        "bf16_speed_over_fp32": median(seconds["fp32"]) / median(seconds["bf16"]),
    }


def show(results: Sequence[dict[str, Any]]) -> None:
    """All cases as a table, accuracies in points."""
    rows = []
    for result in results:
        interval, accuracies = result["difference"], result["accuracies"]
        low, high = 100 * interval["low"], 100 * interval["high"]
        within = "within 0.2" if low >= -100 * MARGIN and high <= 100 * MARGIN else ""
        means = [f"{100 * sum(accuracies[name]) / len(accuracies[name]):.2f}" for name in PRECISIONS]
        speed = output.times(result["bf16_speed_over_fp32"])
        rows.append(
            [f"{result['case']}, {interval['pairs']} seeds", *means, f"[{low:+.2f}, {high:+.2f}]", within, speed]
        )
    headings = ["", "fp32 %", "bf16 %", "bf16 - fp32, 95 %", "", "speed"]
    output.table("bf16 autocast against fp32 on the CPU, validation accuracy", headings, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares all cases that are asked for and prints a table and one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines.precision")
    parser.add_argument("--seeds", type=int, help="seeds of each case, instead of its own number")
    parser.add_argument("--only", help="names of cases, with commas between them")
    parser.add_argument("--tiny", action="store_true", help="a try that ends within seconds")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    given = parser.parse_args(arguments)
    run.set_threads(1)
    about = facts.gather()
    print(facts.in_words(about))
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        wanted = [case for case in cases(given.tiny) if not given.only or case.name in given.only.split(",")]
        needs.data_sets((case.problem.data.name for case in wanted), Path(folder))
        for case in wanted:
            case = dataclasses.replace(case, seeds=given.seeds or case.seeds)
            results.append(compare(case, run.Roots(Path(folder), Path(folder))))
    show(results)
    differences = {result["case"]: result["difference"] for result in results}
    speeds = {result["case"]: round(result["bf16_speed_over_fp32"], 3) for result in results}
    headline = {"benchmark": "precision", "differences": differences, "bf16_speed_over_fp32": speeds, **about}
    output.conclude(given.keep, headline, {"cases": results})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
