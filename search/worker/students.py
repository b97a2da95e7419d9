"""Students that wait for their job's end: each with its digest beside it, so that none is measured that was damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from search.claims import artifacts
from search.storage.store import Store
from trainers import derived
from trainers.errors import TrainingError
from trainers.zoo import weights

_log = structlog.get_logger(__name__)


def keep(files: Store, key: str, save: Callable[[Path], None]) -> None:
    """Puts what `save` writes into the store, and then its digest. OSError."""
    with files.adding(key) as path:
        save(path)
        sha256 = artifacts.digest_of(path)
    with files.adding(key + derived.SUFFIX) as path:
        path.write_text(f"{sha256}  {key.rpartition('/')[2]}\n")


def is_whole(files: Store, key: str) -> bool:
    """Whether a student is there, as it was written; of one without a digest, whether it can be read. OSError."""
    if not files.exists(key):
        return False
    sha256 = None
    if files.exists(key + derived.SUFFIX):
        with files.reading(key + derived.SUFFIX) as path:
            sha256 = path.read_bytes()[:64].decode(errors="replace")
    with files.reading(key) as path:
        try:
            weights.load(path)
            whole = sha256 is None or artifacts.digest_of(path) == sha256
        except TrainingError:
            whole = False
    if not whole:
        _log.warning("a kept student is damaged: it is trained again", key=key)
    return whole
