"""Which data sets, models, optimizers, schedules, augmentations, losses and objectives exist, and which arguments they
take. Plain data, free of torch, so that an API without torch refuses an unknown name at once.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from thermowell.plugin import Kind, Parameter
from trainers.registry import augmentations, local_models, lookup, losses, optimizers, plugins
from trainers.registry.datasets import DATASETS as DATASETS
from trainers.registry.datasets import of_plugin
from trainers.registry.models import MODELS as MODELS
from trainers.registry.plugins import Plugin, Plugins
from trainers.registry.schedules import SCHEDULES as SCHEDULES
from trainers.registry.schedules import TEMPERATURE_SCHEDULES as TEMPERATURE_SCHEDULES
from trainers.spec import Argument
from trainers.superclasses import SUPERCLASSES as SUPERCLASSES
from trainers.torchvision_names import TORCHVISION_MODELS

TIMM_PREFIX = "timm:"


KINDS: tuple[Kind, ...] = get_args(Kind)
NO_PLUGINS = Plugins()
NO_ARGUMENTS: Mapping[str, Argument] = {}
_OF_DATASET = ("name", "summary", "channels", "size", "classes", "own_test_part", "fetched_by", "photos", "targets")
_OF_MODEL = ("name", "summary", "arguments")

OPTIMIZERS: Mapping[str, tuple[str, ...]] = {
    record.name: record.setting_names() for record in optimizers.OPTIMIZERS.values()
}
AUGMENTATIONS: Mapping[str, str] = {record.name: record.summary for record in augmentations.AUGMENTATIONS.values()}
LOSSES: Mapping[str, str] = losses.SUMMARIES
OBJECTIVES: Mapping[str, Literal["maximize", "minimize"]] = {
    "accuracy": "maximize",
    "nll": "minimize",
    "ece": "minimize",
}


def check_model(name: str, arguments: Mapping[str, Argument]) -> list[str]:
    """What is wrong with a model's name or arguments, in sentences; empty where nothing is.

    Names that begin with `timm:` are taken on trust: only a worker knows whether timm is installed and has them. So are
    those of plugins where nobody has looked what workers publish.
    """
    if name.startswith(TIMM_PREFIX) and len(name) > len(TIMM_PREFIX):
        return _no_arguments(name, arguments)
    if local_models.is_local(name):
        if re.fullmatch(local_models.NAME, name) is None:
            return [f"{name!r} is no local model: hf: and a path below a worker's {local_models.SETTING}, without .."]
        return _no_arguments(name, arguments)
    if name in TORCHVISION_MODELS:
        return _no_arguments(name, arguments)
    if plugins.is_plugin(name):
        return _check_plugin("model", name, arguments)
    entry = MODELS.get(name)
    if entry is None:
        return [lookup.unknown("model", name, [*MODELS, *TORCHVISION_MODELS], also="or timm:NAME")]
    return argument_problems(name, entry.arguments, arguments)


def argument_problems(name: str, parameters: Mapping[str, Parameter], arguments: Mapping[str, Argument]) -> list[str]:
    """What is wrong with the arguments of a model that has these `parameters`, in sentences."""
    problems = []
    for key, value in arguments.items():
        if key not in parameters:
            problems.append(lookup.unknown(f"argument of {name}", key, parameters))
        elif problem := parameters[key].problem(value):
            problems.append(f"{key} {problem}")
    return problems


def model_arguments(name: str, arguments: Mapping[str, Argument]) -> dict[str, Argument]:
    """`arguments` completed by the defaults of one of this project's own models."""
    return completed(MODELS[name].arguments, arguments)


def completed(parameters: Mapping[str, Parameter], arguments: Mapping[str, Argument]) -> dict[str, Argument]:
    """`arguments` completed by the defaults of these `parameters`."""
    defaults: dict[str, Argument] = {key: parameter.typed_default() for key, parameter in parameters.items()}
    return {**defaults, **arguments}


def check_dataset(name: str, arguments: Mapping[str, Argument] = NO_ARGUMENTS) -> list[str]:
    """What is wrong with a data set's name or arguments, in sentences; empty where nothing is."""
    if plugins.is_plugin(name):
        return _check_plugin("dataset", name, arguments)
    if name in DATASETS:
        return _no_arguments(name, arguments)
    return [lookup.unknown("data set", name, DATASETS)]


def describe(from_workers: Plugins = NO_PLUGINS, weights: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Everything above as plain JSON, for the API's catalogue, with the plugins and the weights of packages that
    workers have published.
    """
    records = list(from_workers.records.values())
    by_kind = {kind: [plugin for plugin in records if plugin.declaration.kind == kind] for kind in KINDS}
    return {
        "datasets": [
            *(_chosen(record, _OF_DATASET) for record in DATASETS.values()),
            *(_chosen(of_plugin(plugin.declaration.name, plugin), _OF_DATASET) for plugin in by_kind["dataset"]),
        ],
        "models": [
            *(_chosen(record, _OF_MODEL) | {"source": "thermowell"} for record in MODELS.values()),
            *({"name": name, "summary": "", "arguments": {}, "source": "torchvision"} for name in TORCHVISION_MODELS),
            *(_chosen(plugin.declaration, _OF_MODEL) | {"source": plugin.distribution} for plugin in by_kind["model"]),
        ],
        "plugins": [plugin.document() for plugin in records],
        "plugin_errors": dict(from_workers.errors),
        "weights": [dict(entry) for entry in weights],
        "model_prefixes": {
            TIMM_PREFIX: "any classification model of timm, on workers that have timm installed",
            local_models.PREFIX: "a folder as transformers saves a model, below a worker's THERMOWELL_HF_ROOT",
        },
        "optimizers": {name: list(settings) for name, settings in OPTIMIZERS.items()}
        | {plugin.declaration.name: list(plugin.declaration.settings) for plugin in by_kind["optimizer"]},
        "schedules": dict(SCHEDULES),
        "augmentations": dict(AUGMENTATIONS) | _summaries(by_kind["augmentation"]),
        "losses": dict(LOSSES) | _summaries(by_kind["loss"]),
        "temperature_schedules": dict(TEMPERATURE_SCHEDULES),
        "objectives": dict(OBJECTIVES),
    }


def _summaries(records: list[Plugin]) -> dict[str, str]:
    return {plugin.declaration.name: plugin.declaration.summary for plugin in records}


def _check_plugin(kind: Kind, name: str, arguments: Mapping[str, Argument]) -> list[str]:
    catalogue = plugins.published()
    if catalogue is None:
        return []
    plugin = catalogue.find(kind, name)
    if plugin is None:
        return plugins.problems(kind, name)
    return argument_problems(name, plugin.declaration.arguments, arguments)


def _chosen(record: Any, fields: tuple[str, ...]) -> dict[str, Any]:
    """These fields of a record as plain JSON; the others are no concern of the API's."""
    whole = dataclasses.asdict(record)
    return {name: whole[name] for name in fields}


def _no_arguments(name: str, arguments: Mapping[str, Argument]) -> list[str]:
    return [f"{name} takes no arguments, got {', '.join(sorted(arguments))}"] if arguments else []
