"""Shared tensors of a prepared problem: one file that child processes map into memory; the small rest is pickled."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from trainers.data import pixel_storage

_ALIGNMENT = 64
Place = tuple[str | None, int, torch.dtype, tuple[int, ...], tuple[int, ...]]
"""The file, None for the common one, and where in it a tensor begins; its type, shape and strides."""


def save_tensors(value: Any, path: Path) -> bytes:
    """`value` as bytes for `unpack`, its tensors left in a new file at `path`, one after the other; those that are
    mapped from a file of pixels stay there, as long as this process has them.
    """
    content = io.BytesIO()
    with path.open("xb") as file:
        _Packer(content, file).dump(value)
        file.write(bytes(_ALIGNMENT))  # a file without tensors could not be mapped
    return content.getvalue()


def load_tensors(content: bytes, path: Path) -> Any:
    """What `pack` packed, its tensors on the CPU and mapped from the file, which may be removed afterwards.

    The bytes are executed as any pickle is: they come from one's own parent process alone.
    """
    return _Unpacker(content, _mapped(path)).load()


def _mapped(path: Path) -> Any:
    return torch.UntypedStorage.from_file(str(path), shared=False, nbytes=path.stat().st_size)


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
        path = pixel_storage.path_of(tensor)
        if path is not None:
            start = int(tensor.storage_offset()) * tensor.dtype.itemsize
            return str(path), start, tensor.dtype, tuple(tensor.shape), tensor.stride()
        repeated = tensor.ndim > 1 and len(tensor) > 1 and tensor.stride(0) == 0  # what is alike is written once
        distinct = (tensor[:1] if repeated else tensor).detach().cpu().contiguous()
        self._file.write(bytes(-self._file.tell() % _ALIGNMENT))
        stride = (0, *distinct.stride()[1:]) if repeated else distinct.stride()
        place = None, self._file.tell(), tensor.dtype, tuple(tensor.shape), stride
        self._file.write(distinct.flatten().view(torch.uint8).numpy().data)
        return place


class _Unpacker(pickle.Unpickler):
    def __init__(self, content: bytes, storage: Any) -> None:
        super().__init__(io.BytesIO(content))
        self._storages: dict[str | None, Any] = {None: storage}

    def persistent_load(self, pid: Place) -> Tensor:
        path, start, dtype, shape, stride = pid
        if path not in self._storages:
            self._storages[path] = _mapped(Path(str(path)))
        storage = self._storages[path]
        return torch.empty(0, dtype=dtype).set_(storage, start // dtype.itemsize, shape, stride)
