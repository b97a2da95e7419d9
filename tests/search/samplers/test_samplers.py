"""Seeds of samplers: never the same for two trials, the same for the same trial."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from search.samplers import sampler_factory, space
from search.spec.job import SamplerSpec, SpaceSpec
from search.states import Arm
from trainers.spec import Configuration


def proposal(name: Any, trial: int, seed: int = 0, arm: Arm = Arm.JOINT) -> Configuration:
    sampler = sampler_factory.build_sampler(SamplerSpec(name=name), SpaceSpec(), arm, seed, trial)
    return space.suggest(optuna.create_study(sampler=sampler).ask(), SpaceSpec(), Arm.JOINT)


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_no_two_trials_are_proposed_the_same(name: str) -> None:
    proposals = [proposal(name, trial) for trial in range(8)]
    proposals += [proposal(name, 0, seed=1), proposal(name, 0, arm=Arm.T4)]
    assert len({repr(each) for each in proposals}) == len(proposals)


def test_a_job_that_is_run_again_proposes_the_same() -> None:
    assert proposal("tpe", 3) == proposal("tpe", 3)


def test_qmc_walks_along_one_sequence() -> None:
    """Two workers, each with a sampler of its own for each trial, cover the range evenly between them."""
    study = optuna.create_study()
    drawn = []
    for trial in range(16):
        study.sampler = sampler_factory.build_sampler(SamplerSpec(name="qmc"), SpaceSpec(), Arm.JOINT, 0, trial)
        asked = study.ask()
        drawn.append(asked.suggest_float("x", 0, 1))
        study.tell(asked, 0.0)
    assert sorted(int(8 * value) for value in drawn[1:9]) != [0] * 8
    assert len({int(8 * value) for value in drawn}) == 8
