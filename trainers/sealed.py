"""The test part behind its seal: opened with a permit, and then kept, for several students are measured on it."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from trainers import datasets, teacher
from trainers.datasets import Part
from trainers.spec import TestPermit


class SealedTest:
    """A problem's test images and labels, and the teacher's logits on them, none of which is read before `open`."""

    def __init__(self, setting: teacher.Setting, data_root: Path) -> None:
        self._setting, self._root = setting, data_root
        self._opened: tuple[Part, Tensor] | None = None

    def open(self, permit: TestPermit) -> tuple[Part, Tensor]:
        """The part and the teacher's logits [n, classes], on the CPU; TestSplitSealed unless the permit is one."""
        datasets.check_permit(permit)
        if self._opened is None:
            part = datasets.load_test(self._setting.problem.data, self._root, permit)
            self._opened = part, teacher.test_logits(self._setting, part.images)
        return self._opened
