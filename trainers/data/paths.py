"""Resolution of a spec's relative paths, always below the root that the operator configured."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from trainers.errors import DatasetInvalid


def below(root: Path, relative: str | None) -> Path:
    """`root / relative`; raises DatasetInvalid where it is absent, absolute, has `..` in it, or a link leads out."""
    if not relative or "\0" in relative:
        raise DatasetInvalid("this data set needs a path below the data root")
    parts = PurePosixPath(relative)
    if parts.is_absolute() or ".." in parts.parts:
        raise DatasetInvalid(f"the path {relative!r} must be relative and stay below the data root")
    path = root / relative
    if not inside(path, root):
        raise DatasetInvalid(f"the path {relative!r} must stay below the data root")
    return path


def inside(path: Path, root: Path) -> bool:
    """Whether `path`, all links followed, lies below `root`."""
    return path.resolve().is_relative_to(root.resolve())
