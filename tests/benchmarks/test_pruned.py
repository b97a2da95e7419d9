"""What stopping costs a job is told by the same job with its stopped trials trained to their ends."""

from __future__ import annotations

import pytest

from benchmarks.searching import pruned
from benchmarks.searching.cost.ground import TRY, open_ground
from benchmarks.searching.cost.jobs import Job, Search
from benchmarks.searching.cost.spec import job_spec
from search.states import Arm, Stage, TrialState

GROUND = open_ground(TRY)


def job_of(method: str, trials: int) -> Job:
    spec = job_spec(GROUND, 0, trials, False, pruner={"name": method, "min_epochs": 1, "startup_trials": 3})
    return Job(GROUND, spec, Search(GROUND, spec, Arm.JOINT)).run()


def test_without_a_pruner_nothing_is_saved_or_lost() -> None:
    job = job_of("none", 8)
    assert job.winner is not None
    found = pruned._of_stopping(GROUND, job, job.winner)
    assert {name: value for name, value in found.items() if value} == {"winner": GROUND.regret(job.winner)}


def test_stopped_trials_are_trained_on_as_they_would_have_been() -> None:
    """A stopped trial ends as its own seed's curve does; epochs that were saved are those it lacks."""
    job = job_of("successive_halving", 8)
    assert job.winner is not None
    searched = [trial for trial in job.trials if trial.stage is Stage.SEARCH]
    stopped = [trial for trial in searched if trial.state is TrialState.PRUNED]
    assert stopped
    for trial in stopped:
        ended = pruned.trained(GROUND, job, trial)
        assert (ended.state, ended.epoch) == (TrialState.COMPLETED, GROUND.length)
        assert ended.value == GROUND.value(GROUND.curve(job.cell(trial), trial.seed), GROUND.length)
    found = pruned._of_stopping(GROUND, job, job.winner)
    lacking = sum(GROUND.length - trial.epoch for trial in stopped)
    assert found["saved"] == pytest.approx(lacking / (8 * GROUND.length))
    assert found["stopped"] == len(stopped) / 8
