"""Does the model of mean quality bend the bad end alone, and are sets read off the draws as they are defined?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from search.analysis import profile
from search.analysis.surface import Squeeze, Surface

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


def test_draws_agree_with_the_data_where_there_are_many_and_doubt_where_there_are_none() -> None:
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(0, 0.5, (80, 1)), rng.uniform(0, 0.5, (80, 1))])
    truth = 0.9 - 0.2 * (points[:, 0] - 0.3) ** 2
    surface = Surface(points, truth + 0.005 * rng.standard_normal(len(points)), rng)
    draws = surface.draws(np.array([[0.3], [1.0]]), 1000, rng)
    assert draws[:, 0].mean() == pytest.approx(0.9, abs=0.002)
    assert draws[:, 0].std() < 0.002 < draws[:, 1].std()


def draws_of(*best: tuple[int, int], width: int = 20) -> np.ndarray:
    """Draws whose maximum lies at each place so many times."""
    places = np.repeat([place for place, _ in best], [count for _, count in best])
    draws = np.zeros((len(places), width))
    draws[np.arange(len(places)), places] = 1.0
    return draws


GRID = profile.grid(1.0, 40.0, 20)


def test_the_grid_ends_at_the_searched_ends_in_equal_ratios() -> None:
    assert (GRID[0], GRID[-1]) == (1.0, 40.0)
    assert GRID[1:] / GRID[:-1] == pytest.approx(np.full(19, 40 ** (1 / 19)))


def test_a_confidence_set_may_be_in_two_parts_and_touch_the_end() -> None:
    found = profile.confidence_set(GRID, draws_of((5, 60), (6, 10), (19, 30)), 0.9)
    assert len(found.intervals) == 2
    assert found.intervals[0][0] < GRID[5] < GRID[6] < found.intervals[0][1] < found.intervals[1][0]
    assert found.intervals[1][1] == 40.0
    assert (found.censored_low, found.censored_high) == (False, True)


def test_a_confidence_set_holds_its_probability_and_is_small() -> None:
    rng = np.random.default_rng(1)
    places = np.clip(rng.normal(9, 2, 4000).round().astype(int), 0, 19)
    draws = draws_of(*((place, int((places == place).sum())) for place in range(20)))
    found = profile.confidence_set(GRID, draws, 0.9)
    [(low, high)] = found.intervals
    held = np.mean((GRID[places] >= low) & (GRID[places] <= high))
    assert 0.9 <= held < 0.98


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
