"""Truthfulness of a study's questions: what intervals hold, which effects are claimed that are none, what is decided.

    python -m benchmarks.calibration.study [--studies 1000] [--kinds flat shifted] [--minutes 60] [--raw FILE]
        [--quick] [--keep NAME]

Simulated studies of eight kinds (study_worlds), each of two factors and three repeats on a grid. Promised: intervals
hold the truth in 90 %, and of the effects that are none 10 % at most are claimed. A cell of the table, which is a kind
and a quantity, falls short where its 95 % interval, shared out among all of them (Bonferroni), excludes that.

Some are made up with `adaptive` trials and with a search in each cell too (study_rivals), as many trainings each: how
wide their intervals are beside the search's. With --raw every study is kept as it comes, and none is made up again.

The last line has these beside what the kept answers of the ready studies on a grid say (results/study-*-grid.json): how
much they decide, how wide shifts of the best T are and how long the longest took; and the ratio of regrets of advice by
theory, which nobody is given (decision 057), as results/theory.json has it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.calibration import study_worlds as worlds
from benchmarks.calibration.study_outcomes import CONFIDENCE, MAKERS, Outcome, Study, simulate, tasks
from benchmarks.common import decisions, facts, output
from thermowell.api.guidance import Guidance

FALSE = 0.1
"""Of the effects that are none, those that may be claimed."""
NEAR = 0.5
"""Margins: a truth that lies so near the margin hardly any study of this size can put on either side."""
HEADINGS = ("cells", "effects", "claimed", "decided", "right", "sizes")
QUICK = {"studies": 20, "minutes": 4.0}
APART = 25
"""One of so many studies is made up with other trials than a grid's too."""
TELLING = ("flat", "two deltas")
"""The kinds of which three in five effects are to be decided, and rightly."""
ByKind = Mapping[str, Sequence[Outcome]]


def share(flags: Sequence[bool]) -> float | None:
    """The mean; None of nothing."""
    return float(np.mean(flags)) if flags else None


def short(hits: int, count: int, promised: float, pairs: int, *, most: bool) -> bool:
    """Whether so many hits exclude what was promised: at `most` so many of a share, or at least."""
    alpha = 0.05 / pairs
    if most:
        return bool(stats.binom.sf(hits - 1, count, promised) < alpha / 2)
    return bool(stats.binom.cdf(hits, count, promised) < alpha / 2)


def by_kind(studies: Sequence[Study], trials: str) -> dict[str, list[Outcome]]:
    """The outcomes of all studies with such trials."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for study in sorted((study for study in studies if study.trials == trials), key=lambda study: study.number):
        groups[study.kind] += study.outcomes
    return groups


def counts(kinds: ByKind) -> dict[str, dict[str, int]]:
    """By kind, quantity and part: how many intervals, how many hold, effects that are none and those claimed of them,
    and what is decided, and rightly.
    """
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for kind, rows in kinds.items():
        for row in rows:
            groups[f"{kind}, {row.topic}, {row.part}"].append(row)
    return {
        name: {
            "count": len(rows),
            "held": sum(row.held for row in rows),
            "none": sum(row.none for row in rows),
            "claimed": sum(row.none and row.verdict == "moves" for row in rows),
            "decided": sum(row.decided for row in rows),
            "right": sum(row.decided and row.right for row in rows),
        }
        for name, rows in groups.items()
    }


def shortfalls(groups: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Which cells of the table fall short."""
    for name, numbers in groups.items():
        if short(numbers["held"], numbers["count"], CONFIDENCE, 2 * len(groups), most=False):
            yield f"{name}: {numbers['held']} of {numbers['count']} held"
        if numbers["none"] and short(numbers["claimed"], numbers["none"], FALSE, 2 * len(groups), most=True):
            yield f"{name}: {numbers['claimed']} of {numbers['none']} claimed"


def figures(kinds: ByKind) -> dict[str, Any]:
    """Which cells fall short, how much is decided and rightly, how wide intervals are, what is open near the margin."""
    rows = [row for of_kind in kinds.values() for row in of_kind]
    effects = [row for row in rows if row.part == "effect"]
    asked = [row for row in rows if row.verdict is not None]
    sizes = [row for row in asked if row.part == "cell"]
    telling = [row for kind in TELLING for row in kinds.get(kind, ()) if row.part == "effect"]
    short_cells = list(shortfalls(counts(kinds)))
    return {
        "cells_short": len(short_cells),
        "short": short_cells,
        "decided_right": share([row.decided and row.right for row in telling]),
        "decided_wrong": share([row.decided and not row.right for row in asked]),
        "simulated_decided": share([row.decided for row in asked]),
        "simulated_sizes_decided": share([row.decided for row in sizes]),
        "simulated_open_sizes_near": share([_near(row) for row in sizes if not row.decided]),
        "simulated_far_sizes_decided": share([row.decided for row in sizes if not _near(row)]),
        "width_median_margins": float(np.median([row.width for row in effects])) if effects else None,
    }


def _near(row: Outcome) -> bool:
    return abs(abs(row.truth) - 1) < NEAR


def table(kinds: ByKind) -> dict[str, dict[str, float | None]]:
    """By kind: how often cells and effects are held, claims of none, effects decided, rightly, and sizes decided."""
    parts: dict[str, dict[str, float | None]] = {}
    for kind, rows in kinds.items():
        effects = [row for row in rows if row.part == "effect"]
        cells = [row for row in rows if row.part == "cell"]
        numbers = (
            share([row.held for row in cells]),
            share([row.held for row in effects]),
            share([row.verdict == "moves" for row in effects if row.none]),
            share([row.decided for row in effects]),
            share([row.right for row in effects if row.decided]),
            share([row.decided for row in cells if row.verdict is not None]),
        )
        parts[kind] = dict(zip(HEADINGS, numbers, strict=True))
    return parts


def ready(results: Path = output.RESULTS) -> dict[str, Any]:
    """What the kept answers of the ready studies on a grid say, and the ratio of regrets of advice by theory."""
    documents = [json.loads(path.read_text())["details"] for path in sorted(results.glob("study-*-grid.json"))]
    headline = decisions.headline([Guidance.model_validate(document["guidance"]) for document in documents])
    minutes = [document["about"]["wall_s"] / 60 for document in documents if "wall_s" in document["about"]]
    theory = results / "theory.json"
    return {
        "ready_studies": headline["studies"],
        "decided_share": headline["decided_share"],
        "width_factor_median": headline["width_factor_median"],
        "minutes_worst": round(max(minutes), 1) if minutes else None,
        "advice_regret_ratio": json.loads(theory.read_text())["advice_regret_ratio"] if theory.exists() else None,
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--kinds", nargs="+", default=[kind.name for kind in worlds.KINDS], metavar="KIND")
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no study after so many")
    parser.add_argument("--raw", type=Path, help="keep each study in this file as it comes, and go on from it")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--keep")
    options = parser.parse_args()
    if options.quick:
        parser.set_defaults(**QUICK)
        options = parser.parse_args()
    began = time.monotonic()
    work = tasks(options.kinds, options.studies, APART)
    studies = simulate(work, options.raw, options.minutes, options.processes)
    grid = by_kind(studies, "grid")
    rivals = {trials: by_kind(studies, trials) for trials in MAKERS if trials != "grid"}
    for trials, kinds in {"grid": grid, **rivals}.items():
        _show(trials, kinds, sum(study.trials == trials for study in studies))
    numbers = {
        trials: min(sum(study.kind == kind and study.trials == trials for study in studies) for kind in options.kinds)
        for trials in MAKERS
    }
    headline = {"benchmark": "study", "studies": numbers["grid"], **ready(), **figures(grid)}
    headline |= {"apart": numbers["search"], **beside(rivals), "minutes": (time.monotonic() - began) / 60}
    details: dict[str, Any] = {"kinds": table(grid), "counts": counts(grid)}
    details |= {trials: {"kinds": table(kinds), **figures(kinds)} for trials, kinds in rivals.items()}
    output.conclude(options.keep, headline | facts.gather(), details)


def _show(trials: str, kinds: ByKind, studies: int) -> None:
    shown = [
        [kind, *("-" if number is None else f"{number:.2f}" for number in numbers.values())]
        for kind, numbers in table(kinds).items()
    ]
    output.table(f"{studies} studies, trials: {trials}: what holds, effects, sizes", ["", *HEADINGS], shown)


def beside(rivals: Mapping[str, ByKind]) -> dict[str, float | None]:
    """How wide the effects' intervals are in the median: adaptive as a share of the search's, and each in margins."""
    widths = {
        trials: [row.width for rows in kinds.values() for row in rows if row.part == "effect"]
        for trials, kinds in rivals.items()
    }
    medians = {trials: float(np.median(of_trials)) if of_trials else None for trials, of_trials in widths.items()}
    adaptive, search = medians["adaptive"], medians["search"]
    ratio = None if adaptive is None or search is None else adaptive / search
    return {"width_vs_before": ratio, **{f"width_{trials}": width for trials, width in medians.items()}}


if __name__ == "__main__":
    main()
