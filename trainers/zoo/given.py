"""Weights that a spec refers to: by their digest in the artifact store, or by a name (`trainers.registry.named`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from trainers import preprocessing
from trainers.errors import TeacherInvalid
from trainers.registry import local_models, named
from trainers.registry.named import NamedWeights
from trainers.spec import Model, to_jsonable
from trainers.zoo import conversion, heads, hugging_face, packaged, statements, tensor_files, weights
from trainers.zoo.tensor_files import TensorFile


def load(store: Path, reference: str, model: Model, channels: int, size: tuple[int, ...]) -> dict[str, Tensor]:
    """The tensors, under the names of the model that takes images of such a shape, but for a head that the file may
    lack. TeacherInvalid.
    """
    if not named.is_name(reference):
        return _of_artifact(weights.load_artifact(store, reference), reference, model, channels, size)
    if local_models.is_local(reference):
        name = _of_folder(reference)
        if model.name != name:
            raise TeacherInvalid(f"weights {name} are of the model {name}, not of {model.name}")
        return hugging_face.tensors(model)
    entry = find(reference)
    filled, report = conversion.mapped(tensor_files.read(entry.path), model, channels, size)
    if not report.whole:
        raise TeacherInvalid(f"{entry.name}, which is of {entry.model}, does not fill it: {'; '.join(report.lines())}")
    return filled


def _of_artifact(
    tensors: dict[str, Tensor], digest: str, model: Model, channels: int, size: tuple[int, ...]
) -> dict[str, Tensor]:
    """The tensors of a file that was kept: as they are where their names are the model's, or else under these."""
    if tensors.keys() == heads.shapes(model, channels, size, 2).keys():
        return tensors
    filled, report = conversion.mapped(TensorFile(f"artifact {digest}", _placed(tensors)), model, channels, size)
    if not report.usable or report.left_over:
        raise TeacherInvalid(
            f"artifact {digest} does not fit the model {model.name}: {'; '.join(report.lines())}. Say the model's "
            "arguments as it was trained with, or add the file anew with `thermowell weights add FILE --model NAME`"
        )
    return filled


def _placed(tensors: Mapping[str, Tensor]) -> dict[tuple[str, str], Tensor]:
    return {("", name): tensor for name, tensor in tensors.items()}


def channels_of(store: Path, reference: str, model: Model, channels: int, size: tuple[int, ...]) -> int:
    """How many channels the images have for which the weights are, where they tell: 1 or 3; else those of the data."""
    other = {1: 3, 3: 1}.get(channels)
    actual = _header(store, reference)
    if other is None or not actual:
        return channels
    if _unfit(actual, model, channels, size) and not _unfit(actual, model, other, size):
        return other
    return channels


def _unfit(actual: Mapping[str, tuple[int, ...]], model: Model, channels: int, size: tuple[int, ...]) -> bool:
    """Whether a tensor has another shape than the model's, the head left out; one that is not there has none."""
    head = heads.changing(model, channels, size, 2)
    shapes = heads.shapes(model, channels, size, 2)
    return any(name not in head and actual.get(name, shape) != shape for name, shape in shapes.items())


def _header(store: Path, reference: str) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors of a safetensors file, by their names there; nothing of other files."""
    if not named.is_name(reference):
        return weights.artifact_shapes(store, reference)
    if not local_models.is_local(reference):
        return {}
    try:
        files = local_models.weight_files(local_models.folder(_of_folder(reference)))
    except ValueError as error:
        raise TeacherInvalid(f"{reference}: {error}") from error
    return {name: shape for file in files for name, shape in weights.shapes_of(file).items()}


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
        preparation = statements.of_hugging_face(processor) if statements.says_something(processor) else None
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise TeacherInvalid(
            f"{name}: its {local_models.PREPROCESSOR} cannot be followed: {error}. Say in teacher.preprocessing how "
            "images are prepared"
        ) from error
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
