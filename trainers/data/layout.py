"""The tree of a folder of pictures: which of its folders are parts (train, validation, test) and which are classes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from trainers.errors import DatasetInvalid
from trainers.spec import Layout

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""The names of each part, in any case."""
_PART_OF = {name: part for part, names in PARTS.items() for name in names}
_HIDDEN = frozenset(
    {"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "system volume information", "lost+found"}
)
_SHOWN = 8
_SAY = (
    "say which it is: `dataset.layout: parts` (train/, val/ and test/ with a folder per class in each; all others are "
    "passed over) or `dataset.layout: classes` (each folder is a class)"
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tree:
    """The folders that hold a folder per class: all pictures, or the parts that there are."""

    train: Path
    validation: Path | None = None
    test: Path | None = None


@dataclass(frozen=True, slots=True)
class _Folder:
    """What lies in one folder: so many pictures of its own, folders with pictures below them, and folders without."""

    name: str
    loose: int
    filled: tuple[str, ...]
    empty: tuple[str, ...]

    @property
    def pictures(self) -> bool:
        return bool(self.loose or self.filled)

    def words(self) -> str:
        if not self.pictures:
            return f"{self.name}/ (no pictures)"
        loose = f"{self.loose} pictures" if self.loose else ""
        filled = f"the folders {shown(self.filled)}" if self.filled else ""
        return f"{self.name}/ ({' and '.join(filter(None, (loose, filled)))})"


def hidden(name: str) -> bool:
    """Whether a file or folder of that name is the system's, not the data's: .DS_Store, ._x, Thumbs.db, __MACOSX."""
    return name.startswith(".") or name.casefold() in _HIDDEN


def legible(name: str) -> str:
    """A name with a question mark for each byte that is no text, which could be written nowhere."""
    return name.encode("utf-8", "replace").decode()


def shown(names: Iterable[str]) -> str:
    """The first of some names, and how many more there are."""
    words = list(names)
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more


def pictures(folder: Path) -> list[Path]:
    """The pictures below a folder, hidden ones passed over, sorted."""
    return sorted(
        Path(place, name) for place, _, names in _walk(folder) for name in names if _is_picture(name)
    )  # fmt: skip


def classes(folder: Path) -> list[str]:
    """The names of the folders in `folder`, sorted: the class numbers are their places. DatasetInvalid below two."""
    inside = _look(folder)
    names = sorted((*inside.filled, *inside.empty))
    if len(names) < 2:
        raise DatasetInvalid(f"{folder.name} needs a folder for each of two or more classes: {_lack(folder, inside)}")
    unreadable = [name for name in names if name != legible(name)]
    if unreadable:
        raise DatasetInvalid(
            f"{folder.name} has classes whose names are no UTF-8: {shown(map(legible, unreadable))}. Rename these "
            "folders"
        )
    if inside.loose:
        _log.warning("%s: %d pictures beside the class folders have no class: passed over", folder.name, inside.loose)
    return names


def tree(folder: Path, layout: Layout | None) -> Tree:
    """The parts of a folder of pictures, as `layout` says or, where it says nothing, as the tree shows.

    DatasetInvalid where the tree could be either, with what was seen in it.
    """
    if layout == "classes":
        return Tree(folder)
    folders = [_look(path) for path in _folders(folder)]
    if layout == "parts":
        return _parts(folder, folders)
    part_folders = [subfolder for subfolder in folders if subfolder.name.casefold() in _PART_OF]
    rest = [subfolder for subfolder in folders if subfolder.name.casefold() not in _PART_OF]
    if not any(subfolder.filled for subfolder in part_folders):
        return _classes(folder, part_folders, rest)
    pictured = [subfolder for subfolder in rest if subfolder.pictures]
    train = next(
        (
            subfolder
            for subfolder in part_folders
            if _PART_OF[subfolder.name.casefold()] == "train" and subfolder.filled
        ),
        None,
    )
    if train is None or (pictured and not _clear(train, part_folders, pictured)):
        raise _ambiguous(folder, folders)
    if pictured:
        _log.warning(
            "%s: %s are no part: passed over", folder.name, shown(f"{subfolder.name}/" for subfolder in pictured)
        )
    return _parts(folder, folders)


def _classes(folder: Path, part_folders: list[_Folder], rest: list[_Folder]) -> Tree:
    """The tree whose folders are classes, none with a part's name holding folders of pictures."""
    if any(subfolder.pictures for subfolder in part_folders) and not any(subfolder.pictures for subfolder in rest):
        raise _ambiguous(folder, part_folders)
    filled = [subfolder for subfolder in rest if subfolder.filled]
    if len(filled) > 1 and all(
        not subfolder.loose and {name.casefold() for name in subfolder.filled} <= set(_PART_OF) for subfolder in filled
    ):
        raise _ambiguous(folder, rest)
    return Tree(folder)


def _clear(train: _Folder, part_folders: list[_Folder], rest: list[_Folder]) -> bool:
    """Whether folders are parts for sure, whatever lies beside them: two or more have the same classes, no other."""
    alike = [subfolder for subfolder in part_folders if set(subfolder.filled) == set(train.filled)]
    return len(alike) > 1 and not any(set(subfolder.filled) & set(train.filled) for subfolder in rest)


def _parts(folder: Path, folders: list[_Folder]) -> Tree:
    by_part: dict[str, str] = {}
    for subfolder in folders:
        part = _PART_OF.get(subfolder.name.casefold())
        if part is None:
            continue
        if part in by_part:
            raise DatasetInvalid(
                f"{folder.name} has two folders for {part}, {by_part[part]}/ and {subfolder.name}/: remove or rename "
                "one, or say `dataset.layout: classes` where each folder is a class"
            )
        by_part[part] = subfolder.name
    if "train" not in by_part:
        raise DatasetInvalid(f"{folder.name} has no train/ or training/; it has {_seen(folders)}")
    places = {part: folder / name for part, name in by_part.items()}
    return Tree(places["train"], places.get("validation"), places.get("test"))


def _ambiguous(folder: Path, folders: list[_Folder]) -> DatasetInvalid:
    return DatasetInvalid(f"the folders in {folder.name} could be parts or classes; there are {_seen(folders)}: {_SAY}")


def _lack(folder: Path, inside: _Folder) -> str:
    """Why there are no two classes, with the way out."""
    if not inside.filled:
        loose = f"{inside.loose} pictures lie in it without one" if inside.loose else "it has no pictures"
        empty = f", and {shown(f'{name}/' for name in inside.empty)} is empty" if inside.empty else ""
        return f"{loose}{empty}"
    subfolder = inside.filled[0]
    if _look(folder / subfolder).filled:
        return (
            f"the pictures lie one folder deeper: take them out of {subfolder}/, or give the path that ends with "
            f"{subfolder}"
        )
    return f"there is {subfolder}/ alone"


def _seen(folders: list[_Folder]) -> str:
    return shown(subfolder.words() for subfolder in folders) or "no folders"


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not hidden(path.name))


def _look(folder: Path) -> _Folder:
    entries = [entry for entry in os.scandir(folder) if not hidden(entry.name)]
    loose = sum(_is_picture(entry.name) and not entry.is_dir() for entry in entries)
    inner = sorted(entry.name for entry in entries if entry.is_dir())
    filled = tuple(name for name in inner if _has_pictures(folder / name))
    return _Folder(folder.name, loose, filled, tuple(name for name in inner if name not in filled))


def _has_pictures(folder: Path) -> bool:
    return any(_is_picture(name) for _, _, names in _walk(folder) for name in names)


def _walk(folder: Path) -> Iterable[tuple[str, list[str], list[str]]]:
    for place, inner, names in os.walk(folder):
        inner[:] = sorted(name for name in inner if not hidden(name))
        yield place, inner, names


def _is_picture(name: str) -> bool:
    return not hidden(name) and os.path.splitext(name)[1].lower() in SUFFIXES
