"""Saving and regret of early stopping, and the number of trials at once that a sampler bears with which settings:
searches replayed on the open tables of learning curves.

    python -m benchmarks.searching.stopping [--runs N] [--only NAME,...] [--part stopping|lanes] [--tiny] [--keep NAME]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import os
import statistics
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna

from benchmarks.common import facts, output
from benchmarks.common.repetitions import paired
from benchmarks.searching import replayed
from search.spec.job import JobSpec
from trainers.replay import synthetic, world
from trainers.replay.world import World

BUDGETS = (8, 16, 32)  # of epochs, as many as that many whole trials take
LANES = 4
RUNS = 100
Kind = Callable[[int, int], optuna.samplers.BaseSampler]
"""From a run's and a trial's number."""


@dataclass(frozen=True, slots=True)
class Method:
    """One way to search: parts of the spec, the lanes, and a sampler that no spec names."""

    name: str
    parts: Mapping[str, Any]
    lanes: int = LANES
    plain: bool = False  # TPE as Optuna had it before version 5: each setting by itself


def stopping(epochs: int) -> list[Method]:
    """Each pruner, from a tenth of training on; the first is what the others are compared with."""
    first = max(1, round(epochs / 10))
    halving = {"min_epochs": first, "reduction_factor": 3}
    return [
        Method("none", {}),
        Method("median", {"pruner": {"name": "median"} | halving}),
        Method("halving", {"pruner": {"name": "successive_halving"} | halving}),
        Method("hyperband", {"pruner": {"name": "hyperband"} | halving}),
        Method("stratified", {"pruner": {"name": "stratified"} | halving}),
        Method("curve", {"pruner": {"name": "curve"} | halving}),
        Method("curve, rungs x2", {"pruner": {"name": "curve"} | halving | {"reduction_factor": 2}}),
        Method("curve, best alone", {"pruner": {"name": "curve"} | halving, "confirmation": {"finalists": 1}}),
    ]


def lanes(_: int) -> list[Method]:
    """TPE with 1, 4 and 16 trials at once, and with other settings; random search does not mind."""
    tpe = {"name": "tpe"}
    methods = [Method(f"tpe x{count}", {"sampler": tpe}, count) for count in (1, 4, 16)]
    methods += [Method(f"univariate x{count}", {}, count, plain=True) for count in (1, 4, 16)]
    methods += [
        Method(f"tpe x{count}, from {startup}", {"sampler": tpe | {"startup_trials": startup}}, count)
        for startup in (5, 20)
        for count in (4, 16)
    ]
    return [*methods, Method("random x4", {"sampler": {"name": "random"}})]


PARTS = {"stopping": stopping, "lanes": lanes}


def _plain(seed: int, trial: int) -> optuna.samplers.BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(multivariate=False, group=False, constant_liar=True, seed=1000 * seed + trial)


@functools.cache
def _world(name: str) -> World:
    return synthetic.world() if name == "synthetic" else world.load(name)


def one(task: tuple[str, Method, int, Sequence[int]]) -> dict[str, Any]:
    """One run of a method in a context: after each budget the regrets (points), and how many trials there were."""
    name, method, seed, budgets = task
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ground = _world(name)
    length = int(ground.epochs[-1])
    spec: JobSpec = replayed.spec_of(ground, **method.parts)
    sampler = functools.partial(_plain, seed) if method.plain else None
    ended = replayed.play(ground, spec, method.lanes, budgets[-1] * length, seed, sampler)
    after = []
    for budget in budgets:
        until = [trial for trial in ended if trial.spent <= budget * length]
        found = replayed.answer(ground, until, seed)
        after.append(
            {
                "first": None if found is None else 100 * replayed.regret(ground, found.first),
                "chosen": None if found is None else 100 * replayed.regret(ground, found.chosen),
                "confirming": 0 if found is None else found.epochs / length,
                "trials": len(until),
                "whole": sum(trial.value is not None for trial in until),
            }
        )
    return {"context": name, "method": method.name, "seed": seed, "after": after}


def summarise(runs: Sequence[Mapping[str, Any]], plain: Sequence[Mapping[str, Any]], place: int) -> dict[str, Any]:
    """A method's runs after one budget, against those of `plain`, pair by pair. A run without an answer is left out."""
    pairs = [
        (run["after"][place]["chosen"], other["after"][place]["chosen"])
        for run, other in zip(runs, plain, strict=True)
        if run["after"][place]["chosen"] is not None and other["after"][place]["chosen"] is not None
    ]
    after = [run["after"][place] for run in runs if run["after"][place]["chosen"] is not None]
    against = paired([left for left, _ in pairs], [right for _, right in pairs])
    return {
        "regret": statistics.fmean(one["chosen"] for one in after),
        "first": statistics.fmean(one["first"] for one in after),
        "hits": statistics.fmean(one["chosen"] <= 100 * replayed.TOLERANCE + 1e-9 for one in after),
        "worse_by": against.mean,
        "worse_low": against.low,
        "worse_high": against.high,
        "trials": statistics.fmean(one["trials"] for one in after),
        "whole": statistics.fmean(one["whole"] for one in after),
        "answered": len(after) / len(runs),
    }


def main(arguments: Sequence[str]) -> int:
    """Prints a table for each context and part, and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--only", help="contexts, by commas; all open ones unless given")
    parser.add_argument("--part", choices=PARTS, help="one part alone")
    parser.add_argument("--tiny", action="store_true", help="two runs on a table from a formula")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json")
    options = parser.parse_args(arguments)
    names = ["synthetic"] if options.tiny else options.only.split(",") if options.only else world.names(sealed=False)
    count, budgets = (2, (4, 8)) if options.tiny else (options.runs, BUDGETS)
    headline: dict[str, Any] = facts.gather()
    details: dict[str, Any] = {"runs": count, "budgets": budgets, "lanes_each": LANES}
    with concurrent.futures.ProcessPoolExecutor(1 if options.tiny else options.processes) as pool:
        for part in [options.part] if options.part else PARTS:
            for name in names:
                methods = PARTS[part](int(_world(name).epochs[-1]))
                tasks = [(name, method, seed, budgets) for method in methods for seed in range(count)]
                runs = list(pool.map(one, tasks))
                by_method = {each.name: [run for run in runs if run["method"] == each.name] for each in methods}
                plain = by_method[methods[0].name]
                said = {
                    method: [summarise(own, plain, place) for place in range(len(budgets))]
                    for method, own in by_method.items()
                }
                show(f"{part}, {name}: regret in points after the epochs of so many trials", budgets, said)
                details.setdefault(part, {})[name] = said
                headline.setdefault(part, {})[name] = {
                    method: round(after[-1]["regret"], 3) for method, after in said.items()
                }
    output.conclude(options.keep, headline, details)
    return 0


def show(title: str, budgets: Sequence[int], said: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """A table: regrets after each budget, and after the last how much worse than the first row, and how many trials."""
    rows = []
    for method, after in said.items():
        last = after[-1]
        against = f"{last['worse_by']:+.2f} ({last['worse_low']:+.2f}, {last['worse_high']:+.2f})"
        rows.append(
            [
                method,
                *(f"{each['regret']:.2f}" for each in after),
                against,
                f"{100 * last['hits']:.0f} %",
                f"{last['whole']:.0f}/{last['trials']:.0f}",
            ]
        )
    output.table(title, ["", *map(str, budgets), "worse by", "in .2", "whole"], rows)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
