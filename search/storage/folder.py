"""Files in a folder that API and workers share: the default, for one machine or a common disk."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from search.errors import StoreUnavailable
from search.storage.disk_faults import guarded

PROBE_BYTES = 65_536
ATTEMPTS = 5  # at removing a folder into which somebody writes


class Folder:
    """A `store.Store` below `root`. What is being written has a hidden name on the same disk, and is then renamed.

    A root that was there and is gone, with its mount say, is never made anew: what was written to it would lie below
    the mount when that comes back.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._mount: Path | None = None  # where the root's disk is mounted, from when the root was seen

    def check(self) -> None:
        """Writes, lists, reads and deletes a small file."""
        key = f"check-{uuid.uuid4().hex}"
        try:
            with self.adding(key) as path, path.open("wb") as file:
                file.write(bytes(PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
            self.names(".")
            with self.reading(key) as path:
                path.read_bytes()
        finally:
            self.delete(key)

    def check_removal(self) -> None:
        """Whether the folder may be changed; a full one may, since removing makes room."""
        self.check_presence()
        if self._mount is not None and not os.access(self.root, os.W_OK | os.X_OK):
            raise StoreUnavailable(f"{self.root} cannot be written: mount it writable, or give this user the right to")

    def check_presence(self) -> None:
        """StoreUnavailable where the root was there before and is not any more."""
        with guarded(f"{self.root} does not answer"):
            is_present = _is_there(self.root)
            if self._mount is None:
                self._mount = _mount_of(self.root) if is_present else None
            elif not is_present or not os.path.ismount(self._mount):
                raise StoreUnavailable(f"{self.root} is gone: mount it again, and it is used again")

    def put(self, key: str, source: Path) -> None:
        """Copies a file in, so that it survives the machine's crash once it is there."""
        with self.adding(key) as path, source.open("rb") as source_file, path.open("xb") as target_file:
            path.chmod(0o644)
            shutil.copyfileobj(source_file, target_file)
            target_file.flush()
            os.fsync(target_file.fileno())

    @contextmanager
    def adding(self, key: str) -> Iterator[Path]:
        """A hidden name beside its place."""
        final = self.root / key
        hidden = final.with_name(f".{final.name}.{uuid.uuid4().hex}")
        with self._using(f"{key} cannot be written"):
            try:
                final.parent.mkdir(parents=True, exist_ok=True)
                yield hidden
                if hidden.is_dir():
                    _remove(final)  # a folder does not replace one that has something in it
                hidden.replace(final)
            finally:
                with suppress(OSError):  # of a disk that has failed; it would hide how
                    _remove(hidden)

    @contextmanager
    def reading(self, key: str) -> Iterator[Path]:
        """The place itself."""
        path = self.root / key
        with self._using(f"{key} cannot be read"):
            if not _is_there(path):
                raise FileNotFoundError(f"there is no {key} in the artifact store")
            yield path

    def exists(self, key: str) -> bool:
        """Whether there is such a file or folder."""
        with self._using(f"{key} cannot be looked for"):
            return _is_there(self.root / key)

    def names(self, key: str) -> list[str]:
        """What lies in a folder."""
        with self._using(f"{key} cannot be listed"), suppress(FileNotFoundError):
            return sorted(entry.name for entry in (self.root / key).iterdir())
        return []

    def delete(self, key: str) -> None:
        """Deletes a file or a folder."""
        with self._using(f"{key} cannot be deleted"):
            _remove(self.root / key)

    def close(self) -> None:
        """Nothing is held."""

    @contextmanager
    def _using(self, action: str) -> Iterator[None]:
        self.check_presence()
        with guarded(action):
            try:
                yield
            except FileNotFoundError:
                self.check_presence()  # where all is missing, it is no single file's absence
                raise


def _is_there(path: Path) -> bool:
    """As Path.exists, which takes a disk that does not answer for a file that is not there, on some versions."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _mount_of(path: Path) -> Path:
    path = path.resolve()
    while not os.path.ismount(path):
        path = path.parent
    return path


def _remove(path: Path) -> None:
    """Removes a file or a folder; OSError where it is still there."""
    for _ in range(ATTEMPTS):
        try:
            if stat.S_ISDIR(path.lstat().st_mode):
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:  # of the path itself, or of what somebody else removes from it now
            if not os.path.lexists(path):
                return
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:
                raise
