"""Weights that are made once: whoever needs them next finds them in the store, and whoever needs them now waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from filelock import FileLock
from torch import Tensor

from trainers.zoo import weights


def kept(path: Path, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors of the file at `path`, made and written first where there is none.

    One process makes them, others wait for it (an advisory lock, which ends with its holder). The file's name says all
    that the tensors depend on, and is complete or does not exist.
    """
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                weights.save(make(), path)
    return weights.load(path)
