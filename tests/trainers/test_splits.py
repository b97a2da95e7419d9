"""Splits are disjoint, complete, stratified and fixed by the seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trainers.data import splits


@settings(max_examples=300)
@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=8),
    seed=st.integers(0, 2**31),
    test=st.sampled_from([0.0, 0.1, 0.2, 0.4]),
    validation=st.sampled_from([0.1, 0.25, 0.5]),
)
def test_parts_are_disjoint_complete_and_stratified(
    counts: list[int], seed: int, test: float, validation: float
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    total = len(labels)
    sizes = round(test * total), round(validation * total)
    assume((sizes[0] > 0 or test == 0) and sizes[1] > 0 and sum(sizes) < total)
    parts = splits.cut(labels, seed, test=test, validation=validation, train_size=None)
    train, held, tests = parts
    assert sorted(np.concatenate(parts)) == list(range(total))
    assert (len(tests), len(held)) == sizes
    for part in parts:
        for label, count in enumerate(counts):
            expected = count * len(part) / total
            assert abs(int((labels[part] == label).sum()) - expected) <= 2
    again = splits.cut(labels, seed, test=test, validation=validation, train_size=None)
    assert all(np.array_equal(one, other) for one, other in zip(parts, again, strict=True))
    smaller = splits.cut(labels, seed, test=test, validation=validation, train_size=max(1, len(train) // 2))
    assert set(smaller[0]) < set(train) or len(train) == 1
    assert np.array_equal(smaller[1], held)


def test_the_seed_matters() -> None:
    labels = np.repeat(np.arange(3), 50).astype(np.int64)
    first, second = (splits.cut(labels, seed, test=0.2, validation=0.2, train_size=None) for seed in (0, 1))
    assert not np.array_equal(first[2], second[2])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"validation": 0.01}, "too few"),
        ({"test": 0.6, "validation": 0.4}, "too few"),
        ({"train_size": 99}, "only 12 images"),
    ],
)
def test_impossible_parts_are_refused(changes: dict[str, float], words: str) -> None:
    wanted = {"test": 0.2, "validation": 0.2, "train_size": None} | changes
    with pytest.raises(ValueError, match=words):
        splits.cut(np.repeat(np.arange(2), 10).astype(np.int64), 0, **wanted)  # type: ignore[arg-type]
