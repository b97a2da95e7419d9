"""The rungs of a job, and the pruner, Optuna's or ours, that stops trials there."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from typing import cast

import optuna
import structlog

from search.pruners.extrapolation import CurvePruner
from search.pruners.stratified import STRATA, StratifiedPruner, equal_edges
from search.spec.job import JobSpec, Ranged
from search.states import Arm
from search.surrogate.encoding import Encoding

AUTO_PERCENT = (30, 50, 70)
"""Of training, at which `auto` looks: before, what ends well cannot be told from what does not."""
_log = structlog.get_logger(__name__)


def rungs(spec: JobSpec) -> frozenset[int]:
    """Epochs, counted from 1, after which a trial may be stopped; empty where nothing is pruned.

    min_epochs * reduction_factor**k, or shares of training, below the last epoch: at the end there is nothing left to
    save. Only these epochs are mirrored to Optuna, since every report costs a transaction.
    """
    if spec.pruner.name == "none":
        return frozenset()
    if spec.pruner.name == "auto":
        length = spec.training.epochs
        reached = (-(-percent * length // 100) for percent in AUTO_PERCENT)  # rounded up
        return frozenset(epoch for epoch in reached if epoch < length)
    epochs, rung = set(), spec.pruner.min_epochs
    while rung < spec.training.epochs:
        epochs.add(rung)
        rung *= spec.pruner.reduction_factor
    return frozenset(epochs)


def build_pruner(spec: JobSpec, arm: Arm = Arm.JOINT) -> optuna.pruners.BasePruner:
    """The spec's pruner of an arm's trials; steps are epochs, and reports come at `rungs` alone."""
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
    if pruner.name == "auto" and arm is Arm.JOINT:  # a baseline has few trials, and is to be tuned
        return _finalist_pruner(spec)
    return optuna.pruners.NopPruner()


def _finalist_pruner(spec: JobSpec) -> optuna.pruners.BasePruner:
    """`auto`, whose numerics an API need not have, which decides of the trials of others: then it stops nobody."""
    if any(find_spec(name) is None for name in ("scipy", "threadpoolctl")):
        _log.warning(
            "pruner auto needs numerics that are not installed, and stops nobody: install thermowell[analysis]",
            name=spec.name,
        )
        return optuna.pruners.NopPruner()
    module = importlib.import_module("search.pruners.finalist_chance")  # as late as here, so that an API starts without
    keep = 1 if spec.confirmation.level == "none" else spec.confirmation.finalists
    encoding = Encoding.of(spec.space, Arm.JOINT, spec.distillation.method)
    return cast(optuna.pruners.BasePruner, module.FinalistPruner(rungs(spec), encoding, keep))
