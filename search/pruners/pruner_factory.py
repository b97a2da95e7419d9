"""The rungs of a job, and the pruner, Optuna's or ours, that stops trials there."""

from __future__ import annotations

import optuna

from search.pruners.extrapolation import CurvePruner
from search.pruners.stratified import STRATA, StratifiedPruner, equal_edges
from search.spec.job import JobSpec, Ranged


def rungs(spec: JobSpec) -> frozenset[int]:
    """Epochs, counted from 1, after which a trial may be stopped; empty where nothing is pruned.

    min_epochs * reduction_factor**k, below the last epoch: at the end there is nothing left to save. Only these
    epochs are mirrored to Optuna, since every report costs a transaction.
    """
    if spec.pruner.name == "none":
        return frozenset()
    epochs, rung = set(), spec.pruner.min_epochs
    while rung < spec.training.epochs:
        epochs.add(rung)
        rung *= spec.pruner.reduction_factor
    return frozenset(epochs)


def build_pruner(spec: JobSpec) -> optuna.pruners.BasePruner:
    """The spec's pruner; steps are epochs, and reports come at `rungs` alone."""
    pruner = spec.pruner
    if pruner.name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=pruner.startup_trials, n_warmup_steps=pruner.min_epochs)
    if pruner.name == "successive_halving":
        return optuna.pruners.SuccessiveHalvingPruner(
            min_resource=pruner.min_epochs, reduction_factor=pruner.reduction_factor
        )
    if pruner.name == "hyperband":
        return optuna.pruners.HyperbandPruner(
            min_resource=pruner.min_epochs,
            max_resource=spec.training.epochs,
            reduction_factor=pruner.reduction_factor,
        )
    if pruner.name == "stratified":
        searched = spec.space.temperature
        edges = equal_edges(searched.low, searched.high, STRATA) if isinstance(searched, Ranged) else ()
        late = (spec.training.epochs + 1) // 2
        return StratifiedPruner(rungs(spec), pruner.reduction_factor, edges, late)
    if pruner.name == "curve":
        keep, bounds = spec.confirmation.finalists, spec.objective.bounds
        return CurvePruner(pruner.min_epochs, pruner.startup_trials, pruner.chance, keep, bounds)
    return optuna.pruners.NopPruner()
