"""A recorded problem made ready: the table, and the check that the problem is the recorded one."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.errors import DatasetInvalid, DatasetMissing
from trainers.replay import runs
from trainers.replay.world import World
from trainers.spec import Configuration, Metrics, Problem, TeacherFacts, to_jsonable

COMPARED = ("student", "training", "teacher")
"""Parts of a problem that must be as they were recorded. The data are the table; views and precision are its own."""
LATER = ("initial", "distillation")
"""So are these, which a problem tells of only where they are not what was always done."""


@dataclass(frozen=True, slots=True)
class Run:
    """Accuracy and negative log-likelihood [E] of one student, at the epochs that its table has."""

    cell: int
    accuracy: NDArray[np.float64]
    nll: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Replayed:
    """A problem whose students were trained before, in the place of `Prepared`."""

    problem: Problem
    world: World
    facts: TeacherFacts

    @property
    def classes(self) -> int:
        """How many."""
        return self.world.context.classes

    @property
    def channels(self) -> int:
        """Of the images."""
        return self.world.context.channels

    @property
    def class_map(self) -> None:
        """Its classes are the recorded ones."""
        return None

    @property
    def size(self) -> tuple[int, int]:
        """Of the images, in pixels."""
        return self.world.context.image_size

    def run_of(self, configuration: Configuration, seed: int) -> Run:
        """The whole run of a configuration from a seed. OffGrid where the table has no such configuration."""
        return self.run(self.world.grid.index(configuration), seed)

    def run(self, cell: int, seed: int) -> Run:
        """The whole run of a cell from a seed."""
        return Run(cell, self.world.curve(cell, seed), self.world.nll_curve(cell, seed))

    def metrics(self, run: Run, epoch: int, temperature: float) -> Metrics:
        """How good that run is after `epoch` epochs; calibration error and agreement are its cell's means."""
        world = self.world
        return Metrics(
            accuracy=world.at(run.accuracy, epoch),
            nll=world.at(run.nll, epoch),
            ece=world.at(world.runs.ece[run.cell], epoch),
            teacher_agreement=world.at(world.runs.agreement[run.cell], epoch),
            teacher_entropy=self.softness([temperature])[0],
        )

    def softness(self, temperatures: Sequence[float]) -> list[float]:
        """The teacher's mean entropy (nats) at each T, between those that were recorded on a logarithmic scale of T."""
        points = self.world.context.softness
        places, entropies = np.log([point[0] for point in points]), [point[1] for point in points]
        return [float(np.interp(math.log(temperature), places, entropies)) for temperature in temperatures]


def replayed(problem: Problem, data_root: Path) -> Replayed:
    """The recorded runs at the data's `path`. DatasetMissing, or DatasetInvalid where the problem was not recorded."""
    name = problem.data.path or ""
    path = data_root / name
    if not path.is_file():
        raise DatasetMissing(f"there is no table of recorded runs {name!r} below the data root: put it there")
    world = World(runs.read_runs(path))
    context = world.context
    if not context.softness:
        raise DatasetInvalid(f"{name} does not say how soft its teacher is: build it again")
    requested: dict[str, Any] = to_jsonable(problem)
    for part in (*COMPARED, *(part for part in LATER if part in requested)):
        recorded = context.problem.get(part)
        if requested[part] != recorded:
            raise DatasetInvalid(
                f"{name} has runs of another {part}: it recorded {json.dumps(recorded, sort_keys=True)}, "
                f"the spec says {json.dumps(requested[part], sort_keys=True)}"
            )
    return Replayed(problem, world, _facts(world))


def _facts(world: World) -> TeacherFacts:
    context = world.context
    quality = Metrics(
        context.teacher_accuracy, context.teacher_nll, context.teacher_ece, 1.0, context.teacher_entropy
    )  # fmt: skip
    return TeacherFacts(
        fingerprint=f"replay {context.name}",
        classes=context.classes,
        train_images=context.train_images,
        validation_images=context.validation_images,
        validation=quality,
    )
