"""Trains every cell of a context's grid with every seed and keeps the curves: shard by shard, so that whoever is
interrupted goes on, and several processes share the work.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from benchmarks.common.preparation import prepare
from benchmarks.table import teachers
from benchmarks.table.contexts import Planned
from trainers import run
from trainers.engines.bank import BankEngine, has_compiler
from trainers.replay import runs as recorded
from trainers.replay import smoothing
from trainers.replay.context import Context
from trainers.replay.grid import Cell
from trainers.replay.runs import Runs
from trainers.replay.world import World
from trainers.run import Roots
from trainers.spec import Assignment, EpochReport, LaneFailure, to_jsonable
from trainers.teaching.prepared import Prepared

FIRST_SEED = 1000
"""The seeds of a table's students are this one and those after it, the same for all cells."""
SOFTNESS = [2 ** (step / 2) for step in range(-2, 13)]  # T, from .5 to 64
METRICS = ("accuracy", "nll", "ece", "agreement")
ANYTHING: smoothing.Lengths = (2.5, 1.5, 0.8, 1.5)
Floats = NDArray[np.float64]


def ready_for(planned: Planned, roots: Roots) -> Prepared:
    """The context's data and its teacher's logits; made once, whoever comes first."""
    problem = planned.problem
    if planned.pretraining is not None:
        problem = teachers.finetuned(problem, planned.pretraining, roots)
    return prepare(problem, roots, "cpu")


def work(planned: Planned) -> list[list[tuple[int, int]]]:
    """Pairs of cell and seed number, in shards of as many as there are lanes; one seed of all cells after the other."""
    pairs = [(cell, seed) for seed in range(planned.seeds) for cell in range(len(planned.grid.cells()))]
    return [pairs[first : first + planned.lanes] for first in range(0, len(pairs), planned.lanes)]


def train_missing(planned: Planned, roots: Roots, shards: Path) -> int:
    """Trains the shards that nobody has trained; answers how many. Any number of processes may: each takes first what
    nobody is at, then waits for the others, whose place it takes where one dies.
    """
    folder = shards / planned.name
    folder.mkdir(parents=True, exist_ok=True)
    engine, ready, trained = None, None, 0
    for patience in (0, -1):
        for number, pairs in enumerate(work(planned)):
            path = folder / f"{number:03}.npz"
            try:
                with FileLock(path.with_suffix(".lock"), timeout=patience):
                    if path.is_file():
                        continue
                    if engine is None or ready is None:
                        ready = ready_for(planned, roots)
                        engine = BankEngine(ready, planned.lanes, compiled=has_compiler())
                    _keep(_train(engine, planned, pairs, ready.classes), path)
                    trained += 1
            except Timeout:
                continue
    if engine is not None:
        engine.close()
    return trained


def train_alone(planned: Planned, roots: Roots, shards: Path) -> None:
    """As `train_missing`, in a process of its own that uses one thread."""
    run.set_threads(1)
    train_missing(planned, roots, shards)


def complete(planned: Planned, shards: Path) -> bool:
    """Whether all shards are there."""
    return all((shards / planned.name / f"{number:03}.npz").is_file() for number in range(len(work(planned))))


def assemble(planned: Planned, roots: Roots, shards: Path, built: Mapping[str, Any]) -> Runs:
    """The context's whole table out of its shards; its smoother's length scales are chosen here."""
    cells, keep = len(planned.grid.cells()), [epoch - 1 for epoch in planned.epochs]
    values = np.full((len(METRICS), cells, planned.seeds, len(keep)), np.nan)
    for number, pairs in enumerate(work(planned)):
        with np.load(shards / planned.name / f"{number:03}.npz", allow_pickle=False) as shard:
            curves = shard["curves"]
        for (cell, seed), curve in zip(pairs, curves, strict=True):
            values[:, cell, seed] = curve[:, keep]
    assert not np.isnan(values).any()
    accuracy, nll, ece, agreement = values
    ready = ready_for(planned, roots)

    def with_lengths(lengths: Sequence[smoothing.Lengths]) -> Runs:
        return Runs(
            context=_context(planned, ready),
            grid=planned.grid,
            epochs=np.asarray(planned.epochs, dtype=np.int64),
            accuracy=accuracy,
            nll=nll,
            ece=ece.mean(1),
            agreement=agreement.mean(1),
            lengths=lengths,
            built=dict(built),
        )

    surfaces = smoothing.surfaces(planned.grid)
    columns = sorted({len(keep) - 1, len(keep) // 2, len(keep) // 4})
    variances = World(with_lengths([ANYTHING] * len(surfaces))).mean_variance
    return with_lengths(smoothing.choose_lengths(planned.grid, accuracy.mean(1), variances, columns))


def write(runs: Runs, folder: Path) -> Path:
    """Writes `folder`/NAME.parquet."""
    path = folder / f"{runs.context.name}.parquet"
    recorded.write(runs, path)
    return path


def _train(engine: BankEngine, planned: Planned, pairs: Sequence[tuple[int, int]], classes: int) -> Floats:
    """The curves [pairs, metrics, epochs] of these students. One that diverges guesses from then on."""
    grid: Sequence[Cell] = planned.grid.cells()
    guessing = np.array([1 / classes, math.log(classes), 0.0, 1 / classes])
    curves = np.tile(guessing[:, None], (len(pairs), 1, planned.problem.training.epochs))
    lanes = {
        engine.admit(Assignment(str(place), grid[cell].configuration(), FIRST_SEED + seed)): place
        for place, (cell, seed) in enumerate(pairs)
    }
    failed: set[int] = set()
    for _ in range(planned.problem.training.epochs):
        for said in engine.step_epoch():
            place = lanes[said.lane]
            if isinstance(said, LaneFailure):
                failed.add(place)
            elif place not in failed:
                curves[place, :, said.epoch - 1] = _metrics(said)
    for lane in lanes:
        engine.evict(lane)
    return curves


def _metrics(said: EpochReport) -> Floats:
    measured = said.validation
    return np.array([measured.accuracy, measured.nll, measured.ece, measured.teacher_agreement])


def _keep(curves: Floats, path: Path) -> None:
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, curves=curves.astype(np.float32))
    os.replace(partial, path)


def _context(planned: Planned, ready: Prepared) -> Context:
    problem, facts = ready.problem, ready.facts
    assert problem.teacher.model is not None
    return Context(
        name=planned.name,
        sealed=planned.sealed,
        summary=planned.summary,
        data=planned.data_words,
        classes=ready.classes,
        channels=ready.channels,
        image_size=(ready.size[0], ready.size[1]),
        train_images=len(ready.train_labels),
        validation_images=len(ready.validation_labels),
        teacher=_model(problem.teacher.model.name, problem.teacher.model.arguments),
        teacher_kind=planned.teacher_kind,
        teacher_accuracy=facts.validation.accuracy,
        teacher_nll=facts.validation.nll,
        teacher_ece=facts.validation.ece,
        teacher_entropy=facts.validation.teacher_entropy,
        student=_model(problem.student.name, problem.student.arguments),
        student_initialisation="random",
        epochs=problem.training.epochs,
        batch_size=problem.training.batch_size,
        problem=to_jsonable(problem),
        softness=list(zip(SOFTNESS, run.teacher_softness(ready, SOFTNESS), strict=True)),
    )


def _model(name: str, arguments: Mapping[str, Any]) -> str:
    return f"{name} ({', '.join(f'{key} {value}' for key, value in arguments.items())})"
