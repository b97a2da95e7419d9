"""A teacher's own classes brought to a job's: each of these has the probability of all that belong to it, be the
teacher a model or its logits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trainers.data import pixel_storage
from trainers.data.datasets import Split
from trainers.disk_budget import DiskBudget
from trainers.errors import TeacherInvalid
from trainers.training.epoch import pieces


class Mapped(nn.Module):
    """A model with a logit for each group of its classes, [n, groups]: the log of the sum of exp over its members.

    Softmax of these logits is softmax of the model's own, summed over each group and divided by what all groups have
    together (docs/decisions/050).
    """

    members: Tensor
    absent: Tensor

    def __init__(self, model: nn.Module, groups: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.model = model
        members, absent = _table(groups)
        self.register_buffer("members", members)
        self.register_buffer("absent", absent)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the groups."""
        return _summed(self.model(x).float(), self.members, self.absent)


def mapped(logits: Tensor, groups: Sequence[Sequence[int]], budget: DiskBudget | None) -> Tensor:
    """Logits [n, classes], or [views, n, classes], as logits of the groups (float32), a piece at a time; those that
    memory does not hold lie on disk, within the budget. DiskBudgetExceeded.
    """
    members, absent = _table(groups)
    shape, remedy = (*logits.shape[:-1], len(groups)), "lower teacher.views or dataset.train_size"
    answer = torch.from_numpy(
        pixel_storage.array(shape, np.dtype(np.float32), budget, "the teacher's mapped logits", remedy)
    )
    for target, rows in zip(pieces(answer.flatten(0, -2)), pieces(logits.flatten(0, -2)), strict=True):
        target.copy_(_summed(rows.float(), members, absent))
    return answer


def _table(groups: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Each group's members [groups, most], and which of them only fill the row."""
    most = max(map(len, groups))
    padded = [[*group, *[group[0]] * (most - len(group))] for group in groups]
    absent = [[place >= len(group) for place in range(most)] for group in groups]
    return torch.tensor(padded), torch.tensor(absent)


def _summed(logits: Tensor, members: Tensor, absent: Tensor) -> Tensor:
    return logits[:, members].masked_fill(absent, float("-inf")).logsumexp(-1)


def check(groups: Sequence[Sequence[int]], classes: int, split: Split) -> None:
    """TeacherInvalid where a map is not from the classes of a job's data to those of a teacher's head."""
    of_job = split.classes
    if len(groups) != of_job:
        raise TeacherInvalid(
            f"teacher.class_map has {len(groups)} entries and the data {of_job} classes: give one for each, in the "
            "order of the data set's classes"
        )
    if split.targets == "several" and any(len(group) > 1 for group in groups):
        raise TeacherInvalid(
            "teacher.class_map has lists of classes, whose probabilities are added, which those of several labels for "
            "each example are not: name one class for each"
        )
    largest = max(max(group) for group in groups)
    if largest >= classes:
        raise TeacherInvalid(
            f"teacher.class_map names class {largest}, and the teacher has {classes}, from 0 to {classes - 1}"
        )
