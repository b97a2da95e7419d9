"""Samplers where settings are ranges, as most jobs have them, and not a grid, simulated between a table's cells.

The truth is linear between the cells' true means, in log T, kd_weight, and the logarithms of learning rate and weight
decay; a run's chance is that of the nearest cell. What the finalists are is decided as a job decides it, for all.

    python -m benchmarks.searching.ranges [--sealed | --only NAME,...] [--runs N] [--methods NAME,...] [--tiny]
        [--keep NAME]
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator

from benchmarks.common import facts, output
from benchmarks.common.repetitions import paired
from benchmarks.searching.cost.ground import TRY, Ground, open_ground
from benchmarks.searching.cost.jobs import MEMBERS, NOW, Ended, record
from benchmarks.searching.cost.spec import job_spec
from search import configurations
from search.analysis.job.finalists import choose_finalists
from search.claims import planner
from search.records import Trial
from search.samplers import sampler_factory, space
from search.samplers.tpe import Columns
from search.spec.job import JobSpec
from search.states import Arm, Stage, TrialState
from trainers.replay.world import names
from trainers.spec import Configuration

BUDGETS = (16, 32, 64)
"""Trials after which finalists are chosen."""
RUNS = 24
METHODS = ("gp", "tpe", "optuna_gp", "optuna_tpe")
"""This service's samplers, and Optuna's own on the same space, as they ship."""
Floats = NDArray[np.float64]


class Between:
    """A context's world at all settings between those of its cells."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.grid = ground, ground.grid
        self._cells = {
            (c.optimizer, c.temperature, c.kd_weight, c.learning_rate, c.weight_decay): number
            for number, c in enumerate(self.grid.cells())
            if not c.label_only
        }
        self._truth = {name: self._linear(name) for name in self.grid.optimizers}

    def space(self) -> dict[str, Any]:
        """The job's space: from the grid's smallest value of each setting to its largest."""

        def over(values: Sequence[float]) -> Any:
            return values[0] if len(values) == 1 else {"low": min(values), "high": max(values)}

        optimizers: dict[str, Any] = {}
        for name, one in self.grid.optimizers.items():
            optimizers[name] = {
                "learning_rate": over(one.learning_rates),
                "weight_decay": over(one.weight_decays),
                **({"momentum": one.momentum} if name == "sgd" else {}),
            }
        return {
            "temperature": over(self.grid.temperatures),
            "kd_weight": over(self.grid.kd_weights),
            "optimizer": optimizers,
        }

    def regret(self, configuration: Configuration) -> float:
        """How many points its true mean is behind the best."""
        axes, where = self._where(configuration)
        inside = [min(max(x, axis[0]), axis[-1]) for x, axis in zip(where, axes, strict=True) if len(axis) > 1]
        truth = float(self._truth[configuration.known_optimizer.name]([inside])[0])
        return 100 * (self.ground.best - truth)

    def run(self, configuration: Configuration, seed: int) -> float:
        """The accuracy that one training reaches."""
        axes, where = self._where(configuration)
        places = [int(np.abs(axis - x).argmin()) for x, axis in zip(where, axes, strict=True)]
        cell = self._cell(configuration.known_optimizer.name, places)
        chance = float(self.ground.curve(cell, seed)[-1] - self.ground.final[cell])
        return min(1.0, max(0.0, self.ground.best - self.regret(configuration) / 100 + chance))

    def _where(self, configuration: Configuration) -> tuple[list[Floats], list[float]]:
        own = configuration.known_optimizer
        where = [math.log(configuration.temperature), configuration.kd_weight]
        return self._axes(own.name), [*where, math.log(own.learning_rate), math.log(own.weight_decay)]

    def _axes(self, optimizer: str) -> list[Floats]:
        settings = self.grid.optimizers[optimizer]  # it comes from the grid
        logs = [np.log(values) for values in (settings.learning_rates, settings.weight_decays)]
        return [np.log(self.grid.temperatures), np.array(self.grid.kd_weights), *logs]

    def _cell(self, optimizer: str, places: Sequence[int]) -> int:
        settings = self.grid.optimizers[optimizer]
        values = (self.grid.temperatures, self.grid.kd_weights, settings.learning_rates, settings.weight_decays)
        temperature, kd_weight, rate, decay = (one[place] for one, place in zip(values, places, strict=True))
        return self._cells[optimizer, temperature, kd_weight, rate, decay]

    def _linear(self, optimizer: str) -> RegularGridInterpolator:
        axes = self._axes(optimizer)
        shape = [len(axis) for axis in axes]
        values = [self.ground.final[self._cell(optimizer, places)] for places in np.ndindex(*shape)]
        kept = [axis for axis in axes if len(axis) > 1]
        return RegularGridInterpolator(kept, np.array(values).reshape([len(axis) for axis in kept]))


def searched(world: Between, method: str, run: int, budgets: Sequence[int]) -> dict[str, Any]:
    """One search: after each budget the least regret among the finalists and among all that was tried, in points; the
    share of proposals with T at an end of its range; processor seconds.
    """
    spec = _spec(world, method, run, budgets[-1])
    study, columns = optuna.create_study(direction="maximize"), Columns()
    own = {"optuna_gp": optuna.samplers.GPSampler, "optuna_tpe": optuna.samplers.TPESampler}.get(method)
    sampler = own(seed=run) if own else None
    temperatures = world.grid.temperatures
    trials: list[Trial] = []
    regrets: list[float] = []
    ends, told, begun = 0, {}, time.process_time()
    for number in range(budgets[-1]):
        columns.update(study.get_trials(deepcopy=False))
        study.sampler = sampler or sampler_factory.build_sampler(
            spec.sampler, spec.space, Arm.JOINT, spec.seed, number, columns
        )
        trial = study.ask()
        configuration = space.suggest(trial, spec.space, Arm.JOINT)
        seed = planner.trial_seed(spec.seed, number)
        value = world.run(configuration, seed)
        study.tell(trial, value)
        regrets.append(world.regret(configuration))
        ends += any(math.isclose(configuration.temperature, end) for end in (temperatures[0], temperatures[-1]))
        said = configurations.to_json(configuration)
        ended = Ended(said, seed, TrialState.COMPLETED, value, world.ground.length)
        trials.append(record(number, Stage.SEARCH, Arm.JOINT, None, None, ended))
        if number + 1 in budgets:
            arm = choose_finalists("j", spec, trials, 0, NOW, members=MEMBERS).arms[0]
            found = [regrets[finalist.trial] for finalist in arm.finalists]
            told[str(number + 1)] = [min(found), min(regrets)]
    seconds = time.process_time() - begun
    return {"run": run, "regret": told, "ends": ends / budgets[-1], "seconds": seconds}


def _spec(world: Between, method: str, run: int, trials: int) -> JobSpec:
    given = job_spec(world.ground, run, trials, False).model_dump(mode="json")
    given["space"] = world.space()
    if method in ("gp", "tpe"):
        given["sampler"] = {"name": method}
    return JobSpec.model_validate(given)


def main(arguments: Sequence[str]) -> int:
    """Prints a table for each context, and the figures as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--methods", default=",".join(METHODS), help=f"of {', '.join(METHODS)}")
    parser.add_argument("--sealed", action="store_true", help="the sealed contexts in place of the open ones")
    parser.add_argument("--only", help="contexts, by commas")
    parser.add_argument("--tiny", action="store_true", help="two runs of eight trials on a world from a formula")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json")
    given = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    contexts = [TRY] if given.tiny else given.only.split(",") if given.only else list(names(given.sealed))
    methods, runs = given.methods.split(","), 2 if given.tiny else given.runs
    budgets = (8,) if given.tiny else BUDGETS
    about = facts.gather()
    print(facts.in_words(about))
    rows = {
        name: {method: [searched(world, method, run, budgets) for run in range(runs)] for method in methods}
        for name in contexts
        for world in [Between(open_ground(name))]
    }
    for name, own in rows.items():
        output.table(f"{name}: points behind the best, of the best finalist", *compared(own))
    last = str(budgets[-1])
    headline: dict[str, Any] = {"benchmark": "ranges", "runs": runs, "trials": budgets[-1]}
    headline["regret_points"] = {
        method: {name: round(statistics.fmean(row["regret"][last][0] for row in own[method]), 3)
                 for name, own in rows.items()}
        for method in methods
    }  # fmt: skip
    output.conclude(given.keep, headline | about, {"rows": rows})
    return 0


def compared(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows, one for each method: regret of the best finalist after each budget, of all that was tried
    after the last, and against the first method's after the last, run by run, with its interval of 95 %.
    """
    first = next(iter(rows))
    budgets = list(rows[first][0]["regret"])
    finals = {method: [row["regret"][budgets[-1]][0] for row in own] for method, own in rows.items()}
    body = []
    for method, own in rows.items():
        means = [f"{statistics.fmean(row['regret'][budget][0] for row in own):.2f}" for budget in budgets]
        tried = f"{statistics.fmean(row['regret'][budgets[-1]][1] for row in own):.2f}"
        off = paired(finals[method], finals[first])
        against = "" if method == first else f"{off.mean:+.2f} ({off.low:+.2f} to {off.high:+.2f})"
        ends = f"{100 * statistics.fmean(row['ends'] for row in own):.0f} %"
        seconds = f"{statistics.fmean(row['seconds'] for row in own):.1f}"
        body.append([method, *means, tried, against, ends, seconds])
    return ["", *budgets, "tried", f"less {first}", "T at an end", "s"], body


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
