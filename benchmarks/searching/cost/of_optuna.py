"""Optuna as it ships, with and without a pruner: places on the grid are integers, the optimizer is a category."""

from __future__ import annotations

import optuna

from benchmarks.searching.cost.steps import Tape
from search.claims.planner import trial_seed

REDUCTION = 3  # Hyperband's own


def tpe(tape: Tape) -> None:
    """`optuna.create_study()`: TPE, and no pruner."""
    _optimize(tape, optuna.samplers.TPESampler(seed=tape.run), optuna.pruners.NopPruner())


def hyperband(tape: Tape) -> None:
    """TPE with the Hyperband pruner at its own settings; the longest training is said, as its page advises."""
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=tape.ground.length, reduction_factor=REDUCTION)
    _optimize(tape, optuna.samplers.TPESampler(seed=tape.run), pruner)


def gaussian(tape: Tape) -> None:
    """GPSampler, and no pruner."""
    _optimize(tape, optuna.samplers.GPSampler(seed=tape.run), optuna.pruners.NopPruner())


def _optimize(tape: Tape, sampler: optuna.samplers.BaseSampler, pruner: optuna.pruners.BasePruner) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name = f"run {tape.run}"  # from which Hyperband draws its brackets
    study = optuna.create_study(study_name=name, direction="maximize", sampler=sampler, pruner=pruner)
    stops = not isinstance(pruner, optuna.pruners.NopPruner)
    sizes = tape.ground.sizes()
    # All that the pruner looks at: what is reported in between changes nothing, and takes most of the time.
    rungs = sorted({tape.ground.known(REDUCTION**power) for power in range(10)})

    def objective(trial: optuna.Trial) -> float:
        places = {name: trial.suggest_int(name, 0, size - 1) for name, size in sizes.items() if name != "optimizer"}
        places["optimizer"] = trial.suggest_categorical("optimizer", list(range(sizes["optimizer"])))
        cell, seed, before = tape.ground.flat(**places), trial_seed(tape.run, trial.number), 0
        for epoch in rungs if stops else ():
            trial.report(tape.ground.value(tape.ground.curve(cell, seed), epoch), epoch)
            if epoch < tape.ground.length and trial.should_prune():
                tape.train(cell, trial.number, seed, before, epoch)
                raise optuna.TrialPruned
        return tape.train(cell, trial.number, seed, before, tape.ground.length)

    while not tape.over:
        study.optimize(objective, n_trials=1)


METHODS = {"optuna_tpe": tpe, "optuna_tpe_hyperband": hyperband, "optuna_gp": gaussian}
