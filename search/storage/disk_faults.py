"""Faults of the disk and of the store as one error, whichever library reports them: StoreUnavailable."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from search.errors import ScratchUnavailable, StoreFull, StoreUnavailable
from trainers import disk
from trainers.errors import NO_ROOM

WAY_OUT = "free some, enlarge it, or delete jobs that have ended"


def unavailable(error: BaseException, *, of_store: bool = False) -> StoreUnavailable | None:
    """The error as StoreUnavailable, where it tells of a fault of the disk or of the store; None for others.

    With `of_store` it was raised while the store's files were used: see `trainers.disk.fault_of`.
    """
    if isinstance(error, StoreUnavailable):
        return error
    number = disk.fault_of(error, of_store=of_store)
    if number is not None:
        return _of_number(number, str(error))
    following = error.__cause__
    return following if isinstance(following, StoreUnavailable) else None


@contextmanager
def guarded(action: str) -> Iterator[None]:
    """The store's files are used in the block: StoreUnavailable where the disk fails at it, whatever raises that."""
    with _told_as(lambda away, _: type(away)(f"{action}: {away}")):
        yield


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder, which is gone after the block. ScratchUnavailable where it has no room."""
    with (
        _told_as(_no_scratch),
        tempfile.TemporaryDirectory(prefix="thermowell-", ignore_cleanup_errors=True) as folder,
    ):
        yield Path(folder)


@contextmanager
def _told_as(rename: Callable[[StoreUnavailable, Exception], StoreUnavailable]) -> Iterator[None]:
    """A disk's fault in the block is raised as what `rename` makes of it; StoreUnavailable passes as it is."""
    try:
        yield
    except StoreUnavailable:
        raise
    except Exception as error:
        away = unavailable(error, of_store=True)
        if away is None:
            raise
        raise rename(away, error) from error


def _no_scratch(_: StoreUnavailable, error: Exception) -> StoreUnavailable:
    detail = f"{tempfile.gettempdir() if tempfile.tempdir else 'the temporary folder'}: {error}"
    return ScratchUnavailable(f"{detail}; free some room there, or set TMPDIR to a folder that has it")


def _of_number(number: int, detail: str) -> StoreUnavailable:
    if number in NO_ROOM:
        return StoreFull(f"{detail}; there is no room: {WAY_OUT}")
    return StoreUnavailable(detail)
