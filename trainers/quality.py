"""Judgement of a teacher by its accuracy on validation, of several labels by its mean average precision, as numbers and
words; free of torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from trainers import preprocessing
from trainers.spec import TeacherFacts, to_jsonable

NEAR = 0.1
"""Of the way from chance to perfection: who has gone no farther is near chance."""
OF_SEVERAL = "mean_average_precision"
_DEVIATIONS = 2.326  # of an accuracy by chance: one in a hundred is beyond


def least_accuracy(chance: float, images: int) -> float:
    """The accuracy up to which a teacher is near chance, measured on so many images.

    It is a tenth of the way from chance to 1, or twice chance if that is less, and no less than what chance itself may
    look like on so few images.
    """
    luck = _DEVIATIONS * math.sqrt(chance * (1 - chance) / images)
    return min(1.0, chance + max(luck, min(chance, NEAR * (1 - chance))))


def level(validation: Mapping[str, Any]) -> float | None:
    """The figure by which a teacher is judged, of those on validation; None where nothing was measured."""
    return validation.get(metric(validation))


def metric(validation: Mapping[str, Any]) -> str:
    """By what a teacher is judged: accuracy, but of several labels, all of which even who knows much seldom gets right,
    the mean average precision.
    """
    return "accuracy" if validation.get(OF_SEVERAL) is None else OF_SEVERAL


def is_weak(facts: TeacherFacts) -> bool:
    """Whether a teacher is near chance on validation, or its answers have faults of another kind."""
    return bool(facts.faults) or is_near_chance(facts)


def is_near_chance(facts: TeacherFacts) -> bool:
    """Whether a teacher is near chance on validation; never where chance is not known, or is 1."""
    if facts.chance is None or facts.chance >= 1:
        return False
    measured = level(to_jsonable(facts.validation))
    return measured is not None and measured <= least_accuracy(facts.chance, facts.validation_images)


def weakness(facts: TeacherFacts) -> str:
    """Why a teacher is refused, with what was measured and the way out."""
    accuracy, chance, images = facts.validation.accuracy, facts.chance or 0.0, facts.validation_images
    precision = facts.validation.mean_average_precision
    measured = (
        f"{accuracy:.1%} of {images} validation images, where {chance:.1%} have the most common class"
        if precision is None
        else f"a mean average precision of {precision:.1%} on {images} validation images, where who knows nothing has "
        f"{chance:.1%}"
    )
    is_near = is_near_chance(facts)
    level = f"the teacher is near chance: {measured}" if is_near else f"the teacher has right {measured}"
    parts = [level, *facts.faults]
    for fact in facts.preprocessing if is_near else ():
        owner = "" if fact.teacher == "teacher" else f" of {fact.teacher}"
        figures = ", ".join(f"{tried.preset} {tried.accuracy:.1%}" for tried in fact.tried)
        parts.append(f"preprocessing{owner}: {preprocessing.words(fact.preprocessing)}; measured: {figures}")
    ways = (
        "say in teacher.preprocessing how its own training prepared images, look whether the order of the classes is "
        "that of the data, or accept it with teacher.accept_weak: true"
        if facts.preprocessing and not facts.faults
        else "look whether the order of images and classes is that of the data, or accept it with "
        "teacher.accept_weak: true"
    )
    return "; ".join(parts) + f". Try: {ways}"
