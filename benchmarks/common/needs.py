"""Checks at a benchmark's start: what it needs is there before anything is measured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trainers.fetch import NotFetched, fetch
from trainers.registry.datasets import DATASETS


def data_sets(names: Iterable[str], root: Path) -> None:
    """Lays all of these data sets that have to be fetched below `root`.

    Raises:
        SystemExit: One of them cannot be had; with the reason, the status is 1.
    """
    for name in dict.fromkeys(names):
        if name not in DATASETS or DATASETS[name].fetched_by in ("nothing", "yourself"):
            continue
        try:
            fetch(name, root)
        except (NotFetched, OSError) as error:
            raise SystemExit(f"Nothing was measured: this benchmark needs {name}. {error}") from error
