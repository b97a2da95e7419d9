"""Faults of a given teacher's answers that the labels or the numbers themselves show: probabilities in the place of
logits, images of one part in another order, and classes in another order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from thermowell.plugin import Targets
from trainers import quality
from trainers.data.targets import dominant
from trainers.teaching import teacher as given
from trainers.teaching.teacher import Answers, Setting
from trainers.training import evaluate

_LEAST_IMAGES, _MOST_LOGITS = 1000, 10**8  # of the training part that are looked at
_ROUNDING = 1e-2  # of a sum of probabilities in 16 bits
_LEAST_GAIN = 0.1  # of accuracy, by another order
_MOST_CLASSES = 200  # whose order is written out
_MOST_ORDERED = 2000  # whose order is looked for: that takes as much as their square and their cube
_PROBABILITIES = (
    "its logits are probabilities ({}): at no T are these what the teacher says. Give the model's output before its {}"
    ", or {}"
)


def faults(setting: Setting, answers: Answers) -> tuple[str, ...]:
    """What is wrong with the answers of the given ones among a problem's teachers, in words; `answers` are those of all
    together.
    """
    if setting.problem.teacher.source != "ensemble":
        return _of_teacher(setting, answers)
    lines: list[str] = []
    for number, member in enumerate(given.members(setting)):
        if member.problem.teacher.source in ("weights", "logits"):
            lines += [f"member {number}: {line}" for line in _of_teacher(member, given.answers(member))]
    return tuple(lines)


def _of_teacher(setting: Setting, answers: Answers) -> tuple[str, ...]:
    teacher, split = setting.problem.teacher, setting.split
    if teacher.source not in ("weights", "logits"):
        return ()
    if line := probabilities(answers.validation, split.targets):
        return (line,)
    numbers = _some(len(split.train.labels), answers.train)
    labels = split.train.labels[numbers]
    if teacher.source == "logits" and (line := _other_images(answers, numbers, labels, split.validation.labels)):
        return (line,)
    if split.targets == "several":
        return ()
    train = answers.train[0, numbers], dominant(labels)
    order = other_order(train, (answers.validation, dominant(split.validation.labels)))
    return () if order is None else (words(order, teacher.class_map),)


def _some(images: int, train: Tensor) -> Tensor:
    """The numbers of training images that are looked at, evenly among all: the fewer the more logits there are."""
    most = max(_LEAST_IMAGES, _MOST_LOGITS // (_different(train) * train.shape[-1]))
    return torch.arange(0, images, math.ceil(images / most))


def probabilities(logits: Tensor, targets: Targets) -> str | None:
    """In words that logits [n, classes] are no logits but what softmax or sigmoid makes of them; None where they may be
    logits.
    """
    if not bool(((logits >= 0) & (logits <= 1 + _ROUNDING)).all()) or not bool(logits.any()):
        return None
    if targets == "several":
        return _PROBABILITIES.format("all lie between 0 and 1", "sigmoid", "log(p / (1 - p))")
    sums = logits.double().sum(-1)
    if not bool(((sums - 1).abs() < _ROUNDING).all()):
        return None
    return _PROBABILITIES.format("each image's sum to 1", "softmax", "their logarithms")


def _other_images(answers: Answers, numbers: Tensor, labels: Tensor, validation_labels: Tensor) -> str | None:
    """In words that one part's logits are near chance and the other's are not; None where they are alike."""
    levels = [_level(view[numbers], labels) for view in answers.train[: _different(answers.train)]]
    worst = int(np.argmin(levels))
    level, is_near = levels[worst], _near_chance(levels[worst], labels)
    validation_level = _level(answers.validation, validation_labels)
    if is_near == _near_chance(validation_level, validation_labels):
        return None
    view = f" (view {worst})" if len(levels) > 1 else ""
    part = f"training part{view}" if is_near else "validation part"
    return (
        f"it is near chance on the {part} alone: {level:.1%} on the training part{view}, {validation_level:.1%} on the "
        f"validation part. Give its answers to the {part} in the order of its images, as `thermowell teacher inputs` "
        "writes them"
    )


def _different(train: Tensor) -> int:
    return 1 if train.stride(0) == 0 else len(train)


def _level(logits: Tensor, labels: Tensor) -> float:
    """By what a teacher is judged: accuracy, of several labels the mean average precision."""
    if labels.dtype == torch.bool:
        return float(evaluate.mean_average_precision(logits, labels))
    return float(evaluate.accuracy(logits, labels))


def _near_chance(level: float, labels: Tensor) -> bool:
    chance = evaluate.chance(labels)
    return chance < 1 and level <= quality.least_accuracy(chance, len(labels))


def other_order(train: tuple[Tensor, Tensor], validation: tuple[Tensor, Tensor]) -> tuple[int, ...] | None:
    """For each class the one under which the teacher knows it, from logits [n, classes] and labels [n] of both parts;
    None where that is itself.

    The order is that under which most training images are right, which classes without images keep. It counts where it
    is clearly better on validation, which it does not depend on. Of very many classes none is looked for.
    """
    from scipy.optimize import linear_sum_assignment

    logits, labels = train
    classes = logits.shape[-1]
    if classes > _MOST_ORDERED:
        return None
    pairs = labels * classes + logits.argmax(-1)
    counts = torch.bincount(pairs, minlength=classes**2).reshape(classes, classes).double().numpy()
    _, order = linear_sum_assignment(counts + 0.5 * np.eye(classes), maximize=True)
    if (order == np.arange(classes)).all():
        return None
    prediction, expected = validation[0].argmax(-1), validation[1]
    right, would_be = prediction == expected, prediction == torch.from_numpy(order)[expected]
    gain = float(would_be.double().mean() - right.double().mean())
    if gain < _LEAST_GAIN or not evaluate.ahead(would_be, right):
        return None
    return tuple(order.tolist())


def words(order: tuple[int, ...], groups: Sequence[Sequence[int]]) -> str:
    """What is said of classes in another order, with the map that puts them right, in the place of `groups` if any."""
    subject = "the entries of teacher.class_map are" if groups else "its classes are"
    mended = [list(groups[place]) for place in order] if groups else list(order)
    if len(order) > _MOST_CLASSES:
        moved = [f"{place} is its {number}" for place, number in enumerate(order) if place != number][:5]
        return (
            f"{subject} in another order than the data's (class {', '.join(moved)}, ...): say it in teacher.class_map"
        )
    return f"{subject} in another order than the data's: say `class_map: {mended}` in teacher"
