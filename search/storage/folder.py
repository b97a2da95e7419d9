"""Files in a folder that API and workers share: the default, for one machine or a common disk."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Folder:
    """A `store.Store` below `root`. What is being written has a hidden name on the same disk, and is then renamed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check(self) -> None:
        """Nothing to ask: the folder is made when it is first written to."""

    def put(self, key: str, source: Path) -> None:
        """Copies a file in, so that it survives the machine's crash once it is there."""
        with self.adding(key) as path, source.open("rb") as read, path.open("xb") as written:
            path.chmod(0o644)
            shutil.copyfileobj(read, written)
            written.flush()
            os.fsync(written.fileno())

    @contextmanager
    def adding(self, key: str) -> Iterator[Path]:
        """A hidden name beside its place."""
        final = self.root / key
        final.parent.mkdir(parents=True, exist_ok=True)
        hidden = final.with_name(f".{final.name}.{uuid.uuid4().hex}")
        try:
            yield hidden
            if hidden.is_dir():
                shutil.rmtree(final, ignore_errors=True)  # a folder does not replace one that has something in it
            hidden.replace(final)
        finally:
            _remove(hidden)

    @contextmanager
    def reading(self, key: str) -> Iterator[Path]:
        """The place itself."""
        path = self.root / key
        if not path.exists():
            raise FileNotFoundError(f"there is no {key} in the artifact store")
        yield path

    def exists(self, key: str) -> bool:
        """Whether there is such a file or folder."""
        return (self.root / key).exists()

    def names(self, key: str) -> list[str]:
        """What lies in a folder."""
        with suppress(FileNotFoundError):
            return sorted(entry.name for entry in (self.root / key).iterdir())
        return []

    def delete(self, key: str) -> None:
        """Deletes a file or a folder."""
        _remove(self.root / key)

    def close(self) -> None:
        """Nothing is held."""


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
