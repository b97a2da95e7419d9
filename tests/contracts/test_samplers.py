"""What every sampler keeps, whatever it is: proposals inside the space, also with pruned, failed and running trials,
with and without an optimizer to choose, and none of Optuna's warnings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import optuna
import pytest

from search.claims import trial_counts
from search.samplers import sampler_factory, space
from search.spec.job import Range, SamplerSpec, SpaceSpec
from search.states import Arm, Stage
from tests.search import factories
from trainers.spec import Configuration

NAMES = get_args(SamplerSpec.model_fields["name"].annotation)
SPACES = {
    "conditional": SpaceSpec(),
    "one optimizer": SpaceSpec.model_validate({"optimizer": {"adamw": {}}}),
    "one number": SpaceSpec.model_validate({"kd_weight": 0.9, "optimizer": {"adamw": {
        "learning_rate": 0.01, "weight_decay": 0}}}),
    "nothing": SpaceSpec.model_validate({"temperature": 4, "kd_weight": 0.9, "optimizer": {"adamw": {
        "learning_rate": 0.01, "weight_decay": 0}}}),
}  # fmt: skip


def inside(value: float, searched: Any) -> bool:
    return searched.low <= value <= searched.high if isinstance(searched, Range) else value == searched


def check(found: Configuration, spec: SpaceSpec) -> None:
    assert inside(found.temperature, spec.temperature)
    assert inside(found.kd_weight, spec.kd_weight)
    assert found.label_weight == pytest.approx(1 - found.kd_weight)
    settings = spec.optimizer.choices()[found.optimizer.name]
    assert inside(found.optimizer.learning_rate, settings.learning_rate)
    assert inside(found.optimizer.weight_decay, settings.weight_decay)


@pytest.mark.parametrize("spec", list(SPACES.values()), ids=list(SPACES))
@pytest.mark.parametrize("name", NAMES)
def test_proposals_lie_in_the_space_whatever_became_of_the_trials(name: Any, spec: SpaceSpec) -> None:
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    proposals = []
    for number in range(14):
        study.sampler = sampler_factory.build_sampler(
            SamplerSpec(name=name, startup_trials=5), spec, Arm.JOINT, 0, number
        )
        trial = study.ask()
        found = space.suggest(trial, spec, Arm.JOINT)
        check(found, spec)
        proposals.append(repr(found))
        if number % 5 == 2:
            trial.report(0.1, 4)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif number % 5 == 3:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif number % 5 != 4:  # the others are still running
            study.tell(trial, -abs(found.temperature - 3) - found.kd_weight)
    assert len(set(proposals)) == (1 if spec is SPACES["nothing"] else 14)


STARTUP = 6
Ends = Callable[[int], list[tuple[int, float]]]
"""From a trial's number: which trials end once it was proposed, and with what value."""
ENDS: dict[str, Ends] = {
    "none has ended": lambda _: [],
    "each before the next": lambda number: [(number, number / 10)],
    "by threes and backwards": lambda last: [(last - i, 1 - last / 10 + i) for i in range(3)] if last % 3 == 2 else [],
}


def first_proposals(spec: SamplerSpec, ends: Ends) -> list[str]:
    study = optuna.create_study(direction="maximize")
    trials, proposals = list[optuna.Trial](), list[str]()
    for number in range(STARTUP):
        study.sampler = sampler_factory.build_sampler(spec, SpaceSpec(), Arm.JOINT, 0, number)
        trials.append(study.ask())
        proposals.append(repr(space.suggest(trials[-1], SpaceSpec(), Arm.JOINT)))
        for ended, value in ends(number):
            study.tell(trials[ended], value)
    return proposals


@pytest.mark.parametrize("name", NAMES)
def test_what_is_trained_together_is_proposed_alike_whatever_has_ended(name: Any) -> None:
    sampler = SamplerSpec(name=name, startup_trials=STARTUP)
    spec = factories.spec(sampler=sampler.model_dump(), pruner={"name": "none"})
    answers = {tuple(first_proposals(sampler, ends)) for ends in ENDS.values()}
    together = trial_counts.at_once(spec, Stage.SEARCH) is None or trial_counts.startup_trials(spec) == STARTUP
    assert together == (len(answers) == 1)
