"""Coverage of sets, bands and bounds over ranges, with the sampler that is used: whole searches on a known ridge.

    python -m benchmarks.verdict.ridge [--world NAME] [--searches N] [--first N] [--keep NAME]

The best T, 1.6, lies near an end of its range, and the best learning rate falls along T. Each search is one of the
default sampler, 64 trials, one worker; its answer is the finalist that its choice puts first. Promised: 90 %.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from scipy import stats

from benchmarks.common import facts, output
from benchmarks.searching.cost.jobs import NOW, Ended, record
from benchmarks.searching.whole_jobs import spec_of
from benchmarks.searching.worlds import World, world
from search import configurations
from search.analysis.job.finalists import choose_finalists
from search.analysis.job.fits import fit_each
from search.analysis.job.joint_surface import answer_surface
from search.analysis.job.response import temperature_response
from search.analysis.job.shortfall import shortfall
from search.claims import planner
from search.records import Trial
from search.samplers import sampler_factory, space
from search.samplers.tpe import Columns
from search.spec.job import JobSpec
from search.states import Arm, Stage, TrialState

TRIALS = 64
SEARCHES = 30
END = 1.03
"""An answer within this ratio of an end of the range is at it."""


def search_trials(searched: World, spec: JobSpec) -> list[Trial]:
    """The trials of a joint search, one after another."""
    study, columns, trials = optuna.create_study(direction="maximize"), Columns(), list[Trial]()
    for number in range(spec.budget.trials):
        columns.update(study.get_trials(deepcopy=False))
        study.sampler = sampler_factory.build_sampler(spec.sampler, spec.space, Arm.JOINT, spec.seed, number, columns)
        trial = study.ask()
        configuration = space.suggest(trial, spec.space, Arm.JOINT)
        seed = planner.trial_seed(spec.seed, number)
        value = searched.value(configuration, seed)
        study.tell(trial, value)
        ended = Ended(configurations.to_json(configuration), seed, TrialState.COMPLETED, value, spec.training.epochs)
        trials.append(record(number, Stage.SEARCH, Arm.JOINT, None, None, ended))
    return trials


def told(searched: World, number: int) -> dict[str, Any]:
    """One search: its answer's T and regret, what is stated of it, and whether set, band and bound hold."""
    spec = spec_of(searched, 3_000_000 + number, budget={"trials": TRIALS})
    trials = search_trials(searched, spec)
    arm = choose_finalists("j", spec, trials, 0, NOW).arms[0]
    winner = trials[arm.finalists[0].trial].configuration or {}
    surface = answer_surface(spec, trials)
    said = shortfall(spec, trials, winner, surface)
    response = temperature_response("j", spec, trials, fit_each(spec, trials, surface), [], NOW, marginal=False)
    if surface is None or said is None or response.overall is None:
        raise RuntimeError("64 trials make a surface")
    curve, best = response.overall, searched.best()
    truths = [searched.best_at(point.temperature) for point in curve.points]
    top = max(range(len(truths)), key=truths.__getitem__)
    temperatures = [float((trial.configuration or {})["temperature"]) for trial in trials]
    answer, regret = float(winner["temperature"]), best - searched.truth(configurations.from_json(winner))
    ends = (curve.points[0].temperature, curve.points[-1].temperature)
    return {
        "search": number,
        "temperature": round(answer, 3),
        "regret_points": round(100 * regret, 3),
        "stated": round(said.chance_within_delta, 3),
        "within": regret <= spec.confirmation.delta,
        "at_end": answer <= ends[0] * END or answer >= ends[1] / END,
        "set_holds": any(a <= curve.points[top].temperature <= b for a, b in curve.confidence_set.intervals),
        "set_width": sum(math.log(b / a) for a, b in curve.confidence_set.intervals) / math.log(ends[1] / ends[0]),
        "band_holds": curve.points[top].low <= truths[top] <= curve.points[top].high,
        "bands_hold": float(np.mean([p.low <= t <= p.high for p, t in zip(curve.points, truths, strict=True)])),
        "bound_holds": regret <= said.upper,
        "bound_points": 100 * said.upper,
        "below": sum(t < 1.15 for t in temperatures),
        "near": sum(1.15 <= t <= 2.6 for t in temperatures),
        "length": float(np.exp(surface.thetas[0][1])),
    }


def concluded(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Shares with their intervals of 95 % (Wilson's), and means."""
    said: dict[str, Any] = {}
    for key in ("set_holds", "band_holds", "bound_holds", "within", "at_end"):
        hits = sum(bool(row[key]) for row in rows)
        interval = stats.binomtest(hits, len(rows)).proportion_ci(method="wilson")
        said[key] = [round(hits / len(rows), 3), round(interval.low, 3), round(interval.high, 3)]
    for key in ("bands_hold", "regret_points", "stated", "set_width", "bound_points", "below", "near", "length"):
        said[key] = round(statistics.fmean(row[key] for row in rows), 3)
    sure = [row for row in rows if row["at_end"] and row["stated"] > 0.5]
    return said | {"sure_at_end": [sum(row["within"] for row in sure), len(sure)]}


def main(arguments: Sequence[str]) -> int:
    """Prints what held, and the figures as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--world", default="ridge")
    parser.add_argument("--searches", type=int, default=SEARCHES)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json")
    given = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    searched = world(given.world)
    rows = [told(searched, number) for number in range(given.first, given.first + given.searches)]
    said = concluded(rows)
    output.table(f"{given.searches} searches on {given.world}", ["", "measured"],
                 [[key, str(value)] for key, value in said.items()])  # fmt: skip
    headline = {"benchmark": "ridge", "world": given.world, "searches": given.searches, **said}
    output.conclude(given.keep, headline | facts.gather(), {"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
