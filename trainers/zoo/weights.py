"""Weights and logits on disk: safetensors, written atomically, read without running anybody's code."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor, nn

from trainers.errors import TeacherInvalid


def save(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Writes the tensors so that `path` either is complete or does not exist; makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        # clones: tensors that share memory are refused by the format
        copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        safetensors.torch.save_file(copies, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file; TeacherInvalid where it is missing or is none."""
    try:
        return safetensors.torch.load_file(path)
    except FileNotFoundError as error:
        raise TeacherInvalid(f"the file {path.name} is missing") from error
    except (SafetensorError, OSError) as error:
        raise TeacherInvalid(f"{path.name} is not a safetensors file: {error}") from error


def load_artifact(store: Path, digest: str) -> dict[str, Tensor]:
    """The artifact's tensors, from store/<first two>/<digest>; TeacherInvalid unless its sha256 is that."""
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise TeacherInvalid(f"an artifact is named by the sha256 of its content, 64 hex digits, not {digest!r}")
    path = store / digest[:2] / digest
    if not path.is_file():
        raise TeacherInvalid(f"the artifact {digest} is not in the artifact store")
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != digest:
        raise TeacherInvalid(f"the artifact {digest} is damaged: its content has sha256 {actual}")
    return load(path)


def fill(model: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Copies the tensors into the model; TeacherInvalid unless names and shapes are exactly the model's."""
    try:
        model.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        raise TeacherInvalid(f"{what} does not fit the model: {error}") from error
