"""What the comparison with torchdistill on a given teacher counts as reached."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.engines import peers_data


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"accuracy_difference_interval": [-1.1, 0.2]}, ["accuracy_difference_interval"]),
        ({"accuracy_difference_interval": [0.1, 1.2]}, ["accuracy_difference_interval"]),
        ({"speed_ratio": 5.9}, ["speed_ratio"]),
        ({"student_reproduced": 0.9999}, ["student_reproduced"]),
    ],
)
def test_goals_are_those_that_are_stated(changes: dict[str, Any], expected: list[str]) -> None:
    reached = {"accuracy_difference_interval": [-0.9, 0.8], "speed_ratio": 6.0, "student_reproduced": 1.0}
    assert peers_data.missed(reached | changes) == expected


def test_the_interval_is_of_the_difference_of_means() -> None:
    low, high = peers_data._interval([0.9, 0.92, 0.91], [0.8, 0.83, 0.79])
    assert low < 0.91 - 0.8066666667 < high
    assert high - low == pytest.approx(0.06, abs=0.01)
