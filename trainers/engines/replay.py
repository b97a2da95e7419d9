"""Students that were trained before are shown again, epoch by epoch: nothing is computed, everything else is as usual.

For load tests of the service and benchmarks of the search: hundreds of trials in a second, whose truth is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from trainers.data.datasets import check_permit
from trainers.engines import checkpoints
from trainers.engines.checkpoints import StudentState
from trainers.engines.lanes import LanedEngine, Student
from trainers.errors import CheckpointInvalid, TeacherInvalid
from trainers.replay.ready import Replayed, Run
from trainers.spec import Assignment, Configuration, EpochReport, LaneFailure, Tested, TestPermit
from trainers.training import optim
from trainers.zoo import weights

RUN = "run"
"""The one tensor in a replayed student's file: its cell, its seed and the epochs that are behind it."""


@dataclass(slots=True)
class _Replayed(Student):
    run: Run = field(kw_only=True)
    behind: int = 0

    @property
    def epochs(self) -> int:
        return self.behind

    @property
    def tensor(self) -> torch.Tensor:
        return torch.tensor([self.run.cell, self.assignment.seed, self.behind], dtype=torch.int64)


class ReplayEngine(LanedEngine[_Replayed]):
    """An `engine.Engine` over a table of recorded runs.

    A seed is any whole number: what a table never recorded is drawn from its world (see `trainers.replay.world`).
    """

    def __init__(self, replayed: Replayed, lanes: int = 1) -> None:
        super().__init__(lanes)
        self._replayed = replayed

    def admit(self, assignment: Assignment, checkpoint: Path | None = None) -> int:
        """Puts a student into the first free lane. RuntimeError when none is free, CheckpointInvalid, and OffGrid where
        the table has no such configuration.
        """
        lane = self._students.first_free()
        run = self._replayed.run_of(assignment.configuration, assignment.seed)
        student = _Replayed(assignment, run=run)
        if checkpoint is not None:
            state = checkpoints.read_checkpoint(checkpoint, self._replayed.problem.fingerprint(), assignment)
            student.behind = state.epochs
            if state.weights.keys() != {RUN} or not torch.equal(state.weights[RUN], student.tensor):
                raise CheckpointInvalid(f"the checkpoint {checkpoint.name} is not of a replayed run: start it over")
            student.last_finite_loss = state.last_finite_loss
        self._students[lane] = student
        return lane

    def step_epoch(self) -> Sequence[EpochReport | LaneFailure]:
        """Shows the next epoch of each unfinished lane. The training loss of a table is not recorded: the validation
        part's stands for it.
        """
        return [self._step(lane, student) for lane, student in self._students.unfinished(self._total)]

    def save_lane(self, lane: int, folder: Path) -> None:
        """Writes the lane's checkpoint; RuntimeError where it is free, FileExistsError."""
        student = self._students.sound(lane)
        state = StudentState(student.behind, student.last_finite_loss, {RUN: student.tensor}, {}, {})
        checkpoints.write(folder, state, self._replayed.problem.fingerprint(), student.assignment)

    def save_student(self, lane: int, path: Path) -> None:
        """Writes which run it is: there are no weights."""
        weights.save({RUN: self._students[lane].tensor}, path)

    @property
    def _total(self) -> int:
        return self._replayed.problem.training.epochs

    def _step(self, lane: int, student: _Replayed) -> EpochReport:
        student.behind += 1
        configuration, epoch = student.assignment.configuration, student.behind
        validation = self._replayed.metrics(student.run, epoch, configuration.temperature)
        student.last_finite_loss = validation.nll
        factor = optim.factor(epoch - 1, 1, optim.training_of(self._replayed.problem.training, configuration))
        rate = factor * (configuration.optimizer.learning_rate if configuration.optimizer is not None else 1.0)
        return EpochReport(lane, student.assignment.trial, epoch, validation.nll, rate, 0.0, validation)


def tested(replayed: Replayed, file: Path, configuration: Configuration, permit: TestPermit) -> Tested:
    """What stands for the test part, of which a table has none: the validation part once more.

    Raises TestSplitSealed without a permit, TeacherInvalid where the file is no replayed student's.
    """
    check_permit(permit)
    tensors = weights.load(file)
    if tensors.keys() != {RUN}:
        raise TeacherInvalid(f"{file.name} is not a replayed student's")
    cell, seed, epoch = tensors[RUN].tolist()
    metrics = replayed.metrics(replayed.run(cell, seed), epoch, configuration.temperature)
    images = replayed.facts.validation_images
    hardest_last = np.random.default_rng(0).permutation(images)  # the same images are hard for every student
    right = hardest_last < round(metrics.accuracy * images)
    return Tested(metrics, images, np.packbits(right).tobytes())
