"""The model of mean quality bends the bad end alone, and sets are read off the draws as they are defined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from search.analysis.job import profile
from search.surrogate.surface import Squeeze, Surface

VALUES = arrays.arrays(np.float64, st.integers(8, 40), elements=st.floats(-10, 1, width=32))


@given(VALUES)
def test_squeezing_keeps_the_order_and_can_be_undone(values: np.ndarray) -> None:
    squeeze = Squeeze.of(values)
    squeezed = squeeze(values)
    order = np.argsort(values)
    assert (np.diff(squeezed[order]) >= -1e-12).all()
    # A width far below the distances loses what lies far below the knee to rounding, and to nothing else.
    near = squeeze.knee - values < 20 * squeeze.width
    assert squeeze.undo(squeezed)[near] == pytest.approx(values[near], rel=1e-9, abs=1e-9)


@given(VALUES)
def test_the_better_half_is_left_as_it_is(values: np.ndarray) -> None:
    better = values[values >= np.median(values)]
    assert (Squeeze.of(values)(better) == better).all()


@pytest.mark.slow
def test_draws_agree_with_the_data_where_there_are_many_and_doubt_where_there_are_none() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(0, 0.5, (80, 1)), rng.uniform(0, 0.5, (80, 1))])
    truth = 0.9 - 0.2 * (points[:, 0] - 0.3) ** 2
    surface = Surface(points, truth + 0.005 * rng.standard_normal(len(points)), rng)
    draws = surface.draws(np.array([[0.3], [1.0]]), 1000, rng)
    assert draws[:, 0].mean() == pytest.approx(0.9, abs=0.002)
    assert draws[:, 0].std() < 0.002 < draws[:, 1].std()


GRID = profile.grid(1.0, 40.0, 20)


def test_the_posterior_is_that_of_each_plausible_process() -> None:
    rng = np.random.default_rng(0)
    points, asked, none = rng.random((30, 3)), rng.random((20, 3)), np.zeros((0, 3))
    surface = Surface(points, np.sin(3 * points[:, 0]) + 0.1 * rng.standard_normal(30), rng, 3)
    for number, member in enumerate(surface.members):
        mean, covariance = surface.posterior(asked, none, number)
        assert mean == pytest.approx(member.mean(asked))
        assert covariance.diagonal() == pytest.approx(member.standard(asked)[1] ** 2)
        assert surface.noise_variance(number) == pytest.approx(float(np.exp(surface.thetas[number][-1])))
    assert surface.posterior(asked, none)[0] == pytest.approx(surface.posterior(asked, none, 0)[0])


def test_a_run_under_way_leaves_less_to_be_learned_near_it_and_moves_nothing() -> None:
    rng = np.random.default_rng(0)
    points, asked = rng.random((12, 2)), rng.random((8, 2))
    surface = Surface(points, points[:, 0], rng, 2)
    for number in range(2):
        before, after = (surface.posterior(asked, known, number) for known in (asked[:0], asked[:1]))
        assert after[0] == pytest.approx(before[0], abs=1e-6)
        assert after[1][0, 0] < before[1][0, 0]


def test_where_hyperparameters_disagree_the_doubt_is_wider_than_any_of_them_has() -> None:
    rng = np.random.default_rng(0)
    points, far = rng.random((6, 2)), np.array([[3.0, 3.0]])
    surface = Surface(points, points[:, 0], rng, 4)
    parts = [surface.posterior(far, far[:0], number) for number in range(4)]
    means, variances = (np.array([float(part[kind].ravel()[0]) for part in parts]) for kind in (0, 1))
    mean, deviation = surface.standard(far)
    assert mean[0] == pytest.approx(means.mean())
    assert deviation[0] ** 2 == pytest.approx(variances.mean() + means.var())


def test_the_grid_ends_at_the_searched_ends_in_equal_ratios() -> None:
    assert (GRID[0], GRID[-1]) == (1.0, 40.0)
    assert GRID[1:] / GRID[:-1] == pytest.approx(np.full(19, 40 ** (1 / 19)))


def test_a_confidence_set_may_be_in_two_parts_and_touch_the_end() -> None:
    level = -np.minimum(np.abs(np.arange(20) - 5), np.abs(np.arange(20) - 19.0))
    draws = level + 0.5 * np.random.default_rng(0).standard_normal((2000, 20))
    found = profile.confidence_set(GRID, draws, 0.002, 0.9)
    assert len(found.intervals) == 2
    assert 1.0 < found.intervals[0][0] < GRID[5] < found.intervals[0][1] < GRID[12] < found.intervals[1][0] < GRID[19]
    assert found.intervals[1][1] == 40.0
    assert (found.censored_low, found.censored_high) == (False, True)


def test_shares_of_the_best_are_of_all_temperatures_and_sum_to_one() -> None:
    draws = np.array([[0.0, 1.0, 0.0], [0.0, 2.0, 1.0], [3.0, 1.0, 1.0], [0.0, 1.0, 0.5]])
    assert profile.best_shares(draws).tolist() == [0.25, 0.75, 0.0]


def test_a_confidence_set_holds_its_probability_and_leaves_out_what_is_worse() -> None:
    centres = np.random.default_rng(1).normal(9, 2, 4000)
    draws = -((np.arange(20) - centres[:, None]) ** 2)
    found = profile.confidence_set(GRID, draws, 0.002, 0.9)
    [(low, high)] = found.intervals
    best = GRID[draws.argmax(axis=1)]
    assert 0.9 <= np.mean((best >= low) & (best <= high)) < 1
    assert low > GRID[2]
    assert high < GRID[16]


def test_what_nothing_tells_from_the_best_is_in_the_confidence_set() -> None:
    draws = np.random.default_rng(2).standard_normal((2000, 1)) + np.linspace(0, 1e-3, 20)
    draws += 0.1 * np.random.default_rng(3).standard_normal((2000, 20))
    found = profile.confidence_set(GRID, draws, 0.002, 0.9)
    assert found.intervals == [(1.0, 40.0)]
    assert found.censored_low
    assert found.censored_high


def test_where_many_are_rarely_best_enough_of_them_are_in_the_confidence_set() -> None:
    draws = np.zeros((1000, 20))
    draws[:, 4] = 0.5
    for place in range(7, 20, 2):  # each is best in two hundredths of the draws, the fourth in the rest
        draws[20 * place : 20 * place + 20, place] = 1.0
    found = profile.confidence_set(GRID, draws, 0.002, 0.96)
    inside = [any(low <= t <= high for low, high in found.intervals) for t in GRID]
    assert inside[4]
    assert np.mean(np.array(inside)[draws.argmax(axis=1)]) >= 0.96
    assert not all(inside)


def test_the_equivalent_set_needs_proof() -> None:
    rng = np.random.default_rng(2)
    level = np.where(np.arange(20) < 10, 0.9, 0.8)
    sure = level + 1e-4 * rng.standard_normal((1000, 20))
    unsure = level + 0.05 * rng.standard_normal((1000, 20))
    found = profile.equivalent_set(GRID, sure, 0.002, 0.9)
    assert len(found.intervals) == 1
    assert found.censored_low
    assert found.intervals[0][1] == pytest.approx(np.sqrt(GRID[9] * GRID[10]))
    assert profile.equivalent_set(GRID, unsure, 0.002, 0.9).intervals == []


def test_bands_of_a_metric_that_is_minimised_are_not_upside_down() -> None:
    draws = np.random.default_rng(3).normal(-0.5, 0.1, (500, 20))
    for point in profile.points(GRID, draws, 0.9, -1):
        assert point.low < point.mean < point.high
        assert point.mean == pytest.approx(0.5, abs=0.02)
