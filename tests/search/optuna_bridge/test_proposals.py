"""A proposal is owed in any case: where a sampler's numbers come to an end, it is the next place of an even walk."""

from __future__ import annotations

import math
import re
from typing import Any, get_args

import numpy as np
import optuna
import pytest
import structlog

from search import configurations
from search.errors import DatabaseUnavailable
from search.optuna_bridge import proposals
from search.samplers import sampler_factory
from search.spec.job import JobSpec, SamplerSpec
from search.states import JobState, Stage
from tests import synthetic
from tests.search.played import Played
from trainers.spec import Configuration

NAMES = get_args(SamplerSpec.model_fields["name"].annotation)
SGD = {"learning_rate": {"low": 0.01, "high": 0.3}, "weight_decay": {"low": 1e-310, "high": 0.1}}
SPACE = {"temperature": {"low": 1, "high": 40}, "optimizer": {"sgd": SGD}}


def job(name: str, **changes: Any) -> JobSpec:
    """As it was taken before there were bounds."""
    sampler = {"name": name, "startup_trials": 4}
    usual = {"sampler": sampler, "space": SPACE, "budget": {"trials": 12}, "baselines": {"share": 0}}
    return synthetic.spec(**usual | changes)


def searched(spec: JobSpec) -> list[dict[str, Any]]:
    """The configurations that its search proposes."""
    played = Played(spec, lambda number: 0.8 + 0.01 * (number * 7 % 5))
    played.play(JobState.CONFIRMING)
    return [dict(t.configuration or {}) for t in played.trials if t.stage is Stage.SEARCH]


@pytest.mark.parametrize("name", NAMES)
def test_a_range_whose_quotient_overflows_is_searched_all_along(name: str) -> None:
    found = [one["optimizer"]["weight_decay"] for one in searched(job(name))]
    places = sorted((math.log(one) - math.log(1e-310)) / (math.log(0.1) - math.log(1e-310)) for one in found)
    assert 0 <= places[0] < 0.4
    assert 0.6 < places[-1] <= 1
    assert len(set(found)) > 8


class Counting(optuna.storages.InMemoryStorage):
    """Counts how often a study is looked up by its name: on a database that is a transaction of its own."""

    lookups = 0

    def get_study_id_from_name(self, study_name: str) -> int:
        self.lookups += 1
        return super().get_study_id_from_name(study_name)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gp"])
def test_a_sampler_that_learns_from_one_arm_reads_no_other(name: str) -> None:
    storage = Counting()
    played = Played(job(name), lambda number: 0.8 + 0.01 * (number * 7 % 5), storage=storage)
    played.play(JobState.CONFIRMING)
    assert len(played.trials) >= 12
    assert storage.lookups < 2 * len(played.trials)  # one of each trial is the player's own


class Failing(optuna.samplers.RandomSampler):
    """Ends as numerics do."""

    def __init__(self, error: Exception | None) -> None:
        super().__init__(seed=0)
        self.error = error

    def sample_independent(self, *_: Any) -> Any:
        if self.error is not None:
            raise self.error
        return math.nan


@pytest.mark.parametrize(
    "error",
    [np.linalg.LinAlgError("singular"), ValueError("NaN"), OverflowError(), ZeroDivisionError(), FloatingPointError(),
     IndexError(), AssertionError(), RuntimeWarning("invalid value"), None],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_a_proposal_that_fails_is_a_place_of_the_even_walk(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk = [configurations.from_json(one) for one in searched(job("gp", sampler={"name": "gp", "startup_trials": 100}))]
    monkeypatch.setattr(sampler_factory, "build_sampler", lambda *_: Failing(error))
    with structlog.testing.capture_logs() as logs:
        found = [configurations.from_json(one) for one in searched(job("tpe"))]
    assert rounded(found) == rounded(walk)
    assert [log["log_level"] for log in logs] == ["warning"] * len(walk)
    assert {log["sampler"] for log in logs} == {"tpe"}


def rounded(places: list[Configuration]) -> list[str]:
    """Without the last digits, of which T loses one on its way through a surface where the teacher hardly counts."""
    return [re.sub(r"\d+\.\d+(e-?\d+)?", lambda match: f"{float(match[0]):.12g}", repr(place)) for place in places]


def test_a_database_that_does_not_answer_is_no_failed_proposal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals.sampler_factory, "build_sampler", lambda *_: Failing(DatabaseUnavailable("away")))
    with pytest.raises(DatabaseUnavailable):
        searched(job("tpe"))
