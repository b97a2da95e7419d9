"""Memory and disk that a process and its descendants take, looked at again and again while they run."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

INTERVAL = 0.5
_KINDS = {"Pss:": "memory", "Pss_Anon:": "anonymous", "Pss_File:": "mapped", "Pss_Shmem:": "shared"}


@dataclass(slots=True)
class Peaks:
    """The most bytes of each kind at one look. `memory` are proportional sets: what several processes share counts
    once; of it, `anonymous` cannot be dropped, while `mapped` pages of files can. `unnamed` is disk under files without
    a name.
    """

    bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*_KINDS.values(), "unnamed"), 0))
    looks: int = 0

    def look(self, pid: int) -> None:
        """Adds up what a process and its descendants have now."""
        pids = [pid, *descendants(pid)]
        totals = dict.fromkeys(self.bytes, 0)
        for process in pids:
            with suppress(OSError):  # it has ended
                for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                    key, _, value = line.partition(" ")
                    if key in _KINDS:
                        totals[_KINDS[key]] += int(value.split()[0]) * 1024
        totals["unnamed"] = sum(unnamed_files(pids).values())
        self.bytes = {kind: max(peak, totals[kind]) for kind, peak in self.bytes.items()}
        self.looks += 1


def descendants(pid: int) -> list[int]:
    """The children of a process, and theirs."""
    children: list[int] = []
    for task in Path("/proc").glob(f"{pid}/task/*/children"):
        with suppress(OSError):
            children += [int(child) for child in task.read_text().split()]
    return [each for child in children for each in (child, *descendants(child))]


def unnamed_files(pids: list[int]) -> dict[tuple[int, int], int]:
    """Bytes on disk of files that the processes have open and that have no name any more, each once."""
    sizes = {}
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(OSError):
                entry = os.stat(descriptor)
                if stat.S_ISREG(entry.st_mode) and not entry.st_nlink:
                    sizes[entry.st_dev, entry.st_ino] = entry.st_blocks * 512
    return sizes


def folder_bytes(folder: Path) -> int:
    """Bytes on disk of the files below a folder."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


@contextmanager
def watched(pid: int, peaks: Peaks) -> Iterator[None]:
    """Looks at the process and its descendants until the block ends."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(INTERVAL):
            peaks.look(pid)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
