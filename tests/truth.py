"""A training of one's own whose truth is a formula: T with a known optimum, an ordered parameter, one without order, a
further temperature. The replay trainer shows its runs through the real worker; whoever speaks the protocol of trials
computes the same values from the same configuration and seed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from tests.trainers import tables
from trainers import run as front_door
from trainers.replay import ready
from trainers.replay.ready import Replayed, Run
from trainers.spec import Configuration, Metrics, Problem, digest

BEST_TEMPERATURE = 6.0
BEST_LAYERS = 4
GAIN_OF_MEAN = 0.03
"""Of `pooling: mean` over `cls`."""
NOISE = 0.003
EPOCHS = tables.EPOCHS
SPACE: dict[str, Any] = {
    "temperature": {"low": 1, "high": 40, "log": True},
    "kd_weight": 0.9,
    "optimizer": None,
    "parameters": {
        "layers": {"low": 1, "high": 8, "integer": True},
        "pooling": {"choices": ["cls", "mean"]},
        "t_hidden": {"low": 1, "high": 10, "log": True, "temperature": True},
    },
}


def expected(configuration: Configuration) -> float:
    """The mean accuracy over seeds at the end of training."""
    own = configuration.parameters
    off = math.log(configuration.temperature / BEST_TEMPERATURE) if configuration.kd_weight else 1.5
    hidden = math.log(float(own["t_hidden"]) / 3.0)
    gain = GAIN_OF_MEAN if own["pooling"] == "mean" else 0.0
    return 0.88 + gain - 0.012 * off**2 - 0.003 * (float(own["layers"]) - BEST_LAYERS) ** 2 - 0.004 * hidden**2


def reached(configuration: Configuration, seed: int, epoch: int = EPOCHS) -> float:
    """The accuracy of one student after so many epochs."""
    luck = np.random.default_rng([seed, int(digest(configuration)[:8], 16)]).normal(0.0, NOISE)
    return expected(configuration) * (1 - 0.5 * math.exp(-5 * epoch / EPOCHS)) + float(luck)


@dataclass(frozen=True, slots=True)
class TrueReplayed(Replayed):
    """Runs of the formula in the place of a table's."""

    seen: dict[int, Configuration] = field(default_factory=dict)

    def run_of(self, configuration: Configuration, seed: int) -> Run:
        cell = int(digest(configuration)[:7], 16)
        self.seen[cell] = configuration
        return self.run(cell, seed)

    def run(self, cell: int, seed: int) -> Run:
        curve = np.array([reached(self.seen[cell], seed, epoch) for epoch in range(1, EPOCHS + 1)])
        return Run(cell, curve, 2.5 * (1 - curve))

    def metrics(self, run: Run, epoch: int, temperature: float) -> Metrics:
        accuracy, nll = float(run.accuracy[epoch - 1]), float(run.nll[epoch - 1])
        return Metrics(accuracy, nll, 0.02, 0.9, self.softness([temperature])[0])


@contextmanager
def replayed(data_root: Path) -> Iterator[None]:
    """Lays a table in the data root, whose runs are the formula's as long as this is open, in this process."""
    tables.lay(data_root)
    seen: dict[int, Configuration] = {}

    def formula(problem: Problem, root: Path) -> Replayed:
        table = ready.replayed(problem, root)
        parts = {part.name: getattr(table, part.name) for part in dataclasses.fields(table)}
        return TrueReplayed(**parts, seen=seen)

    with mock.patch.object(front_door, "replayed", formula):
        yield


def document(**changes: Any) -> dict[str, Any]:
    """The spec of a small job over it."""
    teacher = tables.PROBLEM.teacher
    assert teacher.model is not None
    assert teacher.training is not None
    whole: dict[str, Any] = {
        "name": "own training",
        "dataset": {"name": "replay", "path": "synthetic.parquet"},
        "teacher": {
            "model": {"name": teacher.model.name},
            "training": {"epochs": teacher.training.epochs, "batch_size": teacher.training.batch_size},
            "optimizer": {"name": "sgd", "learning_rate": 0.05, "weight_decay": 5e-4},
        },
        "student": {"name": "mlp", "arguments": {"width": 8}},
        "training": {"epochs": EPOCHS, "batch_size": 64},
        "space": SPACE,
        "budget": {"trials": 24},
        "confirmation": {"finalists": 2, "select_seeds": 2, "estimate_seeds": 3},
        "seed": 4,
    }
    return whole | changes
