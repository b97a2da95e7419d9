"""Truthfulness of a study's questions: what intervals hold, which effects are claimed that are none, what is decided.

    python -m benchmarks.calibration.study [--studies 1000] [--kinds flat shifted] [--quick] [--keep NAME]

Simulated studies of eight kinds (study_worlds), each of two factors and three repeats on a grid. Promised: intervals
hold the truth in 90 %, and of the effects that are none 10 % at most are claimed. A pair of kind and quantity falls
short where its 95 % interval, shared out among all of them (Bonferroni), excludes that.

The first ones are made up with `adaptive` trials and with a search in each cell too (study_rivals), as many trainings
each: how wide their intervals are beside the search's.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.calibration import study_rivals
from benchmarks.calibration import study_worlds as worlds
from benchmarks.common import facts, output
from search import units
from search.analysis.study.cells import Cell
from search.analysis.study.quantities import Topic
from search.analysis.study.questions import questions_of
from thermowell.api.guidance import Effect, Measured, Question

CONFIDENCE = 0.9
FALSE = 0.1
"""Of the effects that are none, those that may be claimed."""
NOTHING = 1e-9
HEADINGS = ("cells", "effects", "claimed", "decided", "right")
QUICK_STUDIES = 20
APART = 10
"""One of so many studies is made up with other trials than a grid's too."""
MAKERS: Mapping[str, Callable[[worlds.Kind, int], list[Cell]]] = {
    "grid": worlds.study,
    "adaptive": study_rivals.adaptive,
    "search": study_rivals.searched,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One interval beside the truth: whose it is, whether it holds, and for effects what was said and whether rightly.

    `width` is the interval's length in margins.
    """

    kind: str
    topic: str
    part: str
    held: bool
    none: bool
    verdict: str | None
    right: bool
    width: float


def outcomes(
    kind: worlds.Kind, number: int, truths: Mapping[tuple[str, ...], Mapping[Topic, float]], trials: str = "grid"
) -> list[Outcome]:
    """All intervals of one study with such trials."""
    questions = questions_of(MAKERS[trials](kind, number), CONFIDENCE, units.measure("accuracy"), number)
    return [outcome for question in questions for outcome in _of_question(kind.name, question, truths)]


def _of_question(
    kind: str, question: Question, truths: Mapping[tuple[str, ...], Mapping[Topic, float]]
) -> Iterator[Outcome]:
    topic = Topic(question.name, question.temperature)
    label = question.name if question.temperature is None else f"T = {question.temperature:g}"
    true = {levels: numbers[topic] for levels, numbers in truths.items()}
    for size in question.cells:
        number = true[tuple(size.levels.values())]
        within = number <= question.margin
        right = size.verdict in (None, "cannot tell") or (size.verdict == "negligible") == within
        yield Outcome(kind, label, "cell", _holds(size.measured, number), False, size.verdict, right, 0.0)
    for effect in question.effects:
        number = _effect(effect, true)
        none = abs(number) < NOTHING + 0.02 * question.margin
        moved = not none and number * effect.measured.mean > 0
        rightly = {"moves": moved, "negligible": abs(number) <= question.margin}
        assert effect.measured.interval is not None
        width = (effect.measured.interval.high - effect.measured.interval.low) / question.margin
        held = _holds(effect.measured, number)
        yield Outcome(kind, label, "effect", held, none, effect.verdict, rightly.get(effect.verdict, True), width)


def _effect(effect: Effect, true: Mapping[tuple[str, ...], float]) -> float:
    """The true contrast of a factor's levels, or of two factors' together."""
    names = list(worlds.FACTORS)

    def mean(chosen: Mapping[str, str]) -> float:
        matching = [
            number
            for levels, number in true.items()
            if all(levels[names.index(factor)] == level for factor, level in chosen.items())
        ]
        return math.fsum(matching) / len(matching)

    if len(effect.factors) == 1:
        ((level, against),) = effect.levels
        return mean({effect.factors[0]: level}) - mean({effect.factors[0]: against})
    (one, other), ((high, low), (last, first)) = effect.factors, effect.levels
    late = mean({one: high, other: last}) - mean({one: low, other: last})
    return late - (mean({one: high, other: first}) - mean({one: low, other: first}))


def _holds(measured: Measured, number: float) -> bool:
    assert measured.interval is not None
    return measured.interval.low - NOTHING <= number <= measured.interval.high + NOTHING


def share(flags: Sequence[bool]) -> float | None:
    """The mean; None of nothing."""
    return float(np.mean(flags)) if flags else None


def short(hits: int, count: int, promised: float, pairs: int, *, most: bool) -> bool:
    """Whether so many hits exclude what was promised: at `most` so many of a share, or at least."""
    alpha = 0.05 / pairs
    if most:
        return bool(stats.binom.sf(hits - 1, count, promised) < alpha / 2)
    return bool(stats.binom.cdf(hits, count, promised) < alpha / 2)


def figures(rows: Sequence[Outcome], minutes: float) -> dict[str, Any]:
    """The headline: which pairs fall short, how much is decided and rightly, how wide intervals are."""
    groups: dict[tuple[str, str, str], list[Outcome]] = defaultdict(list)
    for row in rows:
        groups[row.kind, row.topic, row.part].append(row)
    short_pairs = []
    for (kind, topic, part), of_pair in groups.items():
        held = sum(row.held for row in of_pair)
        if short(held, len(of_pair), CONFIDENCE, 2 * len(groups), most=False):
            short_pairs.append(f"{kind}, {topic}, {part}: {held} of {len(of_pair)} held")
        none = [row for row in of_pair if row.none]
        claimed = sum(row.verdict == "moves" for row in none)
        if none and short(claimed, len(none), FALSE, 2 * len(groups), most=True):
            short_pairs.append(f"{kind}, {topic}, {part}: {claimed} of {len(none)} claimed")
    effects = [row for row in rows if row.part == "effect"]
    decided = [row for row in rows if row.verdict is not None]
    telling = [row for row in effects if row.kind in ("flat", "two deltas")]
    return {
        "decided_share": share([row.verdict != "cannot tell" for row in decided]),
        "cells_short": len(short_pairs),
        "short": short_pairs,
        "decided_right": share([row.verdict != "cannot tell" and row.right for row in telling]),
        "decided_wrong": share([row.verdict != "cannot tell" and not row.right for row in effects]),
        "width_median_margins": float(np.median([row.width for row in effects])),
        "minutes": minutes,
    }


def table(rows: Sequence[Outcome]) -> dict[str, dict[str, float | None]]:
    """By kind: how often cells and effects are held, claims of none, effects decided, and rightly."""
    parts: dict[str, dict[str, float | None]] = {}
    for kind in dict.fromkeys(row.kind for row in rows):
        effects = [row for row in rows if row.kind == kind and row.part == "effect"]
        cells = [row for row in rows if row.kind == kind and row.part == "cell"]
        none = [row.verdict == "moves" for row in effects if row.none]
        decided = [row for row in effects if row.verdict != "cannot tell"]
        numbers = (
            share([row.held for row in cells]),
            share([row.held for row in effects]),
            share(none),
            len(decided) / len(effects),
            share([row.right for row in decided]),
        )
        parts[kind] = dict(zip(HEADINGS, numbers, strict=True))
    return parts


def measure(
    studies: int, kinds: Sequence[worlds.Kind] = worlds.KINDS, trials: str = "grid", processes: int | None = None
) -> list[Outcome]:
    """All outcomes of so many studies of each kind."""
    rows: list[Outcome] = []
    with ProcessPoolExecutor(processes) as pool:
        for kind in kinds:
            work = partial(_numbered, kind.name, worlds.truths(kind, best=trials == "search"), trials)
            for part in pool.map(work, range(studies), chunksize=max(1, studies // 16)):
                rows += part
    return rows


def _numbered(
    name: str, truths: Mapping[tuple[str, ...], Mapping[Topic, float]], trials: str, number: int
) -> list[Outcome]:
    kind = next(kind for kind in worlds.KINDS if kind.name == name)
    return outcomes(kind, number, truths, trials)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--kinds", nargs="+", default=[kind.name for kind in worlds.KINDS], metavar="KIND")
    parser.add_argument("--apart", type=int, help="so many with adaptive trials and with searches too")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keep")
    options = parser.parse_args()
    studies = QUICK_STUDIES if options.quick else options.studies
    apart = max(1, studies // APART) if options.apart is None else options.apart
    kinds = [kind for kind in worlds.KINDS if kind.name in options.kinds]
    began = time.monotonic()
    rows = measure(studies, kinds, processes=options.processes)
    rivals = {trials: measure(apart, kinds, trials, options.processes) for trials in ("adaptive", "search")}
    _show(studies, rows, "grid")
    for trials, outcomes_apart in rivals.items():
        _show(apart, outcomes_apart, trials)
    headline = {"benchmark": "study", "studies": studies, **figures(rows, (time.monotonic() - began) / 60)}
    headline |= {"apart": apart, **_beside(rivals)}
    details: dict[str, Any] = {"kinds": table(rows), "topics": _by_topic(rows)}
    details |= {trials: {"kinds": table(of_trials), **figures(of_trials, 0.0)} for trials, of_trials in rivals.items()}
    output.conclude(options.keep, headline | facts.gather(), details)


def _show(studies: int, rows: Sequence[Outcome], trials: str) -> None:
    shown = [
        [kind, *("-" if number is None else f"{number:.2f}" for number in numbers.values())]
        for kind, numbers in table(rows).items()
    ]
    output.table(f"{studies} studies of each kind, trials: {trials}: what holds, effects", ["", *HEADINGS], shown)


def _beside(rivals: Mapping[str, Sequence[Outcome]]) -> dict[str, float]:
    """How wide the effects' intervals are in the median: adaptive as a share of the search's, and each in margins."""
    widths = {
        trials: float(np.median([row.width for row in rows if row.part == "effect"])) for trials, rows in rivals.items()
    }
    shares = {f"width_{trials}": width for trials, width in widths.items()}
    return {"width_vs_before": widths["adaptive"] / widths["search"], **shares}


def _by_topic(rows: Sequence[Outcome]) -> dict[str, dict[str, float | None]]:
    """By kind and quantity how often cells and effects are held."""
    topics = dict.fromkeys((row.kind, row.topic) for row in rows)
    return {
        f"{kind}, {topic}": {
            part: share([row.held for row in rows if (row.kind, row.topic, row.part) == (kind, topic, part)])
            for part in ("cell", "effect")
        }
        for kind, topic in topics
    }


if __name__ == "__main__":
    main()
