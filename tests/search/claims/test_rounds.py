"""The race of finalists: how often the best is dropped, that order changes nothing, and what the winner rests on."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from search.claims import racing
from search.claims.racing import evidence, leader, race

ALPHA = 0.1
JOBS = 400


def values_of(table: np.ndarray) -> dict[int, dict[int, float]]:
    return {one: dict(enumerate(map(float, row))) for one, row in enumerate(table)}


def dropped_best(means: list[float], spreads: list[float], blocks: int, grain: float = 0.0) -> float:
    """In which share of races the best, the first one, was dropped: seeds move all alike, and each by itself."""
    rng = np.random.default_rng(7)
    lost = 0
    for _ in range(JOBS):
        table = np.array(means)[:, None] + rng.normal(size=(len(means), blocks)) * np.array(spreads)[:, None]
        table += 2 * rng.normal(size=blocks)
        table = np.round(table / grain) * grain if grain else table
        lost += 0 not in race(range(len(means)), values_of(table), range(blocks), ALPHA, 0.0).left
    return lost / JOBS


@pytest.mark.parametrize(
    ("means", "spreads", "grain"),
    [
        ([0.0, 0.0], [1.0, 1.0], 0.0),
        ([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], 0.0),
        ([0.0] * 6, [1.0] * 6, 0.0),
        ([0.0, -0.5, -3.0], [1.0, 1.0, 1.0], 0.0),
        ([0.0, 0.0, 0.0], [3.0, 1.0, 1.0], 0.0),  # the variances are not what they are taken to be
        ([0.0, 0.0], [1.0, 1.0], 1.0),  # few images: many values are the same
    ],
)
def test_the_best_is_dropped_no_more_often_than_stated(means: list[float], spreads: list[float], grain: float) -> None:
    assert dropped_best(means, spreads, 12, grain) <= ALPHA


def test_the_evidence_is_a_martingale_where_nothing_differs() -> None:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(20_000):
        differences = rng.normal(size=4)
        residuals = float(((differences - differences.mean()) ** 2).sum() + (rng.normal(size=3) ** 2).sum())
        found.append(evidence(list(map(float, differences)), residuals, 6))
    assert np.mean(found) == pytest.approx(1.0, abs=0.08)
    assert np.mean(np.array(found) >= 20) <= 0.05


@given(st.floats(-50, 50), st.integers(1, 40))
def test_the_distribution_is_students(at: float, freedom: int) -> None:
    half = special.betainc(0.5, freedom / 2, at**2 / (freedom + at**2)) / 2  # stats.t.cdf rounds what is near 0
    assert racing._student(at, freedom) == pytest.approx(0.5 + math.copysign(half, at), abs=1e-9)


def test_a_clearly_worse_one_goes_within_few_seeds() -> None:
    rng = np.random.default_rng(3)
    gone = []
    for _ in range(100):
        table = np.array([[3.0], [3.0], [0.0]]) + rng.normal(size=(3, 5))
        gone.append(2 not in race(range(3), values_of(table), range(5), ALPHA, 0.0).left)
    assert np.mean(gone) > 0.75


def test_equals_within_delta_are_not_raced_to_the_end() -> None:
    rng = np.random.default_rng(5)
    table = 0.9 + 0.0002 * rng.normal(size=(2, 30))
    run = race(range(2), values_of(table), range(30), ALPHA, 0.002)
    assert run.over
    assert len(run.blocks) < 10
    assert len(run.left) == 2
    far = race(range(2), values_of(table + np.array([[0.0], [0.003]])), range(30), ALPHA, 0.002)
    assert far.left == (1,)


@given(st.permutations(range(3)), st.integers(0, 2**32 - 1))
def test_the_order_in_which_values_came_changes_nothing(order: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = values_of(np.array([[0.0], [0.5], [2.0]]) + rng.normal(size=(3, 6)))
    shuffled = {one: dict(sorted(table[one].items(), key=lambda _: rng.random())) for one in order}
    assert race(range(3), shuffled, range(6), ALPHA, 0.1) == race(range(3), table, range(6), ALPHA, 0.1)


def test_who_was_dropped_stays_out_whatever_comes_later() -> None:
    rng = np.random.default_rng(11)
    table = np.array([[4.0], [0.0], [3.5]]) + 0.3 * rng.normal(size=(3, 8))
    before = race(range(3), values_of(table[:, :5]), range(5), ALPHA, 0.0)
    assert 1 not in before.left
    later = {one: row for one, row in values_of(table).items() if one != 1} | {1: dict.fromkeys(range(5), 0.0)}
    later[1] = values_of(table[:, :5])[1]  # it has no more values
    after = race(range(3), later, range(8), ALPHA, 0.0)
    assert dict(after.dropped)[1] == dict(before.dropped)[1]


def test_failing_on_a_seed_drops_unless_all_fail() -> None:
    whole = {0: {0: 0.9, 1: 0.8, 2: 0.85}, 1: {0: 0.1, 1: 0.2, 2: 0.15}}
    assert race([0, 1], {**whole, 0: {0: 0.9, 2: 0.9}}, [0, 1, 2], ALPHA, 0.0).left == (1,)
    nobody = race([0, 1], {one: {0: row[0]} for one, row in whole.items()}, [0, 1], ALPHA, 0.0)
    assert (nobody.left, nobody.blocks) == ((0, 1), (0,))
    none = race([0, 1], {}, [0, 1], ALPHA, 0.0)
    assert (none.left, none.over) == ((0, 1), False)
    assert leader(none, {}) == 0


def test_the_leader_has_the_best_mean_of_those_that_are_left() -> None:
    values = {0: {0: 0.80, 1: 0.90}, 1: {0: 0.81, 1: 0.91}, 2: {0: 0.81, 1: 0.91}}
    assert leader(race([0, 1, 2], values, [0, 1], ALPHA, 0.0), values) == 1
    assert leader(race([0, 2, 1], values, [0, 1], ALPHA, 0.0), values) == 2
