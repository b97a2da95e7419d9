"""What lies below a worker's data root, as it publishes it with its heartbeat: sets by name, and files by path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainers.fetch import present

MOST_PATHS = 200
DEPTH = 2


def inventory(root: Path) -> dict[str, Any]:
    """Sets of the catalogue that are there, and paths of files and folders down to DEPTH, hidden ones left out.

    `complete` is False where there are more than MOST_PATHS, or one of the folders cannot be read: then a path that is
    not listed may be there all the same.
    """
    paths: list[str] = []
    complete = True
    try:
        for path in _below(root, "", DEPTH):
            if len(paths) == MOST_PATHS:
                complete = False
                break
            paths.append(path)
    except OSError:
        complete = False
    sets = sorted(name for name, is_present in present(root).items() if is_present)
    return {"sets": sets, "paths": sorted(paths), "complete": complete}


def _below(root: Path, prefix: str, depth: int) -> Iterator[str]:
    """Breadth first, so that what is cut off lies deepest. OSError, but for a root that is not there."""
    try:
        with os.scandir(root) as entries:
            listed = sorted((entry.name, entry.is_dir()) for entry in entries if not entry.name.startswith("."))
    except FileNotFoundError:
        return
    for name, _ in listed:
        yield prefix + name
    if depth > 1:
        for name, is_folder in listed:
            if is_folder:
                yield from _below(root / name, f"{prefix}{name}/", depth - 1)
