"""Advice for a context from weighted sources, and what the sources do not cover."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Literal, cast

from search.priors.context import FEATURES, Context, apart, as_json, distance, told
from search.priors.documents import (
    Advice,
    AdviceApart,
    AdviceSource,
    AdvisedOptimizer,
    AdvisedQuantile,
    AdvisedSetting,
    AdvisedTemperature,
    Mode,
)
from search.priors.evidence import Evidence
from search.priors.points import at_share, weight

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
FAR = 0.5
"""A feature in which every source is at least so far away is named as not covered."""
_ALIKE = 1.02
"""Temperatures closer than by this factor are told as one."""
_OF_ANYBODY = frozenset({"data"})  # features that would tell whose job it was
_NAMES = {
    "data": "data set",
    "classes": "number of classes",
    "train_images": "number of training images",
    "optimizer": "optimizer",
    "epochs": "number of epochs",
    "batch_size": "batch size",
    "label_smoothing": "label smoothing of the teacher",
    "teacher_sharpness": "sharpness of the teacher",
    "student": "kind of student",
    "student_init": "student's initialisation",
    "metric": "metric",
}
METHOD = (
    "Each source weighs its strength (1 for a job confirmed here, 0.5 for a published sweep, 0.2 for a copied default) "
    "times exp(-distance); a job's word is half its confirmed winner, half its equivalent set."
)


def advise(context: Context, evidence: Sequence[Evidence], mode: Mode, most_sources: int = 20) -> Advice:
    """The distribution over T and settings in a context, and its sources, at most so many of them in full."""
    weights = [weight(context, each) for each in evidence]
    total = sum(weights)
    if total > 0:
        weights = [one / total for one in weights]
    ranked = sorted(zip(weights, evidence, strict=True), key=lambda one: (-one[0], one[1].source))
    temperatures = _temperatures(ranked)
    squared = sum(one**2 for one in weights)
    return Advice(
        context=as_json(context),
        mode=mode,
        temperatures=[AdvisedTemperature(temperature=at, weight=share) for at, share in temperatures],
        quantiles=[
            AdvisedQuantile(share=share, temperature=at)
            for share in SHARES
            if (at := at_share(temperatures, share)) is not None
        ],
        optimizers=_optimizers(ranked),
        settings=_settings(ranked),
        sources=[_source(context, share, each) for share, each in ranked[:most_sources]],
        sources_known=len(ranked),
        effective_sources=1 / squared if squared else 0.0,
        gaps=_gaps(context, [each for _, each in ranked], mode),
        method=METHOD,
    )


Ranked = Sequence[tuple[float, Evidence]]


def _temperatures(ranked: Ranked) -> list[tuple[float, float]]:
    """All temperatures with their weight, rising; those that nobody would tell apart as one, at their mean."""
    single = sorted((at, share * heavy) for heavy, each in ranked for at, share in each.spread)
    groups: list[list[tuple[float, float]]] = []
    for at, heavy in single:
        if groups and at <= groups[-1][0][0] * _ALIKE:
            groups[-1].append((at, heavy))
        else:
            groups.append([(at, heavy)])
    together = [(group, sum(heavy for _, heavy in group)) for group in groups]
    return [
        (math.exp(sum(math.log(at) * heavy for at, heavy in group) / whole) if len(group) > 1 else group[0][0], whole)
        for group, whole in together
        if whole > 0
    ]


def _optimizers(ranked: Ranked) -> list[AdvisedOptimizer]:
    by_name: dict[str, float] = {}
    for heavy, each in ranked:
        if each.settings.optimizer is not None:
            by_name[each.settings.optimizer] = by_name.get(each.settings.optimizer, 0.0) + heavy
    total = sum(by_name.values())
    found = [AdvisedOptimizer(name=name, weight=heavy / total) for name, heavy in by_name.items() if total > 0]
    return sorted(found, key=lambda one: (-one.weight, one.name))


def _settings(ranked: Ranked) -> list[AdvisedSetting]:
    values: dict[str, list[tuple[float, float]]] = {}
    for heavy, each in ranked:
        for name, value in _named(each):
            values.setdefault(name, []).append((value, heavy))
    order = sorted(values, key=lambda name: ("." in name, name))
    return [
        AdvisedSetting(
            setting=name,
            low=cast(float, at_share(values[name], 0.1)),
            middle=cast(float, at_share(values[name], 0.5)),
            high=cast(float, at_share(values[name], 0.9)),
            told=min(1.0, sum(heavy for _, heavy in values[name])),
        )
        for name in order
    ]


def _named(each: Evidence) -> Iterable[tuple[str, float]]:
    for name, value in dataclasses.asdict(each.settings).items():
        if name == "optimizer" or value is None:
            continue
        if name in ("kd_weight", "label_weight"):
            yield name, value
        elif each.settings.optimizer is not None:
            yield f"{each.settings.optimizer}.{name}", value


def _source(context: Context, heavy: float, each: Evidence) -> AdviceSource:
    parts = [part for part in apart(context, each.context) if part.distance > 0]
    known = {name: value for name, value in dataclasses.asdict(each.settings).items() if value is not None}
    foreign = each.origin == "history" and each.job_id is None
    return AdviceSource(
        origin=cast(Literal["literature", "history"], each.origin),
        source=each.source,
        reference=each.reference,
        job_id=each.job_id,
        how=cast(Literal["read", "reported", "measured"], each.how),
        temperature=each.temperature,
        low=each.spread[0][0],
        high=each.spread[-1][0],
        settings=known,
        distance=distance(context, each.context),
        weight=heavy,
        apart=[
            AdviceApart(
                feature=part.feature,
                distance=part.distance,
                yours=told(context, part.feature),
                theirs=None if foreign and part.feature in _OF_ANYBODY else told(each.context, part.feature),
            )
            for part in sorted(parts, key=lambda part: -part.distance)
        ],
    )


def _gaps(context: Context, evidence: Sequence[Evidence], mode: Mode) -> list[str]:
    """In words: what is unknown of the context, where no source is near, and what none of them tells."""
    if not evidence:
        return [_nothing(mode)]
    gaps = []
    unknown = [_NAMES[part.feature] for part in apart(context, context) if part.distance > 0]
    if unknown:
        gaps.append(f"Not known of your setting: {_listed(unknown)}.")
    nearest = dict.fromkeys(FEATURES, math.inf)
    for each in evidence:
        for part in apart(context, each.context):
            if told(each.context, part.feature) is not None:
                nearest[part.feature] = min(nearest[part.feature], part.distance)
    far = [name for name, how_far in nearest.items() if how_far >= FAR and told(context, name) is not None]
    gaps += [f"No source is known to be near yours in its {_NAMES[name]} ({told(context, name)})." for name in far]
    closest = min(distance(context, each.context) for each in evidence)
    if closest > 2:
        gaps.append(f"The nearest source is {closest:.1f} away in all: take this as a place to begin, no more.")
    for name in context.optimizers:
        if not any(each.settings.optimizer == name and each.settings.learning_rate for each in evidence):
            gaps.append(f"No source tells a learning rate of {name}.")
    if context.label_smoothing and not any(each.context.label_smoothing for each in evidence):
        gaps.append("No source had a label-smoothed teacher.")
    if any(each.censored for each in evidence):
        gaps.append("Some jobs found their best temperature at an end of what they searched: the best may lie beyond.")
    return gaps


def _nothing(mode: Mode) -> str:
    if mode == "history":
        return "No finished job that you may read searched a temperature: there is no history to advise from."
    return "There is no evidence at all: the table of the literature is empty." if mode != "none" else "None was asked."


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
