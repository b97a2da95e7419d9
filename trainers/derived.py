"""Derived files, each with its digest beside it: what was damaged since is set aside, and made anew by who needs it."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from trainers.disk import guarded, has_file, whole
from trainers.errors import TrainingError
from trainers.locks import locked

SUFFIX = ".sha256"
"""A file's digest lies in the file of its name with this, as sha256sum writes and checks it."""
KEPT = 3
"""So many damaged files of one name are kept for whoever asks why; the oldest make way."""
_BROKEN = (TrainingError, ValueError, TypeError, KeyError, EOFError)
_log = logging.getLogger(__name__)
Value = TypeVar("Value")


class Damaged(ValueError):
    """A derived file is not what was written."""


def opened(
    files: Sequence[Path],
    load: Callable[[], Value],
    make: Callable[[], None],
    adopt: Callable[[Value], None] = lambda _: None,
) -> Value:
    """What `load` reads from the files, which `make` writes first where one is missing or damaged.

    One process makes them, others wait for it (an advisory lock, which ends with its holder). A file from before there
    were digests is taken if it can be read and `adopt` raises nothing about what was read (Damaged), and is given its
    digest then.
    """
    value = _intact(files, load, adopt, aside=False)
    if value is not None:
        return value
    with locked(files[0]):
        value = _intact(files, load, adopt, aside=True)  # who held the lock before may have made them
        if value is None:
            make()
            for path in files:
                seal(path)
            value = load()
    return value


def read(path: Path, load: Callable[[], Value]) -> Value | None:
    """What `load` reads from a file; None where it is missing, or was damaged and is set aside now.

    For whoever holds a lock, and writes the file anew and seals it.
    """
    return _intact([path], load, lambda _: None, aside=True)


def seal(path: Path, sha256: str | None = None) -> None:
    """Writes the digest beside the file: the file's, unless it is known what it should be."""
    with whole(_beside(path), f"the digest of {path.name} cannot be written") as partial:
        partial.write_text(f"{sha256 or digest_of(path)}  {path.name}\n")


def unseal(path: Path) -> None:
    """Removes the digest of a file that is no more, or is to be another."""
    with guarded(f"the digest of {path.name} cannot be removed"):
        _beside(path).unlink(missing_ok=True)


def check(path: Path) -> bool:
    """Whether a digest lies beside the file. Damaged where there is one, and it is another's."""
    try:
        with guarded(f"the digest of {path.name} cannot be read"):
            text = _beside(path).read_text()
    except FileNotFoundError:
        return False
    except UnicodeDecodeError as error:
        raise Damaged(f"{_beside(path).name} holds no digest") from error
    match = re.match(r"[0-9a-f]{64}\b", text)
    if match is None:
        raise Damaged(f"{_beside(path).name} holds no digest")
    actual = digest_of(path)
    if actual != match[0]:
        raise Damaged(f"its sha256 is {actual}, {match[0]} was written")
    return True


def digest_of(path: Path) -> str:
    """sha256 of a file, read in blocks."""
    with guarded(f"{path.name} cannot be read"), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def set_aside(path: Path, why: object) -> None:
    """Renames a damaged file to `.damaged-NAME.1` and so on, drops its digest, and says so in the log."""
    names = [path.with_name(f".damaged-{path.name}.{number}") for number in range(1, KEPT + 1)]
    with guarded(f"{path.name} is damaged ({why}) and cannot be set aside"):
        free = [name for name in names if not name.exists()]
        target = free[0] if free else min(names, key=lambda name: name.stat().st_mtime_ns)
        os.replace(path, target)
        os.utime(target)
    unseal(path)
    _log.warning("%s is damaged (%s): kept as %s, and made anew", path, why, target.name)


def _intact(
    files: Sequence[Path], load: Callable[[], Value], adopt: Callable[[Value], None], *, aside: bool
) -> Value | None:
    """What is read; None where a file is missing or damaged, which is set `aside`, or left for the holder of a lock."""
    if not all(has_file(path) for path in files):
        return None
    sealed = []
    for path in files:
        try:
            sealed.append(check(path))
        except Damaged as error:
            if aside:
                set_aside(path, error)
            return None
    if not (aside or all(sealed)):
        return None  # taken, or not, by one process
    try:
        value = load()
        if not all(sealed):
            adopt(value)
    except _BROKEN as error:
        if aside:
            for path in files:
                set_aside(path, error)
        return None
    for path, has_digest in zip(files, sealed, strict=True):
        if not has_digest:
            seal(path)
    return value


def _beside(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)
