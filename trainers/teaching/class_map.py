"""A teacher's own classes brought to a job's: each of these has the probability of all that belong to it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainers.data.datasets import Split
from trainers.errors import TeacherInvalid


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
        most = max(map(len, groups))
        padded = [[*group, *[group[0]] * (most - len(group))] for group in groups]
        absent = [[place >= len(group) for place in range(most)] for group in groups]
        self.register_buffer("members", torch.tensor(padded))
        self.register_buffer("absent", torch.tensor(absent))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the groups."""
        logits: Tensor = self.model(x).float()
        return logits[:, self.members].masked_fill(self.absent, float("-inf")).logsumexp(-1)


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
            f"teacher.class_map names class {largest}, and the teacher's head has {classes}, from 0 to {classes - 1}"
        )
