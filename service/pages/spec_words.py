"""A job's spec written for people: whole, to keep and to send again, and parts of it in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from search.records import Job

SAMPLERS = {
    "gp": "Gaussian process, knowledge gradient",
    "tpe": "tree-structured Parzen estimator",
    "cmaes": "covariance matrix adaptation",
    "qmc": "quasi-random, scrambled Sobol sequence",
}


def spec_yaml(job: Job) -> str:
    """The spec as YAML, in the order of its fields."""
    return yaml.safe_dump(_plain(job.spec), sort_keys=False, allow_unicode=True)


def model(spec: Mapping[str, Any]) -> str:
    """A model with what was said of it."""
    arguments = ", ".join(f"{name} {value}" for name, value in (spec.get("arguments") or {}).items())
    return f"{spec['name']} ({arguments})" if arguments else str(spec["name"])


def sampler(spec: Mapping[str, Any]) -> str:
    """How a search proposes: the sampler's name, and what that stands for."""
    name = str(spec.get("name", ""))
    return f"{name} ({SAMPLERS[name]})" if name in SAMPLERS else name


def trainer(spec: Mapping[str, Any]) -> str:
    """Who trains a job's trials, and what they say of it."""
    external = spec.get("external")
    if external is None:
        return f"trained by the command {spec['command']}"
    queue, about = external.get("queue"), external.get("about")
    words = "trained by your own program" if queue is None else f"trained by your own program, queue {queue}"
    return f"{words}: {about}" if about else words


def teacher(spec: Mapping[str, Any]) -> str:
    """A teacher, or those of an ensemble, with what was said of the models."""
    if spec.get("members"):
        return "the mean of " + ", ".join(teacher(member) for member in spec["members"])
    return model(spec["model"]) if spec.get("model") else "given logits"


def teacher_name(spec: Mapping[str, Any]) -> str:
    """The same in a word or two."""
    if spec.get("members"):
        return f"an ensemble of {len(spec['members'])}"
    return str(spec["model"]["name"]) if spec.get("model") else "given logits"


def _plain(value: Any) -> Any:
    """Mappings and sequences as YAML's own."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
