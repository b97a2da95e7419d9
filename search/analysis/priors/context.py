"""The context of a distillation and distances between contexts, feature by feature, in plain units.

A distance is a sum, so that each part of it can be told: what one unit of it means stands with each feature below.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from search.spec.classes import classes_known
from search.spec.job import JobSpec
from trainers import catalogue
from trainers.registry import datasets, losses, optimizers

UNKNOWN = 0.4
"""The distance in a feature that one of two contexts does not tell: unknown is neither near nor far."""
_TRANSFORMERS = ("vit", "swin", "maxvit", "deit", "beit", "cait", "mixer")

Student = Literal["dense", "convolutional", "transformer"]
Initial = Literal["random", "pretrained"]


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of a setting; None, and no optimizers, where something is not.

    `train_images` are those that students are trained on. `optimizers` are those that are searched, or the one that a
    source used. `label_smoothing` is the teacher's; `teacher_entropy`, in nats, is the mean entropy of its softmax at
    T = 1 on validation: how sharp it is. A student that does not begin with random weights is pretrained, on whichever
    data. `method` is what is taken from the teacher and how T goes along training, None for plain KL at one T: T means
    something else to each, so that none speaks of another's. `program` is the queue or the command of a training of
    one's own: it advises itself alone, and what neither tells of data and models is then the same, not unknown.
    """

    data: str | None = None
    classes: int | None = None
    train_images: int | None = None
    optimizers: tuple[str, ...] = ()
    epochs: int | None = None
    batch_size: int | None = None
    label_smoothing: float | None = None
    teacher_entropy: float | None = None
    student: Student | None = None
    student_init: Initial | None = None
    metric: str | None = None
    method: str | None = None
    program: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """One feature in which two contexts differ, and by how much."""

    feature: str
    distance: float


def of_spec(spec: JobSpec, teacher: Mapping[str, Any] | None = None) -> Context:
    """A job's context; `teacher` is its TeacherFacts as they are stored, once they are known.

    ValueError for a job that a program of its own trains, of whose data nothing is known.
    """
    parts = spec.built_in_parts
    data, smoothing, initial = parts.dataset, parts.teacher.label_smoothing, parts.student.initial
    entry = datasets.get(data.name)
    facts = teacher or {}
    pool = entry.images
    if pool is not None:
        held_out = data.validation_fraction + (0.0 if entry.own_test_part else data.test_fraction)
        pool -= round(held_out * pool)
    return Context(
        data=data.name if data.path is None else f"{data.name} {data.path}",
        classes=facts.get("classes", classes_known(data.name, data.classes)),
        train_images=facts.get("train_images", data.train_size or pool),
        optimizers=tuple(spec.space.optimizers()),
        epochs=spec.training.epochs,
        batch_size=spec.training.batch_size,
        label_smoothing=smoothing if parts.teacher.source == "train" else None,
        teacher_entropy=facts["validation"]["teacher_entropy"] if "validation" in facts else None,
        student=kind_of(parts.student.name),
        student_init="random" if initial is None or initial.source == "random" else "pretrained",
        metric=spec.objective.metric,
        method=_method(spec),
    )


def of_program(spec: JobSpec) -> Context:
    """The context of a job that a program of its own trains: its settings, and who trains it. ValueError for others."""
    if spec.trainer is None:
        raise ValueError("this job is trained by the service's own workers: its context is that of its data and models")
    return Context(
        optimizers=() if spec.space.optimizer is None else tuple(spec.space.optimizers()),
        epochs=spec.training.epochs,
        metric=spec.objective.metric,
        method=_method(spec),
        program=spec.trainer.queue,
    )


def _method(spec: JobSpec) -> str | None:
    """Everything that makes T another number than that of plain KL at one T, in a word; None where nothing does."""
    rule, apart = spec.distillation, spec.space.student_temperature is not None
    words = [rule.method, rule.schedule, *["student's own T"] * apart]
    return None if words == [losses.PLAIN, "constant"] else ", ".join(words)


def kind_of(model: str) -> Student:
    """Which kind of student a model of the catalogue is, by its name."""
    name = model.removeprefix(catalogue.TIMM_PREFIX).lower()
    if name in catalogue.MODELS:
        return catalogue.MODELS[name].kind
    return "transformer" if name.startswith(_TRANSFORMERS) else "convolutional"


def differences(first: Context, second: Context) -> list[Difference]:
    """Where two contexts differ, feature by feature, in a fixed order; symmetric, and never below 0."""
    one_program = first.program is not None and first.program == second.program
    return [
        Difference(name, 0.0 if one_program and _untold(name, first, second) else measure(first, second))
        for name, measure in _MEASURES.items()
    ]


def distance(first: Context, second: Context) -> float:
    """The sum of `apart`: about 1 for one reason to expect another answer, 0 for the same setting, all of it known."""
    return sum(feature.distance for feature in differences(first, second))


def describe_feature(context: Context, feature: str) -> str | None:
    """A feature in words; None where it is unknown."""
    value = getattr(context, _FIELDS.get(feature, feature))
    if value is None or value == ():
        return None
    if feature == "optimizer":
        return ", ".join(value)
    if feature == "teacher_sharpness":
        return f"{value:.3g} nats at T = 1"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def as_json(context: Context) -> dict[str, Any]:
    """A context as plain JSON, without what is unknown."""
    features = {name: value for name, value in dataclasses.asdict(context).items() if value not in (None, ())}
    if "optimizers" in features:
        features["optimizers"] = list(features["optimizers"])
    return features


def _untold(feature: str, *contexts: Context) -> bool:
    return all(getattr(context, _FIELDS.get(feature, feature)) in (None, ()) for context in contexts)


Measure = Callable[[Context, Context], float]


def _ratio(name: str, per_decade: float) -> Measure:
    """So much for each factor of ten."""

    def measure(first: Context, second: Context) -> float:
        a, b = getattr(first, name), getattr(second, name)
        return UNKNOWN if a is None or b is None else per_decade * abs(math.log10(a / b))

    return measure


def _equality_measure(name: str, otherwise: float) -> Measure:
    """Nothing where it is the same, a fixed distance otherwise."""

    def measure(first: Context, second: Context) -> float:
        a, b = getattr(first, name), getattr(second, name)
        return UNKNOWN if a is None or b is None else 0.0 if a == b else otherwise

    return measure


def _optimizer(first: Context, second: Context) -> float:
    """0 where one of them is among the others, 0.25 between two of a family, 1 between families."""
    if not first.optimizers or not second.optimizers:
        return UNKNOWN
    return min(_between(a, b) for a in first.optimizers for b in second.optimizers)


def _between(first: str, second: str) -> float:
    if first == second:
        return 0.0
    return 0.25 if optimizers.relatives(first, [second]) else 1.0


def _smoothing(first: Context, second: Context) -> float:
    """1 for a smoothing that differs by 0.1 or more: a smoothed teacher wants T near 1."""
    if first.label_smoothing is None or second.label_smoothing is None:
        return UNKNOWN
    return min(1.0, 10.0 * abs(first.label_smoothing - second.label_smoothing))


def _sharpness(first: Context, second: Context) -> float:
    """4 times the difference of the entropies, each as a share of the largest that its classes allow; at most 1."""
    shares = []
    for context in (first, second):
        if context.teacher_entropy is None or context.classes is None or context.classes < 2:
            return UNKNOWN
        shares.append(context.teacher_entropy / math.log(context.classes))
    return min(1.0, 4.0 * abs(shares[0] - shares[1]))


_MEASURES: Mapping[str, Measure] = {
    "data": _equality_measure("data", 0.5),
    "classes": _ratio("classes", 1.0),
    "train_images": _ratio("train_images", 0.5),
    "optimizer": _optimizer,
    "epochs": _ratio("epochs", 1.0),
    "batch_size": _ratio("batch_size", 0.5),
    "label_smoothing": _smoothing,
    "teacher_sharpness": _sharpness,
    "student": _equality_measure("student", 0.5),
    "student_init": _equality_measure("student_init", 0.5),
    "metric": _equality_measure("metric", 0.5),
}
FEATURES: Sequence[str] = tuple(_MEASURES)
_FIELDS = {"optimizer": "optimizers", "teacher_sharpness": "teacher_entropy"}
