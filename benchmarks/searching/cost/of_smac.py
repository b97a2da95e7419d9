"""SMAC's facade for several fidelities (random forest and Hyperband), asked and told.

SMAC trains anew for each budget; here a configuration goes on from where it stood, which costs it less.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from ConfigSpace import CategoricalHyperparameter, ConfigurationSpace, UniformIntegerHyperparameter
from smac import MultiFidelityFacade, Scenario
from smac.runhistory import TrialValue

from benchmarks.searching.cost.steps import Tape
from search.claims.planner import trial_seed

TRIALS = 500  # more than are paid for; it decides how many configurations the initial design has


def multi_fidelity(tape: Tape) -> None:
    """`MultiFidelityFacade` with budgets from one epoch to a whole training."""
    ground, sizes = tape.ground, tape.ground.sizes()
    space = ConfigurationSpace(seed=tape.run)
    integers = [UniformIntegerHyperparameter(name, 0, sizes[name] - 1) for name in sizes if name != "optimizer"]
    kind = CategoricalHyperparameter("kind", [str(place) for place in range(sizes["optimizer"])])
    space.add(*integers, kind)
    with tempfile.TemporaryDirectory() as folder:
        scenario = Scenario(
            space, deterministic=True, min_budget=1, max_budget=ground.length, n_trials=TRIALS,
            output_directory=Path(folder), seed=tape.run,
        )  # fmt: skip
        facade = MultiFidelityFacade(scenario, lambda config, seed, budget: 0.0, logging_level=False, overwrite=True)
        numbers: dict[int, int] = {}
        reached: dict[int, int] = {}
        while not tape.over and len(tape.steps) < TRIALS:
            asked = facade.ask()
            places = {name: int(asked.config.get(name, 0)) for name in sizes if name != "optimizer"}
            cell = ground.flat(optimizer=int(asked.config["kind"]), **places)
            trial = numbers.setdefault(cell, len(numbers))
            end = min(ground.length, max(1, round(asked.budget or ground.length)))
            start = min(reached.get(trial, 0), end)
            value = tape.train(cell, trial, trial_seed(tape.run, trial), start, end)
            reached[trial] = max(end, reached.get(trial, 0))
            facade.tell(asked, TrialValue(cost=1.0 - value), save=False)


METHODS = {"smac_mf": multi_fidelity}
