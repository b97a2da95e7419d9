"""Files by which a student is used without this project: its program, and what torch and ONNX run without one."""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import logging
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from thermowell.plugin import Inputs
from trainers import catalogue, preprocessing, superclasses
from trainers.data import sources
from trainers.preprocessing import Preprocessing
from trainers.registry import datasets, local_models, plugins
from trainers.spec import Data, Model
from trainers.teaching.prepared import Prepared
from trainers.training.epoch import pieces
from trainers.zoo import hugging_face, models, weights

SOURCE = "thermowell.student"
"""The entry of a student's safetensors metadata that says what it is, as JSON."""
FARTHEST = 1e-3  # that a logit may be from the module's, as a share of the largest
_log = logging.getLogger(__name__)
_COMPARED = 1024  # validation images
_CLASSES = {
    "mlp": "Mlp",
    "cnn": "Cnn",
    "resnet": "ResNet",
    "wrn": "WideResNet",
    "efficientnet_lite": "EfficientNetLite",
}


def description(prepared: Prepared) -> dict[str, Any]:
    """How to build a prepared problem's student, how its images are prepared, and its classes' names, in order."""
    problem, inputs = prepared.problem, inputs_of(prepared.problem.data)
    model = problem.student
    is_ours = model.name in catalogue.MODELS
    arguments = catalogue.model_arguments(model.name, model.arguments) if is_ours else dict(model.arguments)
    if (plugin := plugins.loaded().find("model", model.name)) is not None:
        arguments = catalogue.completed(plugin.declaration.arguments, arguments)
    return {
        "architecture": {
            "name": model.name,
            "arguments": arguments,
            "channels": prepared.channels,
            "size": list(prepared.size),
            "classes": prepared.classes,
            **({} if model.vocabulary is None else {"vocabulary": model.vocabulary}),
            **_configuration(prepared),
        },
        "preprocessing": _preprocessing(prepared, inputs),
        "class_names": class_names(problem.data, prepared.roots.data, prepared.class_map, prepared.classes),
        "precision": problem.precision,
        "inputs": inputs,
        "targets": prepared.targets,
    }


def _preprocessing(prepared: Prepared, inputs: Inputs) -> dict[str, Any]:
    """How examples are prepared: pictures resized, and all but tokens less their mean, divided by their deviation."""
    normalise, photos = prepared.normalise, problem_photos(prepared.problem.data)
    document = {
        "channels": prepared.channels,
        "size": list(prepared.size),
        "mean": list(normalise.mean),
        "std": list(normalise.std),
    }
    if inputs != "images":
        return document
    return document | {
        "resize": "shorter side" if photos else "whole",
        "interpolation": "bilinear",
        "crop": "middle" if photos else "none",
        "value_range": [0, 1],
    }


def inputs_of(data: Data) -> Inputs:
    """What a set's examples are; images where nobody here knows."""
    plugin = plugins.loaded().find("dataset", data.name)
    return "images" if plugin is None else plugin.declaration.inputs or "images"


def _configuration(prepared: Prepared) -> dict[str, Any]:
    """How transformers builds a local model's student without its folder."""
    model = prepared.problem.student
    if not local_models.is_local(model.name):
        return {}
    config = hugging_face.configuration(model, prepared.channels, prepared.size, prepared.classes)
    return {"config": config.to_diff_dict() | {"model_type": config.model_type}}


def problem_photos(data: Data) -> bool:
    """Whether a set's images are photographs, brought to their size by their shorter side."""
    return data.name == "image_folder" or datasets.get(data.name).photos


def class_names(data: Data, root: Path, class_map: tuple[int, ...] | None, classes: int) -> list[str]:
    """The names of the classes, in their order: the data set's own, or what a map brings together."""
    fine_names = sources.class_names(data, root)
    if class_map is None:
        return fine_names
    if data.classes is not None and data.classes.kind == "coarse" and data.name == "CIFAR100":
        return list(superclasses.CIFAR100)
    members: list[list[str]] = [[] for _ in range(classes)]
    for name, group in zip(fine_names, class_map, strict=True):
        members[group].append(name)
    return [" or ".join(names) for names in members]


def stamped(tensors: Mapping[str, Tensor], path: Path, papers: Mapping[str, Any]) -> None:
    """Writes the student's tensors with what they are beside them, so that the file may be a teacher elsewhere."""
    prepared = papers["preprocessing"]
    preparation = Preprocessing("custom", mean=tuple(prepared["mean"]), std=tuple(prepared["std"]))
    document = {"preset": preparation.preset, "mean": preparation.mean, "std": preparation.std}
    metadata = {
        **({preprocessing.METADATA: json.dumps(document)} if papers.get("inputs", "images") == "images" else {}),
        SOURCE: json.dumps({name: papers[name] for name in ("job", "trial", "architecture", "class_names")}),
        "format": "pt",
    }
    weights.save(tensors, path, metadata)


def program(model: Model) -> str:
    """The student's program: torch alone for this project's own models, torchvision or timm for theirs."""
    text = resources.files("trainers").joinpath("student_program.py").read_text(encoding="utf-8")
    before, rest = text.split("# --- architecture\n")
    _, after = rest.split("# --- end of the architecture\n")
    if model.name in _CLASSES:
        needs, source = "", _own_source(_CLASSES[model.name], model.name)
    elif model.name.startswith(catalogue.TIMM_PREFIX):
        needs, source = "timm", _TIMM
    else:
        needs, source = "torchvision", _TORCHVISION
    text = f"{before}{source}\n\n{after.lstrip()}"
    if needs:
        text = text.replace("Needs torch, pillow and safetensors.", f"Needs torch, {needs}, pillow and safetensors.")
    return re.sub(r"  # type: ignore\[[^\]]*\]", "", text)


def programs(prepared: Prepared, student: Path, folder: Path) -> dict[str, float]:
    """Writes `student.pt2` (torch.export) and `student.onnx` into a folder, as far as this worker can make them.

    Answers the files' names with the largest difference of their logits from the module's on validation images, as a
    share of the largest logit; one that is farther than FARTHEST is not kept. Each takes any number of images.
    """
    problem = prepared.problem
    model = models.build(problem.student, prepared.channels, prepared.size, prepared.classes, seed=0)
    weights.fill(model, weights.load(student), "the student")
    images = prepared.validation_images[:_COMPARED].cpu()
    inputs = torch.cat([prepared.normalise(part.to(prepared.device)) for part in pieces(images)]).cpu()
    with torch.no_grad():
        expected = model.eval()(inputs)
    exported = functools.cache(partial(_exported, model, inputs))
    differences: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries under way
        for name, make in (("student.pt2", _export), ("student.onnx", _onnx)):
            try:
                logits = make(model, exported, inputs, folder / name)
            except Exception as error:  # whatever a compiler raises for a model that it does not know
                (folder / name).unlink(missing_ok=True)
                _log.info("%s cannot be made of %s: %s", name, problem.student.name, str(error).split("\n")[0])
                continue
            if logits is None:
                continue
            difference = float((logits - expected).abs().max() / expected.abs().max().clamp(min=1e-12))
            if difference <= FARTHEST:
                differences[name] = difference
            else:
                (folder / name).unlink()
    return differences


_Exported = Callable[[], torch.export.ExportedProgram]


def _exported(model: nn.Module, inputs: Tensor) -> torch.export.ExportedProgram:
    return torch.export.export(model, (inputs[:2],), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))


def _export(_: nn.Module, exported: _Exported, inputs: Tensor, path: Path) -> Tensor:
    torch.export.save(exported(), path)
    with torch.no_grad():
        logits: Tensor = torch.export.load(path).module()(inputs)
    return logits


def _onnx(model: nn.Module, exported: _Exported, inputs: Tensor, path: Path) -> Tensor | None:
    """None where this worker lacks what ONNX takes."""
    if any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")):
        return None
    import onnxruntime

    program: nn.Module | torch.export.ExportedProgram = model
    with suppress(Exception):  # then ONNX's exporter has ways of its own to look into a model
        program = exported()
    names: dict[str, Any] = {"input_names": ["images"], "output_names": ["logits"]}
    torch.onnx.export(
        program,
        (inputs[:2],),
        path,
        dynamo=True,
        external_data=False,
        dynamic_shapes=({0: "batch"},),
        verbose=False,
        **names,
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"images": inputs.numpy()})[0])


def _own_source(name: str, registered: str) -> str:
    """The source of one of this project's networks with all that it uses, and how it is built."""
    text = resources.files("trainers.zoo").joinpath("networks.py").read_text(encoding="utf-8")
    parts = {part.name: part for part in ast.parse(text).body if isinstance(part, ast.ClassDef | ast.FunctionDef)}
    needed, waiting = set[str](), [name]
    while waiting:
        part = waiting.pop()
        if part not in needed:
            needed.add(part)
            names = {node.id for node in ast.walk(parts[part]) if isinstance(node, ast.Name)}
            waiting += sorted(names & set(parts))
    source = [str(ast.get_source_segment(text, part)) for key, part in parts.items() if key in needed]
    first = ["HashedDropout = nn.Dropout"] if "_dropout" in needed else []
    return "\n\n\n".join([*first, *source, _OWN.format(network=name, inputs=_INPUTS.get(registered, "channels"))])


_INPUTS = {"mlp": 'channels * torch.Size(architecture["size"]).numel()'}
_OWN = '''
def build(architecture: Mapping[str, Any]) -> nn.Module:
    """The network without its weights."""
    channels = architecture["channels"]
    return {network}({inputs}, architecture["classes"], **architecture["arguments"])
'''.strip()
_TORCHVISION = '''
def build(architecture: Mapping[str, Any]) -> nn.Module:
    """The network without its weights."""
    import torchvision

    name, extra = architecture["name"], {}
    if name in ("googlenet", "inception_v3"):
        extra = {"aux_logits": False, "init_weights": False}
    elif name.startswith("vit_"):
        extra = {"image_size": architecture["size"][0]}
    elif name == "maxvit_t":
        extra = {"input_size": tuple(architecture["size"])}
    network = torchvision.models.get_model(name, weights=None, num_classes=architecture["classes"], **extra)
    if architecture["channels"] == 1:
        network.register_forward_pre_hook(lambda module, inputs: (inputs[0].expand(-1, 3, -1, -1), *inputs[1:]))
    return network
'''.strip()
_TIMM = '''
def build(architecture: Mapping[str, Any]) -> nn.Module:
    """The network without its weights."""
    import timm

    name, classes, channels = architecture["name"], architecture["classes"], architecture["channels"]
    return timm.create_model(name.removeprefix("timm:"), pretrained=False, num_classes=classes, in_chans=channels)
'''.strip()
