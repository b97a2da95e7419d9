"""Shared tensors of a prepared problem: one file that child processes map into memory; the small rest is pickled."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

_ALIGNMENT = 64
Place = tuple[int, torch.dtype, tuple[int, ...]]


def save_tensors(value: Any, path: Path) -> bytes:
    """`value` as bytes for `unpack`, its tensors left in a new file at `path`: one after the other, no copy is made."""
    content = io.BytesIO()
    with path.open("xb") as file:
        _Packer(content, file).dump(value)
        file.write(bytes(_ALIGNMENT))  # a file without tensors could not be mapped
    return content.getvalue()


def load_tensors(content: bytes, path: Path) -> Any:
    """What `pack` packed, its tensors on the CPU and mapped from the file, which may be removed afterwards.

    The bytes are executed as any pickle is: they come from one's own parent process alone.
    """
    storage = torch.UntypedStorage.from_file(str(path), shared=False, nbytes=path.stat().st_size)
    return _Unpacker(content, storage).load()


class _Packer(pickle.Pickler):
    def __init__(self, content: io.BytesIO, file: BinaryIO) -> None:
        super().__init__(content, protocol=pickle.HIGHEST_PROTOCOL)
        self._file = file
        self._written: dict[int, tuple[Place, Tensor]] = {}  # with the tensor, lest its id be given to another

    def persistent_id(self, obj: Any) -> Place | None:
        if not isinstance(obj, Tensor):
            return None
        if id(obj) not in self._written:  # what is found twice is written once
            self._written[id(obj)] = self._write(obj), obj
        return self._written[id(obj)][0]

    def _write(self, tensor: Tensor) -> Place:
        self._file.write(bytes(-self._file.tell() % _ALIGNMENT))
        place = self._file.tell(), tensor.dtype, tuple(tensor.shape)
        self._file.write(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return place


class _Unpacker(pickle.Unpickler):
    def __init__(self, content: bytes, storage: Any) -> None:
        super().__init__(io.BytesIO(content))
        self._storage = storage

    def persistent_load(self, pid: Place) -> Tensor:
        start, dtype, shape = pid
        return torch.empty(0, dtype=dtype).set_(self._storage, start // dtype.itemsize, shape)  # type: ignore[call-overload, no-any-return]
