"""TPE over columns proposes what Optuna's own TPE proposes, whatever the history."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState as OptunaState

from search.samplers.tpe import Columns, ColumnsTPESampler

SHARED: dict[str, BaseDistribution] = {
    "temperature": FloatDistribution(1, 40, log=True),
    "kd_weight": FloatDistribution(0, 1),
    "optimizer": CategoricalDistribution(["sgd", "adamw"]),
}
OWN: dict[str, dict[str, BaseDistribution]] = {
    "sgd": {"sgd.learning_rate": FloatDistribution(0.01, 1, log=True), "sgd.momentum": FloatDistribution(0.5, 0.99)},
    "adamw": {"adamw.learning_rate": FloatDistribution(0.001, 0.1, log=True)},
}
STARTUP = 10


def added(study: optuna.Study, draw: np.random.Generator, state: OptunaState) -> None:
    """One more trial of a conditional space, whose values often tie; pruned ones have come to different steps."""
    name = str(draw.choice(["sgd", "adamw"]))
    distributions = SHARED | OWN[name]
    params: dict[str, Any] = {}
    for each, one in distributions.items():
        if isinstance(one, FloatDistribution):
            place = draw.uniform()
            params[each] = (
                one.low * (one.high / one.low) ** place if one.log else one.low + place * (one.high - one.low)
            )
        else:
            params[each] = name
    value = round(float(draw.uniform()), 2)
    reached = {int(draw.integers(1, 4)): math.nan if draw.uniform() < 0.05 else value} if draw.uniform() < 0.9 else {}
    trial = optuna.trial.create_trial(
        state=state,
        params=params,
        distributions=distributions,
        value=value if state is OptunaState.COMPLETE else None,
        intermediate_values=reached if state is OptunaState.PRUNED else {},
    )
    study.add_trial(trial)


def proposed(study: optuna.Study, sampler: optuna.samplers.BaseSampler) -> dict[str, Any]:
    study.sampler = sampler
    trial = study.ask()
    for name, one in SHARED.items():
        trial._suggest(name, one)
    for name, one in OWN[trial.params["optimizer"]].items():
        trial._suggest(name, one)
    study.tell(trial, state=OptunaState.FAIL)
    return trial.params


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("trials", [4, 40, 400])
def test_it_proposes_what_optuna_proposes(direction: str, trials: int) -> None:
    draw, columns = np.random.default_rng(trials), Columns()
    study = optuna.create_study(direction=direction)
    states = [OptunaState.COMPLETE, OptunaState.PRUNED, OptunaState.RUNNING, OptunaState.FAIL]
    for seed in range(4):
        for _ in range(trials // 4):
            added(study, draw, states[draw.choice(4, p=[0.6, 0.3, 0.05, 0.05])])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            theirs = optuna.samplers.TPESampler(
                n_startup_trials=STARTUP, multivariate=True, group=True, constant_liar=True, seed=seed
            )
            expected = proposed(study, theirs)
            columns.update(study.get_trials(deepcopy=False))
            assert proposed(study, ColumnsTPESampler(columns, STARTUP, seed)) == expected
