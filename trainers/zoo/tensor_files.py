"""Files of tensors as people have them, read without anybody's code: safetensors, and what torch has saved, of which
tensors, plain containers and plain data alone are read (`weights_only=True`).
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainers.errors import TeacherInvalid
from trainers.zoo import weights

WRAPPERS = (
    "state_dict", "model", "model_ema", "model_state_dict", "model_state", "state_dict_ema", "net", "network",
    "weights", "params", "module", "ema", "ema_state_dict", "ema_model", "params_ema",
)  # fmt: skip
"""Keys below which training scripts put the tensors."""
ORDER = (*WRAPPERS, "_orig_mod", "_fsdp_wrapped_module", "backbone", "encoder")
"""What else stands before names: wrappers of a model, and models that have it within. Of several that have as many
tensors the first is taken."""
DEPTH = 8
"""So many containers may lie within each other."""
_SHOWN = 5
_NUMBERS = (
    "Bool", "Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float16", "Float32", "Float64",
    "Complex64", "Complex128",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorFile:
    """A file's tensors, each by the containers that it lies in, with dots between, and its name there; and what the
    file says of itself.
    """

    name: str
    places: Mapping[tuple[str, str], Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def unwrapped(self) -> tuple[dict[str, Tensor], tuple[str, ...]]:
        """The tensors of one container by their names in it, and which one that is: of the file itself and of what
        scripts usually put tensors into the one that has most, or else of all.
        """
        counts = collections.Counter(place for place, _ in self.places)
        usual = [place for place in counts if is_usual(place)]
        container = min(usual or counts, key=lambda place: (-counts[place], rank(place), place))
        tensors = {name: tensor for (place, name), tensor in self.places.items() if place == container}
        return tensors, tuple(filter(None, container.split(".")))


def is_usual(place: str) -> bool:
    """Whether scripts put that around tensors or before their names; nothing is usual too."""
    return all(part in ORDER for part in filter(None, place.split(".")))


def rank(place: str) -> tuple[int, ...]:
    """The place of what is put around tensors in the order in which it is taken."""
    return tuple(ORDER.index(part) if part in ORDER else len(ORDER) for part in filter(None, place.split(".")))


def read(path: Path) -> TensorFile:
    """A file's tensors. TeacherInvalid where it holds none, or needs somebody's code."""
    if path.is_dir():
        raise TeacherInvalid(f"{path.name} is a folder: name a file of weights in it")
    if path.suffix == ".safetensors" or _is_safetensors(path):
        content: Any = weights.load(path)
        metadata = weights.metadata(path)
    else:
        content, metadata = _unpickled(path), {}
    if not _is_container(content):
        raise TeacherInvalid(
            f"{path.name} holds a {type(content).__name__}, no tensors by name: save model.state_dict()"
        )
    places = {(place, name): tensor.detach() for place, name, tensor in _tensors(content, "", set())}
    if not places:
        parts = content if isinstance(content, Mapping) else map(type, content)
        raise TeacherInvalid(f"{path.name} holds no tensors; it has {', '.join(map(str, list(parts)[:_SHOWN]))}")
    return TensorFile(path.name, places, metadata)


def _is_container(content: Any) -> bool:
    """A mapping, or a list that holds one."""
    if isinstance(content, Mapping):
        return True
    return isinstance(content, list | tuple) and any(isinstance(part, Mapping) for part in content)


def _tensors(content: Any, place: str, seen: set[int]) -> Iterator[tuple[str, str, Tensor]]:
    """All tensors below a container, each container looked into once."""
    if id(content) in seen or place.count(".") >= DEPTH:
        return
    seen.add(id(content))
    for name, part in content.items() if isinstance(content, Mapping) else enumerate(content):
        if isinstance(part, Tensor):
            yield place, str(name), part
        elif _is_container(part):
            yield from _tensors(part, f"{place}.{name}" if place else str(name), seen)


def _plain() -> Sequence[Any]:
    """What scripts save beside tensors, and what takes no code of theirs: arguments, paths, numbers and arrays of
    NumPy. Arrays of objects are none of them: their type is not among these.
    """
    arrays: Any = np.zeros(0), np.float64(0)
    functions = {name: array.__reduce__()[0] for name, array in zip(("_reconstruct", "scalar"), arrays, strict=True)}
    modules = ("numpy.core.multiarray", "numpy._core.multiarray")
    named = [(function, f"{module}.{name}") for name, function in functions.items() for module in modules]
    kinds = [getattr(np.dtypes, f"{kind}DType") for kind in _NUMBERS]
    paths = [pathlib.PosixPath, pathlib.PurePosixPath]
    moved = [(kind, f"pathlib._local.{kind.__name__}") for kind in paths]  # as Python 3.13 calls them
    return [np.ndarray, np.dtype, *named, *kinds, *paths, *moved, argparse.Namespace, types.SimpleNamespace]


def _unpickled(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(list(_plain())):
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise TeacherInvalid(f"there is no file {path}") from error
    except Exception as error:  # pickle's own errors are many
        raise TeacherInvalid(_why(path, error)) from error


def _why(path: Path, error: Exception) -> str:
    text = str(error)
    if "TorchScript" in text:
        return f"{path.name} is a program of TorchScript, which is not run: save torch.jit.load(...).state_dict()"
    if "Unsupported operand" in text:
        return f"{path.name} was saved with a pickle protocol that is not read: save it with torch.save's own, 2"
    if "weights_only" in text.lower() or "Unsupported" in text or "WeightsUnpickler" in text:
        return (
            f"{path.name} holds objects besides tensors, which are not read, for they could run code: "
            "where it was saved, save model.state_dict() alone"
        )
    return (
        f"{path.name} is no file of weights that torch reads: {text.splitlines()[0] if text else type(error).__name__}"
    )


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: a length, and a JSON object."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError:
        return False
    return len(start) == 9 and start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size
