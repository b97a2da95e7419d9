"""Intervals that resample seeds and images hold the truth of both, and know which of them is scarce."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from search.analysis.job.gains import Finals, estimate
from search.analysis.job.images import accuracy_interval, gain_interval
from search.states import Stage, TrialState
from tests import synthetic

SEEDS, IMAGES, JOBS = 5, 400, 300


def students(rng: np.random.Generator, ease: NDArray[np.float64], level: float) -> dict[int, NDArray[np.bool_]]:
    """Students whose seeds move them all a little; an image that is hard is hard for all of them."""
    return {seed: rng.random(len(ease)) < np.clip(ease + level + 0.01 * rng.normal(), 0, 1) for seed in range(SEEDS)}


def test_they_hold_the_truth_as_often_as_they_say_where_seeds_alone_do_not() -> None:
    rng = np.random.default_rng(0)
    held, seeds_alone = [], []
    for _ in range(JOBS):
        ease = np.where(rng.random(IMAGES) < 0.8, 0.95, 0.4)
        easier = np.clip(ease + np.where(rng.random(IMAGES) < 0.1, 0.3, 0.0), 0, 1)
        winner, baseline = students(rng, easier, 0.0), students(rng, ease, 0.0)
        truth = 0.1 * (0.8 * (1 - 0.95) + 0.2 * 0.3)  # over all images that might have been drawn
        found = gain_interval(winner, baseline, 0.9)
        assert found is not None
        held.append(found.low <= truth <= found.high)
        plain = estimate({s: float(winner[s].mean() - baseline[s].mean()) for s in winner}, 0.9).interval
        assert plain is not None
        seeds_alone.append(plain.high - plain.low)
    assert np.mean(held) >= 0.86


def test_few_images_widen_it_and_many_leave_it_to_the_seeds() -> None:
    def widths(images: int) -> tuple[float, float]:
        rng = np.random.default_rng(1)
        right = students(rng, np.where(rng.random(images) < 0.8, 0.95, 0.4), 0.0)
        both, plain = (
            accuracy_interval(right, 0.9),
            estimate({s: float(r.mean()) for s, r in right.items()}, 0.9).interval,
        )
        assert both is not None
        assert plain is not None
        return both.high - both.low, plain.high - plain.low

    both, plain = widths(100)
    assert both > plain
    both, plain = widths(200_000)
    assert both == pytest.approx(plain, rel=0.15)


def test_pairs_are_of_seeds_that_both_have() -> None:
    rng = np.random.default_rng(2)
    right = students(rng, np.full(100, 0.7), 0.0)
    assert gain_interval(right, {0: right[0]}, 0.9) is None
    assert gain_interval({}, right, 0.9) is None
    assert accuracy_interval({0: right[0]}, 0.9) is None
    same = gain_interval(right, right, 0.9)
    assert same is not None
    assert (same.low, same.high) == (0.0, 0.0)
    perfect = accuracy_interval({seed: np.ones(50, dtype=bool) for seed in range(3)}, 0.9)
    assert perfect is not None
    assert (perfect.low, perfect.high) == (1.0, 1.0)


def test_the_answer_has_them_where_the_images_are_known() -> None:
    trials = list(synthetic.few())
    ended = [t for t in trials if t.stage is Stage.ESTIMATE and t.state is TrialState.COMPLETED]
    rng = np.random.default_rng(3)
    right = {trial.number: rng.random(200) < 0.9 for trial in ended}
    told = synthetic.documents(synthetic.spec(budget={"trials": 24}), trials, right=right)["result"]
    assert all(gain.test_interval_images is not None for gain in told.gains)
    assert told.winner.test_interval_images is not None
    assert told.winner.test_interval_images.low < 0.9 < told.winner.test_interval_images.high
    without = synthetic.documents(synthetic.spec(budget={"trials": 24}), trials)["result"]
    assert all(gain.test_interval_images is None for gain in without.gains)
    assert [gain.test_interval for gain in told.gains] == [gain.test_interval for gain in without.gains]
    assert all(
        gain.test_interval_images is None
        for gain in Finals(trials, right).gains(synthetic.spec(objective={"metric": "nll"}))
    )
