"""Syne Tune's schedulers of several fidelities, asked and told by one worker, every epoch reported.

Release 0.16 has no MOBSTER any more; its own searchers by models on top of ASHA are ASHABORE and ASHACQR.
"""

from __future__ import annotations

import datetime
import random
from typing import Any

import numpy as np
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, randint
from syne_tune.optimizer import baselines

from benchmarks.searching.cost.steps import Tape
from search.claims.planner import trial_seed


def _scheduled(kind: type[Any], tape: Tape) -> None:
    ground, sizes = tape.ground, tape.ground.sizes()
    space = {name: randint(0, size - 1) for name, size in sizes.items() if size > 1 and name != "optimizer"}
    space["optimizer"] = choice([str(place) for place in range(sizes["optimizer"])])
    np.random.seed(tape.run)  # where the library takes the global ones
    random.seed(tape.run)
    scheduler = kind(
        space, metric="accuracy", time_attr="epoch", max_t=ground.length, do_minimize=False, random_seed=tape.run
    )
    number = 0
    while not tape.over:
        suggestion = scheduler.suggest()
        if suggestion is None:
            return
        trial = Trial(number, suggestion.config, datetime.datetime(2026, 1, 1))
        scheduler.on_trial_add(trial)
        places = {name: int(trial.config.get(name, 0)) for name in sizes}
        _train(tape, scheduler, trial, ground.flat(**places))
        number += 1


def _train(tape: Tape, scheduler: Any, trial: Trial, cell: int) -> None:
    ground, seed = tape.ground, trial_seed(tape.run, trial.trial_id)
    curve = ground.curve(cell, seed)
    for epoch in ground.epochs:
        result = {"epoch": epoch, "accuracy": ground.value(curve, epoch)}
        if epoch == ground.length:
            scheduler.on_trial_result(trial, result)
            scheduler.on_trial_complete(trial, result)
        elif scheduler.on_trial_result(trial, result) != "CONTINUE":
            scheduler.on_trial_remove(trial)
        else:
            continue
        tape.train(cell, trial.trial_id, seed, 0, epoch)
        return


METHODS = {
    "syne_asha": lambda tape: _scheduled(baselines.ASHA, tape),
    "syne_bohb": lambda tape: _scheduled(baselines.BOHB, tape),
    "syne_asha_bore": lambda tape: _scheduled(baselines.ASHABORE, tape),
    "syne_asha_cqr": lambda tape: _scheduled(baselines.ASHACQR, tape),
}
