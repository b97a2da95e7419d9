"""Weights that are made once: whoever needs them next finds them in the store, and whoever needs them now waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor

from trainers import derived
from trainers.errors import TeacherInvalid
from trainers.zoo import weights

_TRIES = 2  # what comes damaged twice is damaged there, and not on its way


class Shared(Protocol):
    """What machines without a common disk have in common: files, by their paths below the store."""

    def fetch(self, path: Path) -> bool:
        """Brings the file here, whole, with its digest if it has one; False where no machine has made it."""

    def settle(self, source: Path, path: Path) -> None:
        """Puts what was made here in its place, for all; where another machine was faster, theirs takes it.

        The place is free, or taken by the damaged file that `fetch` has brought last.
        """


def cached(path: Path, make: Callable[[], Mapping[str, Tensor]], shared: Shared | None = None) -> dict[str, Tensor]:
    """The tensors of the file at `path`, made and written first where there is none, or a damaged one.

    One process makes them, others wait for it (an advisory lock, which ends with its holder). The file's name says all
    that the tensors depend on, and is complete or does not exist. Machines without a common disk may each make their
    own at once: all go on with what `shared` had first.
    """
    return derived.opened([path], lambda: weights.load(path), lambda: _make(path, make, shared), check_finite)


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Damaged where a tensor of floats has others than finite ones: all that can be told of a file without a digest."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise derived.Damaged(f"{name} is not finite")


def _make(path: Path, make: Callable[[], Mapping[str, Tensor]], shared: Shared | None) -> None:
    if shared is None:
        weights.save(make(), path)
        return
    for _ in range(_TRIES):
        if not shared.fetch(path):
            break
        if derived.read(path, lambda: _finite(path)) is not None:
            return
    source = path.with_name(f"made-{path.name}")
    if derived.read(source, lambda: _finite(source)) is None:  # else it could not be shared, the last time
        weights.save(make(), source)
        derived.seal(source)
    shared.settle(source, path)
    derived.unseal(source)
    if derived.read(path, lambda: _finite(path)) is None:
        raise TeacherInvalid(f"{path.name} came damaged from another machine, which made it meanwhile: try again")


def _finite(path: Path) -> Mapping[str, Tensor]:
    tensors = weights.load(path)
    check_finite(tensors)
    return tensors
