"""Another checkout's service under this checkout's benchmarks, so that both sides are measured on the same worlds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common.facts import ROOT

CONFIGURATIONS = "grid.py"
"""The file of trainers/replay that makes configurations: a checkout's own, for they gain fields."""


@contextmanager
def played_with(checkout: Path) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """A folder and an environment in which Python imports the checkout's service, with the benchmarks and the worlds of
    recorded runs of this checkout.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for room in ("benchmarks", "tests"):
            (folder / room).symlink_to(ROOT / room)
        _link(checkout / "trainers", folder / "trainers", leave=("replay",))
        _link(ROOT / "trainers" / "replay", folder / "trainers" / "replay", leave=(CONFIGURATIONS,))
        grid = checkout / "trainers" / "replay" / CONFIGURATIONS
        (folder / "trainers" / "replay" / CONFIGURATIONS).symlink_to(grid)
        yield folder, {**os.environ, "PYTHONPATH": f"{folder}:{checkout}", "OMP_NUM_THREADS": "1"}


def _link(source: Path, target: Path, leave: tuple[str, ...]) -> None:
    target.mkdir()
    for entry in source.iterdir():
        if entry.name not in leave and entry.name != "__pycache__":
            (target / entry.name).symlink_to(entry)
