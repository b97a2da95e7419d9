"""Splits into parts: disjoint, stratified and fixed by one seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


def cut(
    labels: Numbers, seed: int, *, test: float, validation: float, train_size: int | None
) -> tuple[Numbers, Numbers, Numbers]:
    """The image numbers of train, validation and test, each sorted; `test` and `validation` are fractions of all.

    Where the set has a test part of its own, pass test=0, and validation=0 where it has one for that: their images are
    not among `labels`. Every part holds each class in proportion, to about one image; train_size changes neither
    validation nor test.
    Raises ValueError where a part that is asked for would be empty, or train_size exceeds what is left.
    """
    total = len(labels)
    tests, validations = round(test * total), round(validation * total)
    available = total - tests - validations
    if (test > 0 and tests == 0) or (validation > 0 and validations == 0) or available <= 0:
        raise ValueError(f"{total} images are too few for test {test:g} and validation {validation:g} of them")
    if train_size is not None and train_size > available:
        raise ValueError(f"train_size is {train_size}, but only {available} images are left to train on")
    chance = np.random.default_rng(seed)
    classes = [chance.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    test_part = _take(classes, tests)
    validation_part = _take(classes, validations)
    return _take(classes, available if train_size is None else train_size), validation_part, test_part


def _take(classes: list[Numbers], size: int) -> Numbers:
    """Takes `size` numbers off the classes' fronts, from each in proportion to what it has left.

    Whole shares first, then one more from those with the largest remainders (Hare's quota), earlier classes first.
    """
    remaining = np.array([len(members) for members in classes])
    shares = remaining * size / remaining.sum()
    counts = np.floor(shares).astype(np.int64)
    counts[np.argsort(counts - shares, kind="stable")[: size - counts.sum()]] += 1
    selection = np.concatenate([members[:count] for members, count in zip(classes, counts, strict=True)])
    classes[:] = [members[count:] for members, count in zip(classes, counts, strict=True)]
    return np.sort(selection)
