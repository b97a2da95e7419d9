"""The test part behind its seal: opened with a permit, and then kept, for several students are measured on it."""

from __future__ import annotations

from torch import Tensor

from trainers.data import datasets
from trainers.data.datasets import Part
from trainers.spec import TestPermit
from trainers.teaching import teacher


class SealedTest:
    """A problem's test images and labels, and the teacher's logits on them, none of which is read before `open`."""

    def __init__(self, setting: teacher.Setting) -> None:
        self._setting = setting
        self._opened: tuple[Part, Tensor] | None = None

    def open(self, permit: TestPermit) -> tuple[Part, Tensor]:
        """The part and the teacher's logits [n, classes], on the CPU; TestSplitSealed unless the permit is one."""
        datasets.check_permit(permit)
        if self._opened is None:
            setting = self._setting
            part = datasets.load_test(setting.problem.data, setting.data, permit, setting.split.budget)
            self._opened = part, teacher.test_logits(setting, part.images)
        return self._opened
