"""Which image belongs to which part? Disjoint, stratified and fixed by one seed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]


def stratified_order(labels: Labels, seed: int) -> Labels:
    """A permutation of range(len(labels)) of which every stretch holds each class in proportion, to about one image.

    Images are shuffled, then sorted by (rank within their class + 1/2) / size of their class. Parts cut out of it
    one after the other are stratified, and a longer cut contains a shorter one.
    """
    chance = np.random.default_rng([seed, 0x5EED])
    shuffled = chance.permutation(len(labels))
    position = np.empty(len(labels), dtype=np.float64)
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    return shuffled[np.argsort(position[shuffled], kind="stable")]


def cut(
    labels: Labels, seed: int, *, test: float, validation: float, train_size: int | None
) -> tuple[Labels, Labels, Labels]:
    """The image numbers of train, validation and test, each sorted; `test` and `validation` are fractions of all.

    Where the set has a test part of its own, pass test=0: its images are not among `labels`.
    Raises ValueError where a part that is asked for would be empty, or train_size exceeds what is left.
    """
    order = stratified_order(labels, seed)
    tests = round(test * len(order))
    validations = round(validation * len(order))
    train = order[tests + validations :]
    if (test > 0 and tests == 0) or validations == 0 or len(train) == 0:
        raise ValueError(f"{len(order)} images are too few for test {test:g} and validation {validation:g} of them")
    if train_size is not None:
        if train_size > len(train):
            raise ValueError(f"train_size is {train_size}, but only {len(train)} images are left to train on")
        train = train[:train_size]
    return np.sort(train), np.sort(order[tests : tests + validations]), np.sort(order[:tests])
