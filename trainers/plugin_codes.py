"""Fingerprints of plugins' code, and digests of weights with a name, in the problems that name them, so that whatever
is derived from them has another name once the code or the file is another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from thermowell.plugin import Kind
from trainers.registry import local_models, named, plugins
from trainers.registry.plugins import Plugin
from trainers.spec import Data, Distillation, Initial, Model, Pretraining, Problem, Teacher

WEIGHTS = "weights"
"""The kind of what has a name and is no plugin."""


def complete(problem: Problem) -> Problem:
    """The problem with the codes of its plugins and the digests of named weights, as this process has them; one without
    any as it is.
    """
    if not any(True for _ in names(problem)):
        return problem
    plugin = _find("dataset", problem.data.name)
    vocabulary = None if plugin is None else plugin.declaration.vocabulary
    return replace(
        problem,
        data=_data(problem.data),
        teacher=_teacher(problem.teacher, vocabulary),
        student=_model(problem.student, vocabulary),
        initial=_initial(problem.initial),
        distillation=_rule(problem.distillation),
        optimizers=tuple((name, _code("optimizer", name)) for name, _ in problem.optimizers),
    )


def code_of(kind: str, name: str) -> str | None:
    """The fingerprint of a plugin, or the digest of weights, as this process has them; None where it has none."""
    if kind == WEIGHTS or local_models.is_local(name):
        return named.digest_of(name)
    plugin = plugins.loaded().find(cast(Kind, kind), name)
    return None if plugin is None else plugin.fingerprint


def names(problem: Problem) -> Iterator[tuple[str, str]]:
    """The plugins, and the weights of packages, that a problem names, by kind."""
    teachers = (problem.teacher, *problem.teacher.members)
    origins = [problem.initial.pretrained_on, *(teacher.pretrained_on for teacher in teachers)]
    for data in (problem.data, *(origin.data for origin in origins if origin is not None)):
        if plugins.is_plugin(data.name):
            yield "dataset", data.name
        if plugins.is_plugin(data.augmentation):
            yield "augmentation", data.augmentation
    for model in (problem.student, *(teacher.model for teacher in teachers)):
        if model is not None and (plugins.is_plugin(model.name) or local_models.is_local(model.name)):
            yield "model", model.name
    artifacts = [problem.initial.artifact]
    for teacher in teachers:
        artifacts += [teacher.artifact, teacher.origin]
    for artifact in artifacts:
        if artifact is not None and named.is_name(artifact):
            name, _ = named.parts(artifact)
            yield ("model" if local_models.is_local(name) else WEIGHTS), name
    if plugins.is_plugin(problem.distillation.method):
        yield "loss", problem.distillation.method
    for name, _ in problem.optimizers:
        yield "optimizer", name


def _data(data: Data) -> Data:
    plugin = _find("dataset", data.name)
    targets = None if plugin is None else plugin.declaration.targets[0]
    codes: dict[str, Any] = {
        "code": _code("dataset", data.name),
        "targets": None if targets == "classes" else targets,
        "augmentation_code": _code("augmentation", data.augmentation),
    }
    return replace(data, **{name: code for name, code in codes.items() if code is not None})


def _rule(rule: Distillation) -> Distillation:
    return replace(rule, code=_code("loss", rule.method))


def _model(model: Model, vocabulary: int | None) -> Model:
    if local_models.is_local(model.name):
        return replace(model, code=local_models.fingerprint(model.name), vocabulary=vocabulary)
    plugin = _find("model", model.name)
    return replace(model, code=None if plugin is None else plugin.fingerprint, vocabulary=vocabulary)


def _teacher(teacher: Teacher, vocabulary: int | None) -> Teacher:
    return replace(
        teacher,
        model=None if teacher.model is None else _model(teacher.model, vocabulary),
        pretrained_on=_pretraining(teacher.pretrained_on),
        artifact=_pinned(teacher.artifact),
        origin=_pinned(teacher.origin),
        members=tuple(_teacher(member, vocabulary) for member in teacher.members),
    )


def _initial(initial: Initial) -> Initial:
    return replace(initial, pretrained_on=_pretraining(initial.pretrained_on), artifact=_pinned(initial.artifact))


def _pretraining(origin: Pretraining | None) -> Pretraining | None:
    return None if origin is None else replace(origin, data=_data(origin.data))


def _pinned(artifact: str | None) -> str | None:
    """With the digest that the file of that name has here; what has no name, or is not here, as it is."""
    if artifact is None or not named.valid(artifact):
        return artifact
    digest = named.digest_of(artifact)
    return artifact if digest is None else named.pinned(artifact, digest)


def _code(kind: Kind, name: str) -> str | None:
    plugin = _find(kind, name)
    return None if plugin is None else plugin.fingerprint


def _find(kind: Kind, name: str) -> Plugin | None:
    return plugins.loaded().find(kind, name) if plugins.is_plugin(name) else None
