"""Checkpoints of students: weights and optimizer moments as safetensors, and a small JSON that says whose they are. Any
engine goes on from what another wrote.

Chance needs no storing: order, dropout and views derive from seed, epoch and step.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from trainers import disk
from trainers.errors import CheckpointInvalid, StorageFault
from trainers.spec import Assignment, digest
from trainers.training.epoch import Trainee
from trainers.zoo import weights

FORMAT = 1
STATE, PAPERS = "state.safetensors", "lane.json"
_PARTS = ("weights", "first", "second")
_OVER = "start this student over"


@dataclass(frozen=True, slots=True)
class StudentState:
    """Where a student stands between two epochs: `epochs` are behind it.

    `weights` is its state_dict; `first` and `second` are the optimizer's moments by parameter name, as `optim.Binding`
    names them; a missing one is zero.
    """

    epochs: int
    last_finite_loss: float | None
    weights: Mapping[str, Tensor]
    first: Mapping[str, Tensor]
    second: Mapping[str, Tensor]


def write(folder: Path, state: StudentState, problem_fingerprint: str, assignment: Assignment) -> None:
    """Writes a checkpoint so that `folder` either is complete or does not exist; FileExistsError where it does.

    StorageFault where the disk fails.
    """
    with disk.guarded(f"the checkpoint {folder.name} cannot be written"):
        _write(folder, state, problem_fingerprint, assignment)


def _write(folder: Path, state: StudentState, problem_fingerprint: str, assignment: Assignment) -> None:
    if folder.exists():
        raise FileExistsError(f"{folder.name} exists: a checkpoint is never overwritten")
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    try:
        tensors = {f"{part}/{name}": tensor for part in _PARTS for name, tensor in getattr(state, part).items()}
        weights.save(tensors, partial / STATE)
        papers = {
            "format": FORMAT,
            "problem": problem_fingerprint,
            "assignment": digest(assignment),
            "epochs": state.epochs,
            "last_finite_loss": state.last_finite_loss,
            "sha256": hashlib.sha256((partial / STATE).read_bytes()).hexdigest(),
        }
        papers |= {"papers": digest(papers)}
        (partial / PAPERS).write_text(json.dumps(papers, allow_nan=False))
        os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_checkpoint(folder: Path, problem_fingerprint: str, assignment: Assignment) -> StudentState:
    """What `write` wrote, on the CPU.

    CheckpointInvalid where it is missing or damaged, of another problem, of another student, or of a newer format;
    StorageFault where the disk does not let it be read: then it may be sound.
    """
    papers = _papers(folder)
    if papers["problem"] != problem_fingerprint:
        raise CheckpointInvalid(f"the checkpoint {folder.name} is of another problem (data, teacher, model): {_OVER}")
    if papers["assignment"] != digest(assignment):
        raise CheckpointInvalid(f"the checkpoint {folder.name} is of another student (settings or seed): {_OVER}")
    try:
        with disk.guarded(f"the checkpoint {folder.name} cannot be read"):
            content = (folder / STATE).read_bytes()
        if hashlib.sha256(content).hexdigest() != papers["sha256"]:
            raise _damaged(folder, f"{STATE} is not what was written")
        tensors = safetensors.torch.load(content)
    except StorageFault:
        raise
    except (OSError, SafetensorError) as error:
        raise _damaged(folder, str(error)) from error
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in _PARTS}
    for name, tensor in tensors.items():
        part, _, key = name.partition("/")
        if part not in parts:
            raise _damaged(folder, f"{STATE} holds {name!r}")
        parts[part][key] = tensor
    return StudentState(papers["epochs"], papers["last_finite_loss"], **parts)


def of_trainee(trainee: Trainee, last_finite_loss: float | None) -> StudentState:
    """A trainee's state; its tensors are the trainee's own, not copies."""
    first: dict[str, Tensor] = {}
    second: dict[str, Tensor] = {}
    for name, parameter in trainee.model.named_parameters():
        moments_of = trainee.optimizer.state.get(parameter, {})
        for key, moments in ((trainee.binding.first, first), (trainee.binding.second, second)):
            if key is not None and moments_of.get(key) is not None:
                moments[name] = moments_of[key]
    return StudentState(trainee.epochs, last_finite_loss, trainee.model.state_dict(), first, second)


def into_trainee(trainee: Trainee, state: StudentState, steps: int) -> None:
    """Puts a state into a fresh trainee that has made `steps` steps by now. CheckpointInvalid where it does not fit."""
    try:
        trainee.model.load_state_dict(dict(state.weights), strict=True)
    except RuntimeError as error:
        raise CheckpointInvalid(f"the checkpoint does not fit the model: {error}; {_OVER}") from error
    parameters = dict(trainee.model.named_parameters())
    for moments in (state.first, state.second):
        for name, moment in moments.items():
            if name not in parameters or parameters[name].shape != moment.shape:
                raise CheckpointInvalid(f"the checkpoint's moment of {name} does not fit the model: {_OVER}")
    binding = trainee.binding
    for name, parameter in parameters.items():
        stored_moments = {key: moments.get(name) for key, moments in binding.moments(state.first, state.second).items()}
        if binding.count is None:
            has_steps, counters = any(moment is not None for moment in stored_moments.values()), {}
        else:
            has_steps, counters = steps > 0, binding.count(steps, parameter)
        if has_steps:
            moments_of = {key: _like(parameter, moment) for key, moment in stored_moments.items()}
            trainee.optimizer.state[parameter] = counters | moments_of
    trainee.epochs = state.epochs


def _like(parameter: Tensor, moment: Tensor | None) -> Tensor:
    """The moment where and as the parameter lies: fused steps walk through both in one order."""
    answer = torch.zeros_like(parameter, memory_format=torch.preserve_format)
    return answer if moment is None else answer.copy_(moment)


def _papers(folder: Path) -> dict[str, Any]:
    try:
        with disk.guarded(f"the checkpoint {folder.name} cannot be read"):
            papers = json.loads((folder / PAPERS).read_text())
    except StorageFault:
        raise
    except FileNotFoundError as error:
        raise CheckpointInvalid(f"the checkpoint {folder.name} is missing: {_OVER}") from error
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"{PAPERS}: {error}") from error
    version = papers.get("format") if isinstance(papers, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise CheckpointInvalid(
            f"the checkpoint {folder.name} was written by a newer version (format {version}, this one reads {FORMAT}): "
            f"update this worker, or {_OVER}"
        )
    if version != FORMAT or not _sound(papers) or papers.pop("papers", None) not in (None, digest(papers)):
        raise _damaged(folder, f"{PAPERS} does not say what it should")
    return dict(papers)


def _sound(papers: Mapping[str, Any]) -> bool:
    epochs, loss = papers.get("epochs"), papers.get("last_finite_loss", "")
    texts = all(isinstance(papers.get(name), str) for name in ("problem", "assignment", "sha256"))
    loss_valid = loss is None or (isinstance(loss, int | float) and math.isfinite(loss))
    return texts and loss_valid and isinstance(epochs, int) and epochs >= 0


def _damaged(folder: Path, cause: str) -> CheckpointInvalid:
    return CheckpointInvalid(f"the checkpoint {folder.name} is damaged ({cause}): {_OVER}")
