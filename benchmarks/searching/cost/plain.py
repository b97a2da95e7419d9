"""Searches that need no library: grids and chance."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.searching.cost.ground import PRACTISED
from benchmarks.searching.cost.steps import Tape
from search.claims.planner import trial_seed


def practised(tape: Tape) -> None:
    """T in 1, 2, 4, 8, 16 at a recipe's settings: SGD, the middle learning rate, the smaller weight decay and, of the
    kd_weights, the one nearest to 0.9 (mdistiller, RepDistiller).
    """
    ground = tape.ground
    settings = list(ground.grid.optimizers.values())
    names = list(ground.grid.optimizers)
    optimizer = names.index("sgd") if "sgd" in names else 0
    middle = len(settings[optimizer].learning_rates) // 2
    weights = ground.grid.kd_weights
    weight = min(range(len(weights)), key=lambda place: abs(weights[place] - 0.9))
    known = ground.grid.temperatures
    for trial, wanted in enumerate(PRACTISED):
        nearest = min(range(len(known)), key=lambda place: abs(math.log(known[place] / wanted)))
        cell = ground.flat(nearest, weight, optimizer, middle, 0)
        tape.train(cell, trial, trial_seed(tape.run, trial), 0, ground.length)


def full(tape: Tape) -> None:
    """Every cell that distils, once, each with a seed of its own."""
    for trial, cell in enumerate(tape.ground.soft):
        tape.train(cell, trial, trial_seed(tape.run, trial), 0, tape.ground.length)


def chance(tape: Tape) -> None:
    """Cells without replacement, all as likely."""
    order = np.random.default_rng([tape.run, 1]).permutation(tape.ground.soft)
    for trial, cell in enumerate(order):
        if tape.over:
            return
        tape.train(int(cell), trial, trial_seed(tape.run, trial), 0, tape.ground.length)


METHODS = {"grid_practised": practised, "grid_full": full, "random": chance}
