"""Weights and logits on disk: safetensors, written atomically, read without running anybody's code."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from trainers import disk
from trainers.errors import StorageFault, TeacherInvalid

Shape = tuple[torch.dtype, tuple[int, ...]]
_TYPES = {torch.float32: "F32", torch.float16: "F16"}


def save(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Writes the tensors so that `path` either is complete or does not exist; makes its folder. StorageFault.

    The same tensors and metadata are the same bytes: files are known by their digests.
    """
    # clones: tensors that share memory are refused by the format
    copies = {name: _dense(name, tensor).detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with disk.whole(path, f"{path.name} cannot be written") as partial:
        try:
            safetensors.torch.save_file(copies, partial, dict(metadata) if metadata else None)
        except KeyError as error:  # a type that the format does not have
            raise TeacherInvalid(f"safetensors have no type {error}: save the tensors as float32") from error
        if metadata:
            _order_metadata(partial)


def _dense(name: str, tensor: Tensor) -> Tensor:
    """The tensor. TeacherInvalid where it is sparse or quantized, as the format has none."""
    if tensor.is_quantized or tensor.layout is not torch.strided or tensor.is_meta:
        raise TeacherInvalid(f"{name} is quantized, sparse or empty of numbers: save the model's dense float32 weights")
    return tensor


@contextmanager
def writing(path: Path, shapes: Mapping[str, Shape]) -> Iterator[dict[str, Tensor]]:
    """Tensors of these types and shapes, mapped from what `path` becomes after the block: the bytes that `save` of them
    would write, of which no more is in memory than is used. StorageFault.
    """
    # as the library orders them: those of more bytes a number first, so that each begins where its type may
    names = sorted(shapes, key=lambda name: (-shapes[name][0].itemsize, name))
    header: dict[str, Any] = {}
    end = 0
    for name in names:
        dtype, shape = shapes[name]
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": _TYPES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    first = 8 + len(text)
    with disk.whole(path, f"{path.name} cannot be written") as partial:
        with partial.open("xb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.flush()
            os.posix_fallocate(file.fileno(), 0, first + end)  # a full disk is found here, not while pages are written
        storage: Any = torch.UntypedStorage.from_file(str(partial), shared=True, nbytes=first + end)
        tensors = {}
        for name in names:
            dtype, shape = shapes[name]
            place = (first + header[name]["data_offsets"][0]) // dtype.itemsize
            tensors[name] = torch.empty(0, dtype=dtype).set_(storage, place, shape)  # type: ignore[call-overload]
        yield tensors


def size_of(shapes: Mapping[str, Shape]) -> int:
    """Bytes of the tensors of a file."""
    return sum(math.prod(shape) * dtype.itemsize for dtype, shape in shapes.values())


def _order_metadata(path: Path) -> None:
    """Puts a file's metadata in the order of their names: the library writes them in a random one.

    The header is its length (8 bytes, little endian) and so many bytes of JSON, with spaces at the end.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        file.seek(8)
        file.write(text.ljust(length))


def load(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file; TeacherInvalid where it is missing or is none, StorageFault."""
    try:
        with disk.guarded(f"{path.name} cannot be read"):
            return safetensors.torch.load_file(path)
    except StorageFault:
        raise
    except FileNotFoundError as error:
        raise TeacherInvalid(f"the file {path.name} is missing: add it with `thermowell weights add`") from error
    except (SafetensorError, OSError) as error:
        raise TeacherInvalid(f"{path.name} is not a safetensors file: {error}") from error


def load_artifact(store: Path, digest: str) -> dict[str, Tensor]:
    """The artifact's tensors, from store/<first two>/<digest>; TeacherInvalid unless its sha256 is that."""
    return load(_checked(store, digest))


def artifact_metadata(store: Path, digest: str) -> dict[str, str]:
    """What the artifact says of itself beside its tensors; empty where it says nothing. TeacherInvalid."""
    return metadata(_checked(store, digest))


def metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself. TeacherInvalid, StorageFault."""
    try:
        with disk.guarded(f"{path.name} cannot be read"), safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except StorageFault:
        raise
    except (SafetensorError, OSError) as error:
        raise TeacherInvalid(f"{path.name} is not a safetensors file: {error}") from error


def shapes_of(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a safetensors file's tensors, without a look at these. TeacherInvalid, StorageFault."""
    try:
        with disk.guarded(f"{path.name} cannot be read"), safe_open(path, "pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except StorageFault:
        raise
    except (SafetensorError, OSError) as error:
        raise TeacherInvalid(f"{path.name} is not a safetensors file: {error}") from error


def artifact_shapes(store: Path, digest: str) -> dict[str, tuple[int, ...]]:
    """The shapes of the artifact's tensors. TeacherInvalid."""
    return shapes_of(_checked(store, digest))


def _checked(store: Path, digest: str) -> Path:
    """The artifact's file, whose content is found to be what its digest says."""
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise TeacherInvalid(f"an artifact is named by the sha256 of its content, 64 hex digits, not {digest!r}")
    path = store / digest[:2] / digest
    try:
        with disk.guarded(f"the artifact {digest} cannot be read"), path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise TeacherInvalid(
            f"the artifact {digest} is not in the artifact store: add the file with `thermowell weights add`"
        ) from error
    if actual != digest:
        raise TeacherInvalid(f"the artifact {digest} is damaged: its content has sha256 {actual}")
    return path


def fill(model: nn.Module, tensors: Mapping[str, Tensor], description: str) -> None:
    """Copies the tensors into the model; TeacherInvalid unless names and shapes are exactly the model's."""
    try:
        model.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        raise TeacherInvalid(
            f"{description} does not fit the model: {error}. Say the model's arguments as it was trained with, and of "
            "a given teacher the size and channel_order of teacher.preprocessing"
        ) from error
