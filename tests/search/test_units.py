"""Values in the unit that people use, with no more digits than are known."""

from __future__ import annotations

import pytest

from search import units
from thermowell.api.answers import Interval


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (6.2, "6.2"),
        (0.0123, "0.0123"),
        (3.1e-6, "3.1e−6"),
        (40.0, "40"),
        (-0.5, "−0.5"),
        (1.0, "1"),
        (0.0, "0"),
        (1234.0, "1230"),
        (2.5e7, "2.5e7"),
    ],
)
def test_numbers_keep_three_digits_and_no_needless_zeros(value: float, said: str) -> None:
    assert units.number(value) == said


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [("accuracy", 0.9213, "92.1 %"), ("ece", 0.0314, "3.1 %"), ("nll", 0.31234, "0.312 nats")],
)
def test_levels_carry_their_unit(metric: units.Metric, value: float, said: str) -> None:
    assert units.level(metric, value) == said


def test_differences_are_points_and_not_per_cent() -> None:
    assert units.difference("accuracy", 0.0042) == "0.4 points"
    assert units.difference("accuracy", -0.0042) == "−0.4 points"
    assert units.difference("nll", 0.0042) == "0.004 nats"


def test_nothing_is_ever_minus_zero() -> None:
    assert units.plain("accuracy", -0.0001) == "0.0"


def test_a_narrow_interval_is_said_with_a_digit_more() -> None:
    wide, narrow = Interval(low=0.915, high=0.926, confidence=0.9), Interval(low=0.9208, high=0.9216, confidence=0.95)
    assert units.level_within("accuracy", 0.9213, wide) == "92.1 % (90 % interval 91.5 to 92.6)"
    assert units.level_within("accuracy", 0.9212, narrow) == "92.12 % (95 % interval 92.08 to 92.16)"
    assert units.difference_within("accuracy", 0.004, None) == "0.4 points"


def test_sets_of_temperatures_are_said_part_by_part() -> None:
    assert units.ranges([(2.1, 11.04), (30.0, 40.0)]) == "from 2.1 to 11, and from 30 to 40"
