"""The budget of disk of one job: what is made for it that memory does not hold, and what is said of too much."""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from trainers.disk import guarded
from trainers.errors import DiskBudgetExceeded, StorageFault

SETTING = "THERMOWELL_DISK_GB"
_GB = 10**9


@dataclass(frozen=True, slots=True)
class DiskBudget:
    """The folder below which a job's pixels, views and logits lie, and how many bytes they may take together: as many
    as are free there where `most` is None.
    """

    folder: Path
    most: int | None = None
    _taken: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def take(self, purpose: str, size: int, remedy: str) -> None:
        """Notes that so many bytes are about to be written for a purpose; `remedy` is what makes them fewer.

        Raises:
            DiskBudgetExceeded: They and what was taken before are more than the budget.
            StorageFault: The disk has no room for them, which may change.
        """
        total = sum(self._taken.values())
        account = ", ".join(f"{name} {in_gb(count)}" for name, count in self._taken.items())
        account = f", of which are taken: {account}" if account else ""
        free = self._free()
        need = f"{purpose} need {in_gb(size)} of disk"
        if self.most is not None and total + size > self.most:
            raise DiskBudgetExceeded(
                f"{need}; the budget of this job is {in_gb(self.most)} ({SETTING}){account}; {in_gb(free)} are free: "
                f"{remedy}, or raise {SETTING}"
            )
        if size > free:
            raise StorageFault(
                errno.ENOSPC,
                f"{need}; {in_gb(free)} are free below {self.folder}: make room there, or {remedy}",
            )
        self._taken[purpose] = self._taken.get(purpose, 0) + size

    def anew(self) -> DiskBudget:
        """The same of which nothing is taken, for what is gone before the job's own is made."""
        return DiskBudget(self.folder, self.most)

    def _free(self) -> int:
        with guarded("how much room the disk has cannot be read"):
            self.folder.mkdir(parents=True, exist_ok=True)
            return shutil.disk_usage(self.folder).free


def in_gb(size: int) -> str:
    """Bytes as people say them."""
    return f"{size / _GB:.2f} GB" if size >= _GB / 10 else f"{size / 10**6:.2f} MB"
