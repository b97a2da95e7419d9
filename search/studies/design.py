"""Designs of studies: all crossings of the factors' levels, one factor at a time, or a balanced part."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from search.studies.spec import MOST_CELLS, DesignSpec

Crossing = tuple[int, ...]
"""By factor the place of its level."""
_POOL = 4096
"""Of a product of so many at most, all are looked at for each that is chosen;"""
_DRAWN = 256
"""of a larger one so many, of levels that were met least."""


def crossings(design: DesignSpec, sizes: Sequence[int], existing: Sequence[Crossing] = ()) -> list[Crossing]:
    """The crossings of a design, `sizes` being the numbers of levels; those of `existing` are kept by a fraction.

    ValueError where there would be more than MOST_CELLS.
    """
    count = how_many(design, sizes)
    if count > MOST_CELLS:
        raise ValueError(
            f"{design.name} has {count:,} crossings, and a study has at most {MOST_CELLS} cells: leave levels out, or "
            "take design: {name: fractional, cells: 32} or one_at_a_time"
        )
    if design.name == "one_at_a_time":
        first = (0,) * len(sizes)
        changes = [(factor, level) for factor, size in enumerate(sizes) for level in range(1, size)]
        return [first, *((*first[:factor], level, *first[factor + 1 :]) for factor, level in changes)]
    if count == math.prod(sizes):
        return list(itertools.product(*map(range, sizes)))
    return fraction(sizes, count, design.seed, existing)


def how_many(design: DesignSpec, sizes: Sequence[int]) -> int:
    """How many crossings a design has."""
    if design.name == "one_at_a_time":
        return 1 + sum(size - 1 for size in sizes)
    return min(math.prod(sizes), design.cells or math.prod(sizes))


def fraction(sizes: Sequence[int], count: int, seed: int, existing: Sequence[Crossing] = ()) -> list[Crossing]:
    """So many different crossings, `existing` first, that meet levels and pairs of levels as equally as possible.

    One after another, each the one whose levels were met least, and among those whose pairs of levels were (greedy, as
    in sequential construction of nearly orthogonal arrays: Xu 2002, Technometrics 44); chance decides among equals.
    """
    rng = np.random.default_rng(seed)
    selection = list(dict.fromkeys(existing))
    met = [np.zeros(size) for size in sizes]
    pairs = {(i, j): np.zeros((sizes[i], sizes[j])) for i, j in itertools.combinations(range(len(sizes)), 2)}
    for crossing in selection:
        _count(crossing, met, pairs)
    while len(selection) < count:
        pool = _pool(sizes, selection, met, rng)
        alone = sum(counts[pool[:, i]] * sizes[i] for i, counts in enumerate(met))
        together = sum(
            (pair_counts[pool[:, i], pool[:, j]] * pair_counts.size for (i, j), pair_counts in pairs.items()),
            np.zeros(len(pool)),
        )
        best = np.lexsort((rng.permutation(len(pool)), together, alone))[0]
        selection.append(tuple(int(level) for level in pool[best]))
        _count(selection[-1], met, pairs)
    return selection


def _pool(
    sizes: Sequence[int], selection: Sequence[Crossing], met: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Crossings [n, factors] that are not chosen: all of a small product, some of those least met of a large one."""
    excluded = set(selection)
    if math.prod(sizes) <= _POOL:
        return np.array([candidate for candidate in itertools.product(*map(range, sizes)) if candidate not in excluded])
    columns = [_least_met(candidate, rng) for candidate in met]
    drawn = [tuple(int(level) for level in row) for row in np.stack(columns, axis=1)]
    free = [candidate for candidate in dict.fromkeys(drawn) if candidate not in excluded]
    return np.array(free or [_any_other(sizes, excluded, rng)])


def _least_met(met: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(np.flatnonzero(met == met.min()), size=_DRAWN)


def _any_other(sizes: Sequence[int], excluded: set[Crossing], rng: np.random.Generator) -> Crossing:
    """Any that is not taken; fewer than one in ten are."""
    while True:
        candidate = tuple(int(rng.integers(size)) for size in sizes)
        if candidate not in excluded:
            return candidate


def _count(crossing: Crossing, met: Sequence[np.ndarray], pairs: dict[tuple[int, int], np.ndarray]) -> None:
    for factor, level in enumerate(crossing):
        met[factor][level] += 1
    for (i, j), pair_counts in pairs.items():
        pair_counts[crossing[i], crossing[j]] += 1
