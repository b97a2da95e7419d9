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


def crossings(design: DesignSpec, sizes: Sequence[int], there: Sequence[Crossing] = ()) -> list[Crossing]:
    """The crossings of a design, `sizes` being the numbers of levels; those of `there` are kept by a fraction.

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
        others = [(factor, level) for factor, size in enumerate(sizes) for level in range(1, size)]
        return [first, *((*first[:factor], level, *first[factor + 1 :]) for factor, level in others)]
    if count == math.prod(sizes):
        return list(itertools.product(*map(range, sizes)))
    return fraction(sizes, count, design.seed, there)


def how_many(design: DesignSpec, sizes: Sequence[int]) -> int:
    """How many crossings a design has."""
    if design.name == "one_at_a_time":
        return 1 + sum(size - 1 for size in sizes)
    return min(math.prod(sizes), design.cells or math.prod(sizes))


def fraction(sizes: Sequence[int], count: int, seed: int, there: Sequence[Crossing] = ()) -> list[Crossing]:
    """So many different crossings, `there` first, that meet levels and pairs of levels as equally as possible.

    One after another, each the one whose levels were met least, and among those whose pairs of levels were (greedy, as
    in sequential construction of nearly orthogonal arrays: Xu 2002, Technometrics 44); chance decides among equals.
    """
    rng = np.random.default_rng(seed)
    chosen = list(dict.fromkeys(there))
    met = [np.zeros(size) for size in sizes]
    pairs = {(i, j): np.zeros((sizes[i], sizes[j])) for i, j in itertools.combinations(range(len(sizes)), 2)}
    for crossing in chosen:
        _count(crossing, met, pairs)
    while len(chosen) < count:
        pool = _pool(sizes, chosen, met, rng)
        alone = sum(one[pool[:, i]] * sizes[i] for i, one in enumerate(met))
        together = sum(
            (both[pool[:, i], pool[:, j]] * both.size for (i, j), both in pairs.items()), np.zeros(len(pool))
        )
        best = np.lexsort((rng.permutation(len(pool)), together, alone))[0]
        chosen.append(tuple(int(level) for level in pool[best]))
        _count(chosen[-1], met, pairs)
    return chosen


def _pool(
    sizes: Sequence[int], chosen: Sequence[Crossing], met: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Crossings [n, factors] that are not chosen: all of a small product, some of those least met of a large one."""
    taken = set(chosen)
    if math.prod(sizes) <= _POOL:
        return np.array([one for one in itertools.product(*map(range, sizes)) if one not in taken])
    columns = [_least_met(one, rng) for one in met]
    drawn = [tuple(int(level) for level in row) for row in np.stack(columns, axis=1)]
    free = [one for one in dict.fromkeys(drawn) if one not in taken]
    return np.array(free or [_other(sizes, taken, rng)])


def _least_met(met: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(np.flatnonzero(met == met.min()), size=_DRAWN)


def _other(sizes: Sequence[int], taken: set[Crossing], rng: np.random.Generator) -> Crossing:
    """Any that is not taken; fewer than one in ten are."""
    while True:
        one = tuple(int(rng.integers(size)) for size in sizes)
        if one not in taken:
            return one


def _count(crossing: Crossing, met: Sequence[np.ndarray], pairs: dict[tuple[int, int], np.ndarray]) -> None:
    for factor, level in enumerate(crossing):
        met[factor][level] += 1
    for (i, j), both in pairs.items():
        both[crossing[i], crossing[j]] += 1
