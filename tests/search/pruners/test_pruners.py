"""Rungs are where trials are compared, and the worse ones stop there."""

from __future__ import annotations

from typing import Any, get_args

import optuna
import pytest

from search.pruners import pruner_factory
from search.spec.job import JobSpec, PrunerSpec
from tests.search import factories


def spec_of(epochs: int = 40, **pruner: Any) -> JobSpec:
    return factories.spec(training={"epochs": epochs}, pruner=pruner)


@pytest.mark.parametrize(
    ("epochs", "pruner", "expected"),
    [
        (40, {"name": "none"}, set()),
        (40, {"name": "median"}, {4, 12, 36}),
        (36, {"name": "median"}, {4, 12}),
        (37, {"name": "hyperband", "reduction_factor": 2, "min_epochs": 3}, {3, 6, 12, 24}),
        (2, {"name": "successive_halving", "min_epochs": 1}, {1}),
        (40, {"name": "auto"}, {12, 20, 28}),
        (15, {"name": "auto"}, {5, 8, 11}),
        (3, {"name": "auto"}, {1, 2}),
        (2, {"name": "auto"}, {1}),
        (1, {"name": "auto"}, set()),
    ],
)
def test_rungs_lie_before_the_end(epochs: int, pruner: dict[str, Any], expected: set[int]) -> None:
    assert pruner_factory.rungs(spec_of(epochs, **pruner)) == expected


NAMES = set(get_args(PrunerSpec.model_fields["name"].annotation)) - {"auto"}  # which knows of configurations


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_worse_stop_and_the_best_goes_on(name: str, direction: str) -> None:
    spec = spec_of(name=name, startup_trials=2)
    study = optuna.create_study(direction=direction, pruner=pruner_factory.build_pruner(spec))
    stopped = []
    for value in (0.5, 0.6, 0.7, 0.1, 0.2, 0.15, 0.3, 0.12, 0.9):
        trial, said = study.ask(), value if direction == "maximize" else 1 - value
        for rung in sorted(pruner_factory.rungs(spec)) or [4]:
            trial.report(said, rung)
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                stopped.append(value)
                break
        else:
            study.tell(trial, said)
    assert 0.9 not in stopped
    assert bool(stopped) is (name != "none")
