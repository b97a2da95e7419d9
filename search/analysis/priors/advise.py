"""Advice for a context from weighted sources, and what the sources do not cover."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Literal, cast

from search import units
from search.analysis.priors.context import FEATURES, Context, as_json, describe_feature, differences, distance
from search.analysis.priors.evidence import Evidence
from search.analysis.priors.points import at_share, weight
from thermowell.api.advice import (
    Advice,
    AdviceApart,
    AdviceSource,
    AdvisedDefault,
    AdvisedOptimizer,
    AdvisedQuantile,
    AdvisedSetting,
    AdvisedTemperature,
    Mode,
)

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
FAR = 0.5
"""A feature in which every source is at least so far away is named as not covered."""
USUAL = 4.0
"""What most take without searching."""
KEEP = 0.5
"""Of the weight: from this share on that found T = 4 as good as its best, it is kept."""
_NEAR, _LEAST_SHARE = 1.3, 0.05
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
    "student_init": "student's initialization",
    "metric": "metric",
}
OWN_ALONE = (
    "Own history only: your own finished jobs of this queue or command. The literature knows nothing of its data, and "
    "what programs report of themselves advises nobody else."
)
METHOD = (
    "Each source weighs its strength (1 for a job confirmed here, 0.5 for a published sweep, 0.2 for a copied default) "
    "times exp(-distance). A job's word is the posterior of its best T, or any T of the range in which its verdict "
    "says that T makes no difference; one that could not tell says nothing. A job of before verdicts were given says "
    "half its confirmed winner, half its equivalent set."
)


def advise(context: Context, evidence: Sequence[Evidence], mode: Mode, most_sources: int = 20) -> Advice:
    """The distribution over T and settings in a context, and its sources, at most so many of them in full."""
    weights = [weight(context, source) for source in evidence]
    total = sum(weights)
    if total > 0:
        weights = [share / total for share in weights]
    ranked = sorted(zip(weights, evidence, strict=True), key=lambda pair: (-pair[0], pair[1].source))
    temperatures = _temperatures(ranked)
    squared = sum(share**2 for share in weights)
    return Advice(
        context=as_json(context),
        mode=mode,
        temperatures=[AdvisedTemperature(temperature=temperature, weight=share) for temperature, share in temperatures],
        quantiles=[
            AdvisedQuantile(share=share, temperature=temperature)
            for share in SHARES
            if (temperature := at_share(temperatures, share)) is not None
        ],
        optimizers=_optimizers(ranked),
        settings=_settings(ranked),
        sources=[_source(context, share, source) for share, source in ranked[:most_sources]],
        sources_known=len(ranked),
        effective_sources=1 / squared if squared else 0.0,
        default=_default(context, ranked),
        gaps=_gaps(context, [source for _, source in ranked], mode),
        method=METHOD,
    )


Ranked = Sequence[tuple[float, Evidence]]


def _temperatures(ranked: Ranked) -> list[tuple[float, float]]:
    """All temperatures with their weight, rising; those that nobody would tell apart as one, at their mean."""
    single = sorted((temperature, share * heavy) for heavy, source in ranked for temperature, share in source.spread)
    groups: list[list[tuple[float, float]]] = []
    for temperature, heavy in single:
        if groups and temperature <= groups[-1][0][0] * _ALIKE:
            groups[-1].append((temperature, heavy))
        else:
            groups.append([(temperature, heavy)])
    together = [(group, sum(heavy for _, heavy in group)) for group in groups]
    return [
        (
            math.exp(sum(math.log(temperature) * heavy for temperature, heavy in group) / whole)
            if len(group) > 1
            else group[0][0],
            whole,
        )
        for group, whole in together
        if whole > 0
    ]


def _default(context: Context, ranked: Ranked) -> AdvisedDefault | None:
    """T = 4 against what the sources found: kept where most of the weight has it among what is as good."""
    total = sum(heavy for heavy, _ in ranked)
    if total <= 0:
        return None
    as_good = sum(heavy for heavy, source in ranked if _has_usual(source)) / total
    measured = [(heavy, source.gain) for heavy, source in ranked if source.gain is not None]
    weight_measured = sum(heavy for heavy, _ in measured)
    gain = sum(heavy * value for heavy, value in measured) / weight_measured if weight_measured > 0 else None
    keep = as_good >= KEEP
    words = f"Sources with {100 * as_good:.0f} % of the weight found T = {USUAL:g} as good as their best"
    if gain is not None:
        metric: units.Metric = "nll" if context.metric == "nll" else "ece" if context.metric == "ece" else "accuracy"
        own_metric = context.program is not None and context.metric not in ("accuracy", "nll", "ece")
        difference = f"{gain:.3g}" if own_metric else units.difference(metric, gain)
        words += f"; where it was measured, another T gained {difference} over it"
    advice = f"keep T = {USUAL:g} unless you search" if keep else "begin where the weight lies, or search T"
    return AdvisedDefault(temperature=USUAL, as_good=as_good, gain=gain, keep=keep, words=f"{words}: {advice}.")


def _has_usual(source: Evidence) -> bool:
    """Whether a source's word has enough of its share near T = 4."""
    return math.fsum(share for value, share in source.spread if USUAL / _NEAR <= value <= USUAL * _NEAR) >= _LEAST_SHARE


def _optimizers(ranked: Ranked) -> list[AdvisedOptimizer]:
    by_name: dict[str, float] = {}
    for heavy, source in ranked:
        if source.settings.optimizer is not None:
            by_name[source.settings.optimizer] = by_name.get(source.settings.optimizer, 0.0) + heavy
    total = sum(by_name.values())
    optimizers = [AdvisedOptimizer(name=name, weight=heavy / total) for name, heavy in by_name.items() if total > 0]
    return sorted(optimizers, key=lambda optimizer: (-optimizer.weight, optimizer.name))


def _settings(ranked: Ranked) -> list[AdvisedSetting]:
    values: dict[str, list[tuple[float, float]]] = {}
    for heavy, source in ranked:
        for name, value in _named_settings(source):
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


def _named_settings(source: Evidence) -> Iterable[tuple[str, float]]:
    for name, value in dataclasses.asdict(source.settings).items():
        if name == "optimizer" or value is None:
            continue
        if name in ("kd_weight", "label_weight"):
            yield name, value
        elif source.settings.optimizer is not None:
            yield f"{source.settings.optimizer}.{name}", value


def _source(context: Context, heavy: float, source: Evidence) -> AdviceSource:
    parts = [part for part in differences(context, source.context) if part.distance > 0]
    settings = {name: value for name, value in dataclasses.asdict(source.settings).items() if value is not None}
    foreign = source.origin == "history" and source.job_id is None
    return AdviceSource(
        origin=cast(Literal["literature", "history"], source.origin),
        source=source.source,
        reference=source.reference,
        job_id=source.job_id,
        how=cast(Literal["read", "reported", "measured"], source.how),
        temperature=source.temperature,
        low=source.spread[0][0],
        high=source.spread[-1][0],
        settings=settings,
        distance=distance(context, source.context),
        weight=heavy,
        apart=[
            AdviceApart(
                feature=part.feature,
                distance=part.distance,
                yours=describe_feature(context, part.feature),
                theirs=None
                if foreign and part.feature in _OF_ANYBODY
                else describe_feature(source.context, part.feature),
            )
            for part in sorted(parts, key=lambda part: -part.distance)
        ],
    )


def _gaps(context: Context, evidence: Sequence[Evidence], mode: Mode) -> list[str]:
    """In words: what is unknown of the context, where no source is near, and what none of them tells."""
    gaps = [] if context.program is None else [OWN_ALONE]
    if not evidence:
        return [*gaps, _nothing(mode)]
    unknown = [_NAMES[part.feature] for part in differences(context, context) if part.distance > 0]
    if unknown:
        gaps.append(f"Not known of your setting: {_enumerate(unknown)}.")
    nearest = dict.fromkeys(FEATURES, math.inf)
    for source in evidence:
        for part in differences(context, source.context):
            if describe_feature(source.context, part.feature) is not None:
                nearest[part.feature] = min(nearest[part.feature], part.distance)
    far = [name for name, how_far in nearest.items() if how_far >= FAR and describe_feature(context, name) is not None]
    gaps += [
        f"No source is known to be near yours in its {_NAMES[name]} ({describe_feature(context, name)})."
        for name in far
    ]
    closest = min(distance(context, source.context) for source in evidence)
    if closest > 2:
        gaps.append(f"The nearest source is {closest:.1f} away in all: take this as a place to begin, no more.")
    for name in context.optimizers:
        if not any(source.settings.optimizer == name and source.settings.learning_rate for source in evidence):
            gaps.append(f"No source tells a learning rate of {name}.")
    if context.label_smoothing and not any(source.context.label_smoothing for source in evidence):
        gaps.append("No source had a label-smoothed teacher.")
    if any(source.censored for source in evidence):
        gaps.append("Some jobs found their best temperature at an end of what they searched: the best may lie beyond.")
    return gaps


def _nothing(mode: Mode) -> str:
    if mode == "history":
        return "No finished job that you may read searched a temperature: there is no history to advise from."
    return "There is no evidence at all: the table of the literature is empty." if mode != "none" else "None was asked."


def _enumerate(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
