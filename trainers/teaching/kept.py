"""Weights that are made once: whoever needs them next finds them in the store, and whoever needs them now waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor

from trainers.disk import has_file
from trainers.locks import locked
from trainers.zoo import weights


class Shared(Protocol):
    """What machines without a common disk have in common: files, by their paths below the store."""

    def fetch(self, path: Path) -> bool:
        """Brings the file here, whole; False where no machine has made it."""

    def settle(self, made: Path, path: Path) -> None:
        """Puts what was made here in its place, for all; where another machine was faster, theirs takes it."""


def kept(path: Path, make: Callable[[], Mapping[str, Tensor]], shared: Shared | None = None) -> dict[str, Tensor]:
    """The tensors of the file at `path`, made and written first where there is none.

    One process makes them, others wait for it (an advisory lock, which ends with its holder). The file's name says all
    that the tensors depend on, and is complete or does not exist. Machines without a common disk may each make their
    own at once: all go on with what `shared` had first.
    """
    if not has_file(path):
        with locked(path):
            if not has_file(path) and not (shared is not None and shared.fetch(path)):
                _make(path, make, shared)
    return weights.load(path)


def _make(path: Path, make: Callable[[], Mapping[str, Tensor]], shared: Shared | None) -> None:
    if shared is None:
        weights.save(make(), path)
        return
    made = path.with_name(f"made-{path.name}")
    if not has_file(made):  # else it could not be shared, the last time
        weights.save(make(), made)
    shared.settle(made, path)
