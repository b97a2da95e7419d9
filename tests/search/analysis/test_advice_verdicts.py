"""What a finished job says to advice: its posterior over T, its verdict's range, or nothing; and T = 4 beside it."""

from __future__ import annotations

import math
from typing import Any, cast

import pytest

from search.analysis.priors.advise import advise
from search.analysis.priors.context import Context
from search.analysis.priors.evidence import Evidence, evenly, from_posterior, from_winner
from search.requests.advice import _evidence_of
from tests import synthetic
from thermowell.api.answers import Result, TemperatureResponse, Verdict
from trainers.spec import Configuration, Optimizer

CONTEXT = Context(data="digits", classes=10, train_images=1000, epochs=20, metric="accuracy")


@pytest.fixture(scope="module")
def answer() -> tuple[Result, TemperatureResponse]:
    documents = synthetic.documents(synthetic.spec(budget={"trials": 24}), list(synthetic.few()))
    return cast(Result, documents["result"]), cast(TemperatureResponse, documents["response"])


def word(answer: tuple[Result, TemperatureResponse], **changes: Any) -> Evidence | None:
    result, response = answer
    verdict = cast(Verdict, result.verdict).model_copy(update=changes)
    return _evidence_of((result.model_copy(update={"verdict": verdict}), response), CONTEXT, "j", "a job")


def test_a_job_that_could_not_tell_says_nothing(answer: tuple[Result, TemperatureResponse]) -> None:
    assert word(answer, kind="undecided") is None


def test_a_job_in_which_t_makes_no_difference_says_any_of_the_range(answer: tuple[Result, TemperatureResponse]) -> None:
    said = word(answer, kind="keep", between=(1.5, 24.0), temperature=4.0)
    assert said is not None
    assert (said.temperature, said.gain) == (4.0, 0.0)
    assert max(share for _, share in said.spread) < 0.1
    assert 1.5 <= said.spread[0][0] < said.spread[-1][0] <= 24.0
    assert math.fsum(share for _, share in said.spread) == pytest.approx(1)


def test_a_job_with_a_best_temperature_says_its_posterior(answer: tuple[Result, TemperatureResponse]) -> None:
    said = word(answer, kind="use", temperature=6.0)
    assert said is not None
    overall = answer[1].overall
    assert overall is not None
    mean = math.fsum(
        share * math.log(p.temperature) for share, p in zip(overall.best_shares, overall.points, strict=True)
    )
    assert math.fsum(share * math.log(t) for t, share in said.spread) == pytest.approx(mean, abs=0.01)
    assert math.fsum(share for _, share in said.spread) == pytest.approx(1)


def test_an_answer_of_before_verdicts_says_what_it_said(answer: tuple[Result, TemperatureResponse]) -> None:
    old = _evidence_of((answer[0].model_copy(update={"verdict": None}), answer[1]), CONTEXT, "j", "a job")
    assert old is not None
    assert dict(old.spread)[answer[0].winner.configuration.temperature] >= 0.5


def test_a_flat_posterior_stays_flat() -> None:
    winner = from_winner(
        CONTEXT,
        Configuration(temperature=36.0, kd_weight=0.9, label_weight=0.1, optimizer=Optimizer("sgd", 0.1, 1e-4, 0.9)),
        [],
        source="a job",
    )
    flat = from_posterior(winner, evenly(1.0, 40.0), temperature=4.0, gain=0.0)
    shares = [share for _, share in flat.spread]
    assert max(shares) == pytest.approx(min(shares))
    advice = advise(CONTEXT, [flat], "history")
    assert max(temperature.weight for temperature in advice.temperatures) < 0.1


@pytest.mark.parametrize(("low", "high", "gain", "keep"), [(1.0, 40.0, 0.0, True), (15.0, 40.0, 0.012, False)])
def test_advice_says_whether_t_4_is_kept(low: float, high: float, gain: float, keep: bool) -> None:
    winner = from_winner(
        CONTEXT,
        Configuration(temperature=20.0, kd_weight=0.9, label_weight=0.1, optimizer=Optimizer("sgd", 0.1, 1e-4, 0.9)),
        [],
        source="a job",
    )
    default = advise(
        CONTEXT, [from_posterior(winner, evenly(low, high), temperature=20.0, gain=gain)], "history"
    ).default
    assert default is not None
    assert (default.keep, default.temperature, default.gain) == (keep, 4.0, gain)
    assert ("keep T = 4 unless you search" in default.words) == keep
    assert "points over it" in default.words
    assert advise(CONTEXT, [], "history").default is None
