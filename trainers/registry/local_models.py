"""Models in folders below a root that the operator has set, `hf:PATH`, as Hugging Face's transformers save them. Which
there are and what their files are, free of transformers and of torch.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from trainers.registry.files import file_digest

PREFIX = "hf:"
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
NAME = rf"hf:{_PART}(?:/{_PART}){{0,7}}"
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
INDEX = "model.safetensors.index.json"
SETTING = "THERMOWELL_HF_ROOT"
DEPTH = 4
MOST = 200

_root: Path | None = None


def set_root(root: Path | None) -> None:
    """Says where the folders lie in this process; None for nowhere."""
    global _root
    _root = root


def root() -> Path | None:
    """Where they lie."""
    return _root


def is_local(name: str) -> bool:
    """Whether a name is of a model below the root."""
    return name.startswith(PREFIX)


def folder(name: str) -> Path:
    """The folder of a model, with files that all lie below the root. ValueError, with the way out, where it is none."""
    if re.fullmatch(NAME, name) is None:
        raise ValueError(f"{name[:120]!r} is no name: {PREFIX} and a path below {SETTING}, without .. in it")
    if _root is None:
        raise ValueError(f"{name} needs {SETTING}: the folder below which a worker's local models lie")
    base = _root.resolve()
    path = base / name.removeprefix(PREFIX)
    if not (path / CONFIG).is_file():
        raise ValueError(f"{name} is not here: there is no {path / CONFIG}")
    for entry in (path, *path.iterdir()):
        if not entry.resolve().is_relative_to(base):
            raise ValueError(f"{name}: {entry.name} leads out of {SETTING}, and is not read: put a copy in its place")
    return path


def weight_files(path: Path) -> list[Path]:
    """The safetensors files of a model's folder. ValueError where it has none, or an index that leads elsewhere."""
    index = path / INDEX
    if index.is_file():
        try:
            names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{INDEX} cannot be read: {error}") from error
        if any(not isinstance(name, str) or re.fullmatch(rf"{_PART}\.safetensors", name) is None for name in names):
            raise ValueError(f"{INDEX} names files that are no safetensors beside it")
        files = [path / name for name in names]
    else:
        files = [path / "model.safetensors"]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise ValueError(
            f"there is no {missing[0]}: other files of weights are not read. Save it with "
            "model.save_pretrained(FOLDER, safe_serialization=True)"
        )
    return files


def fingerprint(name: str) -> str | None:
    """Hex digest of a model's configuration, preprocessing and weights, if it has any; None where it is not here."""
    try:
        path = folder(name)
        files = [path / CONFIG, *(file for file in (path / PREPROCESSOR,) if file.is_file())]
        with suppress(ValueError):  # an architecture alone
            files += weight_files(path)
        content = {file.name: file_digest(file) for file in files}
    except (ValueError, OSError):
        return None
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def listing() -> list[str]:
    """The names of the models below the root, down to DEPTH, MOST of them at most."""
    names: list[str] = []
    for path in _folders(_root, DEPTH) if _root is not None else ():
        name = f"{PREFIX}{path.relative_to(_root or path).as_posix()}"
        try:
            folder(name)
        except (ValueError, OSError):
            continue
        names.append(name)
        if len(names) == MOST:
            break
    return sorted(names)


def _folders(path: Path, depth: int) -> Iterator[Path]:
    try:
        below = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return
    for entry in below:
        yield entry
        if depth > 1 and not (entry / CONFIG).is_file():
            yield from _folders(entry, depth - 1)
