"""Weights that came over HTTP: noted in the store with their time, and deleted once no job has named them for long.

What an operator keeps where a worker runs has no note, and stays.
"""

from __future__ import annotations

import re
from pathlib import Path

import structlog

from search.claims import artifacts
from search.errors import StoreUnavailable
from search.storage.db import Database
from search.storage.store import Store

NOTES = "sent"
"""The key of the folder of notes: empty files, whose names are digest and time (by the database's clock)."""
_NOTE = re.compile(r"([0-9a-f]{64})-(\d+)")
_log = structlog.get_logger(__name__)


def keep(db: Database, files: Store, path: Path) -> str:
    """Copies a file that was sent into the store and answers its digest; from now on it is kept for a while.

    One that was there before without a note is an operator's or a job's, and gets none. StoreUnavailable.
    """
    sha256 = artifacts.digest_of(path)
    place = artifacts.place(sha256)
    if files.exists(place) and sha256 not in _notes(files):
        return sha256
    files.put(place, path)
    with db.write() as connection:
        artifacts.lock_digest(connection, sha256)  # nobody forgets this file between now and the note
        if not files.exists(place):
            files.put(place, path)
        outdated = _notes(files).get(sha256)
        moment = int(db.now(connection))
        with files.adding(_key(sha256, moment)) as note:
            note.touch()
        if outdated is not None and outdated != moment:
            files.delete(_key(sha256, outdated))
    return sha256


def keep_for_good(files: Store, path: Path) -> str:
    """Copies an operator's file into the store and answers its digest, whether it was sent before or not.
    StoreUnavailable.
    """
    sha256 = artifacts.digest_of(path)
    moment = _notes(files).get(sha256)
    if moment is not None:
        files.delete(_key(sha256, moment))
    return artifacts.keep(files, path)


def sweep(db: Database, files: Store, seconds: float) -> int:
    """Deletes the files that were sent longer ago than that and are named by no job, and answers how many they were."""
    try:
        return sum(_forget(db, files, sha256, moment) for sha256, moment in _outdated(db, files, seconds))
    except StoreUnavailable as error:
        _log.warning("weights that were sent and are not used cannot be deleted", error=str(error))
        return 0


def _outdated(db: Database, files: Store, seconds: float) -> list[tuple[str, int]]:
    notes = _notes(files)
    if not notes:
        return []
    with db.read() as connection:
        now = db.now(connection)
        return [
            (sha256, moment)
            for sha256, moment in notes.items()
            if now - moment > seconds and not artifacts.is_referred(connection, sha256)
        ]


def _forget(db: Database, files: Store, sha256: str, moment: int) -> bool:
    with db.write() as connection:
        artifacts.lock_digest(connection, sha256)
        if _notes(files).get(sha256) != moment or artifacts.is_referred(connection, sha256):
            return False  # sent again, or named, meanwhile
        files.delete(artifacts.place(sha256))
        files.delete(_key(sha256, moment))
    _log.info("weights that no job named are deleted", sha256=sha256)
    return True


def _notes(files: Store) -> dict[str, int]:
    """When each file was sent last, in seconds."""
    matches = filter(None, map(_NOTE.fullmatch, files.names(NOTES)))
    notes: dict[str, int] = {}
    for match in matches:
        notes[match[1]] = max(int(match[2]), notes.get(match[1], 0))
    return notes


def _key(sha256: str, moment: int) -> str:
    return f"{NOTES}/{sha256}-{moment}"
