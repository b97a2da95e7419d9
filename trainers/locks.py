"""Locks on files below the store: one process makes what others wait for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from trainers import disk


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock beside a file, whose folder is made; it ends with its holder. StorageFault."""
    lock = FileLock(path.with_suffix(".lock"))
    with disk.guarded(f"{path.name} cannot be locked"):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        with disk.guarded(f"{path.name} cannot be unlocked"):
            lock.release()
