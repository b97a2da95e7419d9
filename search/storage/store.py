"""The artifact store that API and workers share: a folder that all of them see, or a bucket."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from search.settings import Settings
from search.storage.bucket import Bucket
from search.storage.folder import Folder


class Store(Protocol):
    """Files and folders by key: parts with slashes between, the same in a folder and in a bucket.

    A file is there whole or not at all, whoever dies while it is written. A folder is there from its first file on:
    who writes one says elsewhere that it is complete. Raises StoreUnavailable for whatever the disk, the mount or the
    bucket did, also within the blocks of `adding` and `reading`; FileNotFoundError and FileExistsError as they are.
    """

    def check(self) -> None:
        """Returns where files can be written, listed, read and deleted; StoreUnavailable, with the way out."""

    def check_removal(self) -> None:
        """Returns where files can be deleted, for which a full disk has room enough; StoreUnavailable."""

    def check_presence(self) -> None:
        """Returns unless what was there before is gone altogether, a mount that was lost; StoreUnavailable."""

    def put(self, key: str, source: Path) -> None:
        """Copies a file into the store, in place of an earlier one."""

    def adding(self, key: str) -> AbstractContextManager[Path]:
        """Where to write a file or a folder, which is in the store once the block has ended without an error."""

    def reading(self, key: str) -> AbstractContextManager[Path]:
        """Where the file or folder can be read within the block. FileNotFoundError."""

    def exists(self, key: str) -> bool:
        """Whether there is such a file or folder."""

    def names(self, key: str) -> list[str]:
        """What lies in a folder, none where it does not exist."""

    def delete(self, key: str) -> None:
        """Deletes the file, or the folder with all in it; what is not there is none the worse."""

    def close(self) -> None:
        """Gives connections back."""


def open_store(settings: Settings) -> Store:
    """The store that the operator has chosen; nothing is asked of it yet."""
    return Folder(settings.artifact_root) if settings.artifact_store is None else Bucket(settings.artifact_store)
