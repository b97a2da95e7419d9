"""The cost of a good answer with this service, with a grid, and with other projects' searches, simulated.

python -m benchmarks.searching.cost [--quick] [--before CHECKOUT] [--minutes M] [--open | --only NAME,...]
    [--costs | --methods NAME,...] [--keep X]
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import facts, output
from benchmarks.searching.cost import methods, raw, regrets, verdict
from benchmarks.searching.cost.ground import TRY, Ground, open_ground
from trainers.replay.world import names

JOBS = 1000
QUICK = (
    methods.WHOLE,
    "gp_totals",
    "tpe_totals",
    methods.OURS,
    methods.BEFORE,
    methods.DEFAULT,
    methods.DEFAULT_BEFORE,
)
TINY = (methods.OURS, methods.MISLED, "tpe_totals", "grid_practised", "random")
MINUTES = {"quick": 4.0, "full": 120.0}


def main(arguments: Sequence[str]) -> int:
    """Prints a table for each context, and the figures as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two open contexts, few runs, five minutes")
    parser.add_argument("--tiny", action="store_true", help="two runs of a few methods on a world from a formula")
    parser.add_argument("--minutes", type=float, help="begin nothing new after that; what is there is reported")
    parser.add_argument("--open", action="store_true", help="leave the sealed contexts closed")
    parser.add_argument("--only", help="contexts, by commas")
    parser.add_argument("--before", type=Path, help="a checkout of the commit before, to be compared with")
    parser.add_argument("--costs", action="store_true", help="costs of grids and of all peers, and coverages, too")
    parser.add_argument("--methods", help="methods, by commas")
    parser.add_argument("--runs", type=int, help="of each method, at most")
    parser.add_argument("--jobs", type=int, default=JOBS, help="whose coverage is looked at")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json")
    options = parser.parse_args(arguments)
    contexts = _contexts(options)
    before = options.before.resolve() if options.before else None
    chosen = [method for method in _methods(options) if method.home != "before" or before]
    runs = 2 if options.tiny else 40 if options.quick else options.runs
    costs = options.costs or options.tiny
    jobs = 0 if not costs else 2 if options.tiny else 250 if options.quick else options.jobs
    chosen = [methods.with_runs(method, runs) for method in chosen]
    minutes = options.minutes or MINUTES["quick" if options.quick or options.tiny else "full"]
    facts_before = facts.gather()
    print(facts.in_words(facts_before))
    todo = raw.pieces(contexts, chosen, jobs, False)
    if options.costs and not options.quick:
        twice = [name for name in contexts if open_ground(name).world.runs.seeds >= 4]
        todo += raw.pieces(twice, [method for method in chosen if method.name in methods.REAL], 0, True)
    done = raw.make(todo, options.processes, 60 * minutes, before)
    conclude(options.keep, facts_before, done, len(todo), costs)
    return 0


def _methods(options: argparse.Namespace) -> list[methods.Method]:
    if options.tiny:
        return [methods.BY_NAME[name] for name in TINY]
    if options.methods:
        return [methods.BY_NAME[name] for name in options.methods.split(",")]
    if options.costs:
        return list(methods.METHODS)
    return [methods.BY_NAME[name] for name in (QUICK if options.quick else methods.FIGURES)]


def conclude(
    keep: str | None, facts_before: dict[str, Any], done: Sequence[raw.Done], asked: int, with_costs: bool
) -> None:
    """Tables, and the JSON: the headline speaks of the sealed contexts where there are any."""
    drawn, missed = verdict.gather(one for one in done if not one.piece.real)
    recorded, _ = verdict.gather(one for one in done if one.piece.real)
    grounds = {name: open_ground(name) for name in drawn}
    sealed = {name: ground for name, ground in grounds.items() if ground.world.sealed}
    costs = verdict.headline(sealed or grounds, drawn)
    said = regrets.headline(sealed or grounds, drawn)
    said |= costs if with_costs else {"misled_cost": costs["misled_cost"]}
    details: dict[str, Any] = {
        "costs": {name: verdict.costs(ground, drawn[name]) for name, ground in grounds.items()},
        "jobs": {
            name: verdict.answers(ground, drawn[name][raw.COVERAGE])
            for name, ground in grounds.items()
            if drawn[name].get(raw.COVERAGE)
        },
        "goodness": {
            name: {"length": ground.length, "cells": len(ground.soft), "good": sum(map(ground.hit, ground.soft))}
            for name, ground in grounds.items()
        },
        "open": verdict.headline({n: g for n, g in grounds.items() if n not in sealed}, drawn) if sealed else None,
        "at_totals": {
            name: {str(total): regrets.at_total(ground, drawn[name], total) for total in methods.TOTALS}
            for name, ground in grounds.items()
        },
        "after": {
            name: {str(trials): regrets.after(ground, drawn[name], trials) for trials in methods.BUDGETS}
            for name, ground in grounds.items()
        },
        "rows": {
            name: {method: own for method, own in of.items() if method in methods.FIGURES} for name, of in drawn.items()
        },
        "real": {name: verdict.costs(open_ground(name, True), rows) for name, rows in recorded.items()},
        "real_tolerance": {name: open_ground(name, True).tolerance for name in recorded},
        "real_runs": verdict.counted(recorded),
        "budgets": methods.BUDGETS,
        "missed": missed,
        "pieces": [len(done), asked],
        "seconds": {name: round(sum(one.seconds for one in done if one.piece.method == name), 1)
                    for name in {one.piece.method for one in done}},
    }  # fmt: skip
    for name, ground in grounds.items():
        show(name, ground, details["costs"][name])
        show_regrets(f"{name}: regret at a total of trainings", details["at_totals"][name])
        show_regrets(f"{name}: regret after trials of the search", details["after"][name])
    for name, why in missed.items():
        print(f"missed: {name}: {why[:100]}")
    of = sorted(sealed or grounds)
    output.conclude(
        keep, {"contexts": of, "sealed": bool(sealed), **said, "runs": verdict.counted(drawn), **facts_before}, details
    )


def show(name: str, ground: Ground, costs: dict[str, Any]) -> None:
    """A context's table: cost in whole trainings of an answer within tolerance, and what the answers are worth."""
    rows = []
    for method, forms in costs.items():
        for form in ("confirmed", "shipped"):
            if form in forms:
                one = forms[form]
                cost = f"{'over ' if one['never_hit'] else ''}{one['trainings']:.0f}"
                rows.append(
                    [
                        f"{method}{' as shipped' if form == 'shipped' else ''}",
                        str(one["budget"] or "all"),
                        cost,
                        f"{one['low']:.0f} to {one['high']:.0f}",
                        f"{one['hits']}/{one['runs']}",
                        "-" if one["regret_points"] is None else f"{one['regret_points']:.2f}",
                    ]
                )
    good = sum(map(ground.hit, ground.soft))
    title = f"{name}: {good} of {len(ground.soft)} cells are within {100 * ground.tolerance:.1f} points of the best"
    output.table(title, ["", "budget", "trainings", "95 %", "hits", "regret"], rows)


def show_regrets(title: str, by_budget: Mapping[str, Mapping[str, Any]]) -> None:
    """Mean regrets in points by budget, and the number of runs."""
    names = [name for name in dict.fromkeys(name for one in by_budget.values() for name in one) if name != "trainings"]
    rows = []
    for name in names:
        means = [one[name] for one in by_budget.values()]
        rows.append([name, str(means[0][2]), *(f"{mean[0]:.2f}" for mean in means)])
    if rows:
        output.table(title, ["", "runs", *by_budget], rows)


def _contexts(options: argparse.Namespace) -> list[str]:
    if options.tiny:
        return [TRY]
    if options.only:
        return list(options.only.split(","))
    found = names(sealed=False)
    if options.quick:
        return list(found[:2]) or [TRY]
    return [*found, *(() if options.open else names(sealed=True))]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
