"""A disk that fills and empties below the artifact root while a fleet works on it: at the beginning, when nobody has a
teacher yet, in the middle, and near the end, when jobs are to be closed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving.chaos_faults import Faults
from tests.disks import Disk, mounted

MEGABYTES = 64
SHARES = (0.0, 0.5, 0.9)  # of all work, at which the disk fails
SECONDS = 5.0  # for so long


class Away:
    """In place of a disk of its own, where none may be mounted: the folder is moved away and comes back."""

    def __init__(self, root: Path) -> None:
        self._root, self._away = root, root.with_name(f"{root.name}-away")

    def fill(self) -> None:
        """There is no such folder from now on."""
        if self._root.exists():
            self._root.rename(self._away)

    def empty(self) -> None:
        """It is back, with all that was in it."""
        if self._away.exists():
            self._away.rename(self._root)


@dataclass(slots=True)
class DiskFaults:
    """Faults of the disk beside all others."""

    disk: Disk | Away
    others: Faults
    seconds: float = SECONDS
    _struck: int = 0
    _until: float | None = field(default=None)  # when the disk is to work again, while it does not

    @property
    def counts(self) -> Counter[str]:
        """How often what befell the fleet."""
        return self.others.counts + Counter({"full disk": self._struck})

    def strike(self, share: float) -> None:
        """Whatever is due, at this share (0 to 1) of all work."""
        now = time.monotonic()
        if self._until is not None and now >= self._until:
            self.disk.empty()
            self._until = None
        elif self._until is None and self._struck < len(SHARES) and share >= SHARES[self._struck]:
            self.disk.fill()
            self._struck, self._until = self._struck + 1, now + self.seconds
        self.others.strike(share)


@contextmanager
def failing_disk(root: Path) -> Iterator[Disk | Away]:
    """The disk of an artifact root that does not exist yet; it works when the block ends."""
    with mounted(root, MEGABYTES) as disk:
        failing = disk or Away(root)
        try:
            yield failing
        finally:
            failing.empty()
