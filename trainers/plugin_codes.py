"""Fingerprints of plugins' code in the problems that name them, so that whatever is derived from it has another name
once the code is another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from thermowell.plugin import Kind
from trainers.registry import plugins
from trainers.registry.plugins import Plugin
from trainers.spec import Data, Initial, Model, Pretraining, Problem, Teacher


def complete(problem: Problem) -> Problem:
    """The problem with the codes of its plugins, as this process has loaded them; one without plugins as it is."""
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
    )


def names(problem: Problem) -> Iterator[tuple[Kind, str]]:
    """The plugins that a problem names, by kind."""
    teachers = (problem.teacher, *problem.teacher.members)
    origins = [problem.initial.pretrained_on, *(teacher.pretrained_on for teacher in teachers)]
    for data in (problem.data, *(origin.data for origin in origins if origin is not None)):
        if plugins.is_plugin(data.name):
            yield "dataset", data.name
    for model in (problem.student, *(teacher.model for teacher in teachers)):
        if model is not None and plugins.is_plugin(model.name):
            yield "model", model.name


def _data(data: Data) -> Data:
    plugin = _find("dataset", data.name)
    return data if plugin is None else replace(data, code=plugin.fingerprint)


def _model(model: Model, vocabulary: int | None) -> Model:
    plugin = _find("model", model.name)
    return replace(model, code=None if plugin is None else plugin.fingerprint, vocabulary=vocabulary)


def _teacher(teacher: Teacher, vocabulary: int | None) -> Teacher:
    return replace(
        teacher,
        model=None if teacher.model is None else _model(teacher.model, vocabulary),
        pretrained_on=_pretraining(teacher.pretrained_on),
        members=tuple(_teacher(member, vocabulary) for member in teacher.members),
    )


def _initial(initial: Initial) -> Initial:
    return replace(initial, pretrained_on=_pretraining(initial.pretrained_on))


def _pretraining(origin: Pretraining | None) -> Pretraining | None:
    return None if origin is None else replace(origin, data=_data(origin.data))


def _find(kind: Kind, name: str) -> Plugin | None:
    return plugins.loaded().find(kind, name) if plugins.is_plugin(name) else None
