"""Weights that a spec refers to: by their digest in the artifact store, or by a name (`trainers.registry.named`)."""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor

from trainers import preprocessing
from trainers.errors import TeacherInvalid
from trainers.registry import local_models, named
from trainers.registry.named import NamedWeights
from trainers.spec import Model, to_jsonable
from trainers.zoo import conversion, hugging_face, packaged, weights


def load(store: Path, reference: str, model: Model, channels: int, size: tuple[int, ...]) -> dict[str, Tensor]:
    """The tensors, under the names of the model that takes images of such a shape. TeacherInvalid."""
    if not named.is_name(reference):
        return weights.load_artifact(store, reference)
    if local_models.is_local(reference):
        name = _of_folder(reference)
        if model.name != name:
            raise TeacherInvalid(f"weights {name} are of the model {name}, not of {model.name}")
        return hugging_face.tensors(model)
    entry = find(reference)
    tensors, _, _ = conversion.read(entry.path)
    filled, report = conversion.mapped(tensors, model, channels, size)
    if not report.whole:
        raise TeacherInvalid(f"{entry.name}, which is of {entry.model}, does not fill it: {'; '.join(report.lines())}")
    return filled


def metadata(store: Path, reference: str) -> dict[str, str]:
    """What the weights say of themselves; empty where they say nothing. TeacherInvalid."""
    if not named.is_name(reference):
        return weights.artifact_metadata(store, reference)
    if local_models.is_local(reference):
        return _of_processor(_of_folder(reference))
    stated = find(reference).preprocessing
    return {} if stated is None else {preprocessing.METADATA: json.dumps(stated)}


def _of_processor(name: str) -> dict[str, str]:
    """What a local model's `preprocessor_config.json` says of images, as a file's metadata have it. TeacherInvalid."""
    try:
        processor = json.loads((local_models.folder(name) / local_models.PREPROCESSOR).read_bytes())
        preparation = conversion.of_hugging_face(processor) if "image_mean" in processor else None
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TeacherInvalid(f"{name}: its {local_models.PREPROCESSOR} cannot be read: {error}") from error
    return {} if preparation is None else {preprocessing.METADATA: json.dumps(to_jsonable(preparation))}


def _of_folder(reference: str) -> str:
    """The name of a local model, whose files are what it is pinned to. TeacherInvalid."""
    name, digest = named.parts(reference)
    actual = local_models.fingerprint(name)
    if digest not in (None, actual):
        raise TeacherInvalid(f"{name} has changed: its files have the fingerprint {actual} and not {digest}")
    return name


def find(reference: str) -> NamedWeights:
    """The weights of a name, whose file is what the name is pinned to, and what it must be. TeacherInvalid."""
    name, digest = named.parts(reference)
    entry = named.present().get(name) or {entry.name: entry for entry in packaged.find()}.get(name)
    if entry is None:
        raise TeacherInvalid(f"{name} is not on this machine: {named.WAY_IN}")
    try:
        actual = entry.digest()
    except OSError as error:
        raise TeacherInvalid(f"{name}: {entry.path.name} cannot be read: {error.strerror}") from error
    for expected in (digest, entry.sha256):
        if expected not in (None, actual):
            raise TeacherInvalid(
                f"{name} of {entry.source} has sha256 {actual} and not {expected}: install the version that has"
            )
    return entry
