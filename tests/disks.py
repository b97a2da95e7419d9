"""Disks that fill and empty, and disks that refuse: a small file system of one's own where it may be mounted, else
system calls that fail below a folder."""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

MEGABYTE = 1_000_000
_CHUNK = 4096
# What changes a folder, and what looks at it.
WRITES = ("mkdir", "rename", "replace", "unlink", "rmdir")
LOOKS = ("stat", "lstat", "scandir", "listdir")


class Disk:
    """A folder on a file system of its own, of a few megabytes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._ballast = root / "ballast"

    def fill(self) -> None:
        """Leaves no byte of room."""
        with suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while file.write(bytes(_CHUNK)):
                continue

    def empty(self) -> None:
        """Gives the room back."""
        self._ballast.unlink(missing_ok=True)

    def remount(self, how: str) -> None:
        """`ro` or `rw`."""
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.root)], check=True)


@contextmanager
def mounted(root: Path, megabytes: int) -> Iterator[Disk | None]:
    """A tmpfs at `root`; None where this process may not mount one."""
    root.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "thermowell-test", str(root)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        yield None
        return
    try:
        yield Disk(root)
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


class Faulty:
    """A folder below which system calls fail as they would on a disk in that state; what is open already goes on."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self.number, self.calls = root, 0, frozenset[str]()
        self._patch = patch
        for name in (*WRITES, *LOOKS, "open"):
            self._wrap(os, name, name)
        for module in (builtins, io):
            self._wrap(module, "open", "open")
        self._wrap_safetensors()

    def fail(self, number: int, *calls: str) -> None:
        """From now on these calls fail with this errno; 0 for none. Opening in order to write is `create`."""
        self.number, self.calls = number, frozenset(calls)

    def _refuse(self, call: str, path: Any) -> None:
        if not self.number or call not in self.calls or not isinstance(path, str | os.PathLike):
            return
        if Path(path).is_relative_to(self.root):
            raise OSError(self.number, os.strerror(self.number), os.fspath(path))

    def _wrap(self, module: Any, name: str, call: str) -> None:
        real: Callable[..., Any] = getattr(module, name)

        def wrapped(path: Any = ".", *given: Any, **named: Any) -> Any:
            writes = call == "open" and _writes(given[0] if given else named.get("mode", named.get("flags", "r")))
            within = named.get("dir_fd")  # as shutil.rmtree does
            self._refuse("create" if writes else call, path if within is None else _folder_of(within) / path)
            return real(path, *given, **named)

        self._patch.setattr(module, name, wrapped)

    def _wrap_safetensors(self) -> None:
        """Rust opens its files itself, and tells of a fault in words."""
        import safetensors.torch

        real = safetensors.torch.save_file

        def save_file(tensors: Any, filename: Any, *given: Any, **named: Any) -> None:
            try:
                self._refuse("create", filename)
            except OSError as error:
                said = f"Error while serializing: I/O error: {os.strerror(self.number)} (os error {error.errno})"
                raise SafetensorError(said) from None
            real(tensors, filename, *given, **named)

        self._patch.setattr(safetensors.torch, "save_file", save_file)


def _folder_of(descriptor: int) -> Path:
    with suppress(OSError):
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))
    return Path()


def _writes(mode: Any) -> bool:
    if isinstance(mode, int):
        return bool(mode & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    return any(letter in str(mode) for letter in "wax+")


KINDS = {
    "full": (errno.ENOSPC, ("mkdir", "create")),
    "over quota": (errno.EDQUOT, ("mkdir", "create")),
    "read-only": (errno.EROFS, (*WRITES, "create")),
    "broken": (errno.EIO, (*WRITES, *LOOKS, "open", "create")),
    "stale": (errno.ESTALE, (*WRITES, *LOOKS, "open", "create")),
    "refused": (errno.EACCES, (*WRITES, *LOOKS, "open", "create")),
}
