"""The verdict's benchmark: further seeds of all contestants, and what counts as said rightly."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest

from benchmarks.searching.whole_jobs import Job, spec_of
from benchmarks.searching.worlds import world
from benchmarks.verdict.figures import of
from benchmarks.verdict.side import PLACEBOS, rival_of, told
from search.states import Stage


def test_further_seeds_are_those_of_every_contestant_and_are_trained_once() -> None:
    flat = world("flat")
    job = Job(flat, spec_of(flat, 1, budget={"trainings": 12})).run()

    def counted() -> Counter[tuple[str, str | None]]:
        return Counter((trial.arm, trial.variant) for trial in job.trials if trial.stage is Stage.ESTIMATE)

    before = counted()
    for count in (2, 3):
        job.add_estimates(count)
        assert counted() == {contestant: number + count for contestant, number in before.items()}
    estimated = [(t.arm, t.variant, t.seed) for t in job.trials if t.stage is Stage.ESTIMATE]
    assert len(set(estimated)) == len(estimated)


@pytest.mark.parametrize(("needed", "right"), [(1, False), (2, True), (4, True), (8, True), (9, False), (None, False)])
def test_what_is_missing_is_said_rightly_within_a_factor_of_two(needed: int | None, right: bool) -> None:
    row = {
        "world": "flat", "job": 0, "budget": "default", "kind": "undecided", "shown": False, "loss": 0.1,
        "trainings": 90, "seeds_missing": 4, "seeds_needed": needed,
    }  # fmt: skip
    said = of([row], [])["missing_within_2"]
    assert said is not None
    assert said[0] == float(right)


@pytest.mark.parametrize("budget", PLACEBOS)
def test_a_temperature_beside_a_baselines_is_not_called_better_for_being_better_than_others(budget: str) -> None:
    """On this world T = 4 is better than T = 1 and than labels alone, and about as good as T = 4.04."""
    row = told(world("four-best"), 0, budget)
    assert row is not None
    assert row["called_better"] is False


def test_on_a_table_t_4_is_held_against_itself_and_t_1_against_nothing() -> None:
    assert told(world("digits-cnn-20"), 0, "placebo-1") is None
    row = told(world("digits-cnn-20"), 0, "placebo-4")
    assert row is not None
    assert row["called_better"] is False


def test_a_gain_is_judged_by_the_option_that_it_is_said_of() -> None:
    """A baseline's finalists have one group and one T."""
    better, worse = (SimpleNamespace(arm="t4", temperature=4.0, behind=behind) for behind in (0.002, 0.011))
    verdict = SimpleNamespace(alternatives=[SimpleNamespace(arm="joint", temperature=9.0, behind=0.0), better, worse])
    for behind, rival in ((0.002, better), (0.011, worse), (0.02, None)):
        gain = SimpleNamespace(over="t4", temperature=4.0, mean=behind)
        assert rival_of(verdict, gain) is rival
