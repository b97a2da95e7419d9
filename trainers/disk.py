"""Faults of a disk, whichever library reports them: full, over quota, read-only, gone, not answering.

safetensors, torch, numpy, zipfile, pyarrow and filelock each raise something else for the same full disk, some of them
no OSError. Here they become one error, `StorageFault`, which is nobody's job's fault.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainers.errors import NO_ROOM, StorageFault


def _numbers(*names: str) -> frozenset[int]:
    return frozenset(getattr(errno, name) for name in names if hasattr(errno, name))  # not every system has them all


FAULTS = NO_ROOM | _numbers(
    "EIO", "EROFS", "ESTALE", "ENODEV", "ENXIO", "ENOTCONN", "EREMOTEIO", "EHOSTDOWN", "EUCLEAN", "ENOLINK",
    "ENOMEDIUM", "ECOMM", "ESHUTDOWN",
)  # fmt: skip
"""What no program can bring about by itself, wherever it is raised."""
_OF_PROGRAMS = _numbers(
    "ENOENT", "EEXIST", "EISDIR", "ENOTDIR", "ENOTEMPTY", "ENAMETOOLONG", "ELOOP", "EINVAL", "EBADF", "EXDEV", "EPIPE",
    "ECONNRESET", "ECONNABORTED", "ECONNREFUSED",
)  # fmt: skip
_NUMBER = re.compile(r"\((?:os )?error (\d+)\)|\[errno (\d+)\]", re.IGNORECASE)  # Rust's and Arrow's
_WORDS = {os.strerror(number).lower(): number for number in FAULTS}
# numpy's short write, torch's writer of zip files, and a temporary folder in which nothing can be written
_CUT_SHORT = re.compile(
    r"\d+ requested and \d+ written|inline_container\.cc.*unexpected pos|PytorchStreamWriter failed"
    r"|No usable temporary directory found",
    re.DOTALL,
)


def fault_of(error: BaseException, *, of_store: bool = False) -> int | None:
    """The errno of the disk's fault that an error tells of, by itself or by what it was raised from; None for others.

    With `of_store` it was raised while files of the store were written, read or removed: then refused permissions, a
    lock that cannot be had and whatever else a system call refuses are faults too, and only what is missing or there
    already is none.
    """
    visited: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in visited:
        visited.add(id(following))
        number = _number_of(following, of_store and following is error)
        if number is not None:
            return number
        following = following.__cause__ or (None if following.__suppress_context__ else following.__context__)
    return None


def _number_of(error: BaseException, of_store: bool) -> int | None:
    if isinstance(error, StorageFault) or (isinstance(error, OSError) and error.errno in FAULTS):
        return error.errno
    if isinstance(error, OSError) and error.errno is not None and error.errno != errno.ENOENT:
        return error.errno if of_store and error.errno not in _OF_PROGRAMS else None
    if isinstance(error, OSError | RuntimeError | ValueError) or type(error).__name__ == "SafetensorError":
        text = str(error)
        if _CUT_SHORT.search(text):
            return errno.ENOSPC
        for match in _NUMBER.finditer(text):
            number = int(match[1] or match[2])
            if number in FAULTS or (of_store and number not in _OF_PROGRAMS):
                return number
        lowered = text.lower()
        for words, number in _WORDS.items():
            if words in lowered:
                return number
    # filelock's, and what a library raises without a number
    failed_without_number = isinstance(error, OSError) and not isinstance(error, FileNotFoundError | FileExistsError)
    return errno.EIO if of_store and failed_without_number else None


def has_file(path: Path) -> bool:
    """Whether there is such a file. StorageFault where the disk does not say."""
    with guarded(f"{path.name} cannot be looked for"):
        try:
            return stat.S_ISREG(path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False


@contextmanager
def guarded(action: str, partial: Path | None = None) -> Iterator[None]:
    """Files of the store are written, read or removed in the block; StorageFault where the disk fails at it.

    `partial` is where something is written before it has its name: nothing of it stays where the block fails.
    """
    try:
        yield
    except BaseException as error:
        if partial is not None:
            with suppress(OSError):  # a disk that is read-only by now keeps it
                partial.unlink(missing_ok=True)
        if isinstance(error, StorageFault) or not isinstance(error, Exception):
            raise
        number = fault_of(error, of_store=True)
        if number is None:
            raise
        raise StorageFault(number, f"{action}: {error}") from error


@contextmanager
def whole(path: Path, action: str) -> Iterator[Path]:
    """A name beside `path` to write to, which becomes `path` after the block: that is complete or does not exist.

    Makes the folder. StorageFault where the disk fails; nothing is left where the block does.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with guarded(action, partial):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)
