"""Builds a model by its catalogue name for given images, with initial weights that depend on the seed alone."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from trainers import catalogue, spec
from trainers.errors import ModelUnavailable
from trainers.order import derive
from trainers.registry import local_models, lookup, plugins
from trainers.zoo import dropout, hugging_face, networks

_generator_lock = threading.Lock()


def build(model: spec.Model, channels: int, size: tuple[int, ...], classes: int, seed: int) -> nn.Module:
    """A model from images [n, channels, *size] to logits [n, classes], in training mode, on the CPU.

    torch's global random state is left as it was. Raises ModelUnavailable where the name or the arguments are unknown,
    timm is not installed, or the model cannot be made for such images.
    """
    problems = catalogue.check_model(model.name, model.arguments)
    if problems:
        raise ModelUnavailable("; ".join(problems))
    try:
        with _seeded(derive(seed, "weights")):
            built = _make(model, channels, size, classes)
    except (ValueError, RuntimeError, AssertionError) as error:
        raise ModelUnavailable(f"{model.name} cannot be made for {_images(channels, size)}: {error}") from error
    dropout.hash_positions(built)
    return built


def check(model: spec.Model, channels: int, size: tuple[int, ...], classes: int) -> None:
    """Builds the model once and shows it two images; raises ModelUnavailable where it does not take them."""
    built = build(model, channels, size, classes, seed=0).eval()
    try:
        with torch.no_grad():
            logits = built(torch.zeros(2, channels, *size))
    except Exception as error:  # of a plugin's model any may be raised
        raise ModelUnavailable(f"{model.name} does not take {_images(channels, size)}: {error}") from error
    if not isinstance(logits, Tensor) or logits.shape != (2, classes):
        raise ModelUnavailable(
            f"{model.name} must answer one logit for each of {classes} classes, and does not: choose another model"
        )


def has_timm() -> bool:
    """Whether this worker has timm's models."""
    return importlib.util.find_spec("timm") is not None


def _images(channels: int, size: tuple[int, ...]) -> str:
    if len(size) != 2:
        return f"of shape {(channels, *size)}"
    return f"{channels}-channel images of {size[0]} x {size[1]} pixels"


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """torch's CPU generator seeded within, and put back afterwards; one thread at a time, for it is global."""
    with _generator_lock:
        before = torch.get_rng_state()
        torch.default_generator.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_rng_state(before)


def _make(model: spec.Model, channels: int, size: tuple[int, ...], classes: int) -> nn.Module:
    if model.name.startswith(catalogue.TIMM_PREFIX):
        _check_inputs(model, channels, size)
        return _from_timm(model.name.removeprefix(catalogue.TIMM_PREFIX), channels, classes)
    if local_models.is_local(model.name):
        _check_inputs(replace(model, vocabulary=None), channels, (0, 0) if model.vocabulary else size)
        return _from_folder(model, channels, size, classes)
    if plugins.is_plugin(model.name):
        return _from_plugin(model, (channels, *size), classes)
    _check_inputs(model, channels, size)
    if model.name not in catalogue.MODELS:
        return _from_torchvision(model.name, channels, size, classes)
    arguments: dict[str, Any] = catalogue.model_arguments(model.name, model.arguments)
    return lookup.find("model", model.name, _OWN)(channels, size, classes, **arguments)


_OWN: Mapping[str, Callable[..., nn.Module]] = {
    "mlp": lambda channels, size, classes, **network: networks.Mlp(channels * math.prod(size), classes, **network),
    "cnn": lambda channels, _, classes, **network: networks.Cnn(channels, classes, **network),
    "resnet": lambda channels, _, classes, **network: networks.ResNet(channels, classes, **network),
    "wrn": lambda channels, _, classes, **network: networks.WideResNet(channels, classes, **network),
    "efficientnet_lite": lambda channels, _, classes, **network: networks.EfficientNetLite(
        channels, classes, **network
    ),
}
"""This project's own models by their records' names: from channels, size, classes and arguments."""


def _check_inputs(model: spec.Model, channels: int, size: tuple[int, ...]) -> None:
    """ModelUnavailable where a model that is no plugin's cannot take such examples."""
    if model.vocabulary is not None:
        raise ModelUnavailable(
            f"{model.name} takes numbers, and the examples are tokens: choose a plugin's model that takes `vocabulary`"
        )
    if len(size) != 2 and model.name != "mlp":
        raise ModelUnavailable(f"{model.name} takes images, and the examples are {_images(channels, size)}")


def _from_plugin(model: spec.Model, shape: tuple[int, ...], classes: int) -> nn.Module:
    plugin = plugins.loaded().find("model", model.name)
    if plugin is None or plugin.function is None:
        raise ModelUnavailable(plugins.loaded().unknown("model", model.name, "none of this worker's packages"))
    if model.code not in (None, plugin.fingerprint):
        raise ModelUnavailable(
            f"{model.name} is not the code that the job began with: {plugin.distribution} {plugin.version} has "
            f"fingerprint {plugin.fingerprint}, not {model.code}"
        )
    declaration = plugin.declaration
    problems = catalogue.argument_problems(model.name, declaration.arguments, model.arguments)
    if problems:
        raise ModelUnavailable("; ".join(problems))
    arguments: dict[str, Any] = catalogue.completed(declaration.arguments, model.arguments)
    takes_tokens = "vocabulary" in inspect.signature(plugin.function).parameters
    if takes_tokens != (model.vocabulary is not None):
        kinds = ("tokens", "numbers") if takes_tokens else ("numbers", "tokens")
        raise ModelUnavailable(f"{model.name} takes {kinds[0]}, and the examples are {kinds[1]}")
    if takes_tokens:
        arguments["vocabulary"] = model.vocabulary
    try:
        built = plugin.function(shape, classes, **arguments)
    except Exception as error:  # whatever somebody's function raises
        raise ModelUnavailable(f"{model.name} cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(built, nn.Module):
        raise ModelUnavailable(f"{model.name} is not a torch module but {type(built).__name__}")
    if takes_tokens:
        # a hook and no wrapper: the weights keep the names that the plugin has given them
        built.register_forward_pre_hook(_to_tokens)
    _shape_lazy(built, model.name, shape)
    return built


def _shape_lazy(built: nn.Module, name: str, shape: tuple[int, ...]) -> None:
    """Shows examples to a module some of whose weights have no shape before it has seen any (nn.LazyLinear)."""
    tensors = itertools.chain(built.parameters(), built.buffers())
    if not any(nn.parameter.is_lazy(tensor) for tensor in tensors):
        return
    try:
        with torch.no_grad():
            built.eval()(torch.zeros(2, *shape))
    except Exception as error:  # whatever somebody's module raises
        raise ModelUnavailable(f"{name} does not take examples of shape {shape}: {error}") from error
    built.train()


def _to_tokens(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (arguments[0].long(), *arguments[1:])


def _from_torchvision(name: str, channels: int, size: tuple[int, ...], classes: int) -> nn.Module:
    extra: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        extra = {"aux_logits": False, "init_weights": True}
    elif name.startswith("vit_"):
        extra = {"image_size": size[0]}
    elif name == "maxvit_t":
        extra = {"input_size": size}
    built: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=classes, **extra)
    if channels == 1:
        # a hook and no wrapper: the weights keep their usual names, so that published files fit
        built.register_forward_pre_hook(_grey_to_colour)
    elif channels != 3:
        raise ModelUnavailable(f"{name} takes images of 1 or 3 channels, not {channels}")
    return built


def _grey_to_colour(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (arguments[0].expand(-1, 3, -1, -1), *arguments[1:])


def _from_folder(model: spec.Model, channels: int, size: tuple[int, ...], classes: int) -> nn.Module:
    if model.code not in (None, local_models.fingerprint(model.name)):
        raise ModelUnavailable(f"{model.name} is not what the job began with: put its files back as they were")
    return hugging_face.build(model, channels, size, classes)


def _from_timm(name: str, channels: int, classes: int) -> nn.Module:
    if not has_timm():
        raise ModelUnavailable(f"timm:{name} needs timm, which this worker has not installed (pip install timm)")
    import timm

    if not timm.is_model(name):
        raise ModelUnavailable(f"timm {timm.__version__} has no model {name!r}")
    built: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, in_chans=channels)
    return built
