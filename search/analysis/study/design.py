"""The design matrix of a study's model: main effects, interactions that the design carries, and repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from search.analysis.study.gibbs import Array, Group

ANYWHERE = 20.0
"""Octaves, the prior deviation of the whole study's best T."""
MAIN = 2.0
"""Octaves, the prior deviation of a level's effect: two levels may be ten octaves apart or none."""
TOGETHER = (0.4, 3.0)
"""Octaves and degrees of freedom: of interactions, small unless shown to be large."""
REPEATED = (0.4, 2.0)
"""Of what repeats cells: seeds, splits, teachers."""
RESIDUAL = (0.5, 1.0)
"""Of what is left: hardly anything is known of it, and too little would make intervals short."""


@dataclass(frozen=True, slots=True)
class Point:
    """What one number was measured at: its levels, and its replicate."""

    levels: Mapping[str, str]
    replicate: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Design:
    """The model of a study's points. `levels` of each factor in the order in which they were given, two at least.

    `confounded` are factors that move with others in these points, `spare` the degrees of freedom that are left for
    what repeats and the noise.
    """

    levels: Mapping[str, tuple[str, ...]]
    pairs: tuple[tuple[str, str], ...]
    blocks: tuple[tuple[str, tuple[str, ...]], ...]
    confounded: frozenset[str]
    spare: int

    def row(self, weights: Mapping[str, Array]) -> Array:
        """The columns of what has these weights of each factor's levels; evenly all of a factor that is not named."""
        level_weights = {
            name: weights.get(name, np.full(len(names), 1 / len(names))) for name, names in self.levels.items()
        }
        parts = [
            np.ones(1),
            *level_weights.values(),
            *(np.kron(level_weights[a], level_weights[b]) for a, b in self.pairs),
        ]
        parts += [np.zeros(len(values)) for _, values in self.blocks]
        return np.concatenate(parts)

    def at(self, levels: Mapping[str, str]) -> dict[str, Array]:
        """The weights of these levels."""
        return {
            name: np.eye(len(self.levels[name]))[self.levels[name].index(level)]
            for name, level in levels.items()
            if name in self.levels
        }

    def contrast(self, factors: Sequence[str], levels: Sequence[tuple[str, str]]) -> Array:
        """The columns' weights of a difference of levels, or of the differences of two factors together."""
        (level, against), *second = levels
        if not second:
            return self.row(self.at({factors[0]: level})) - self.row(self.at({factors[0]: against}))
        parts = [
            self.row(self.at({factors[0]: level, factors[1]: companion}))
            - self.row(self.at({factors[0]: against, factors[1]: companion}))
            for companion in second[0]
        ]
        return np.asarray(parts[0] - parts[1])

    def features(self, points: Sequence[Point]) -> Array:
        """The columns [n, p] of each point."""
        rows = np.array([self.row(self.at(point.levels)) for point in points])
        start = rows.shape[1] - sum(len(values) for _, values in self.blocks)
        for name, values in self.blocks:
            for index, point in enumerate(points):
                rows[index, start + values.index(point.replicate[name])] = 1.0
            start += len(values)
        return rows

    def groups(self) -> list[Group]:
        """The columns' priors."""
        column_groups = [Group(0, 1, ANYWHERE)]
        for names in self.levels.values():
            column_groups.append(_next(column_groups, len(names), MAIN))
        for a, b in self.pairs:
            column_groups.append(
                _next(column_groups, len(self.levels[a]) * len(self.levels[b]), TOGETHER[0], TOGETHER[1])
            )
        for _, values in self.blocks:
            column_groups.append(_next(column_groups, len(values), REPEATED[0], REPEATED[1]))
        return column_groups


def _next(groups: Sequence[Group], size: int, scale: float, doubt: float = 0.0) -> Group:
    return Group(groups[-1].last, groups[-1].last + size, scale, doubt)


def design_of(points: Sequence[Point]) -> Design:
    """The model that these points can carry. Factors of one level have no part in it."""
    levels = _levels(points)
    main = Design(levels, (), (), frozenset(), 0)
    rank = _rank(main.features(points))
    free = 1 + sum(len(names) - 1 for names in levels.values())
    confounded = frozenset() if rank == free else frozenset(_confounded(points, levels))
    pairs: list[tuple[str, str]] = []
    for a, b in combinations(levels, 2):
        full = len({(point.levels[a], point.levels[b]) for point in points}) == len(levels[a]) * len(levels[b])
        wider = Design(levels, (*pairs, (a, b)), (), frozenset(), 0)
        more = _rank(wider.features(points))
        if full and more == rank + (len(levels[a]) - 1) * (len(levels[b]) - 1) and more < len(points):
            pairs.append((a, b))
            rank = more
    return Design(levels, tuple(pairs), _blocks(points), confounded, len(points) - rank)


def _levels(points: Sequence[Point]) -> dict[str, tuple[str, ...]]:
    names = dict.fromkeys(name for point in points for name in point.levels)
    everywhere = [name for name in names if all(name in point.levels for point in points)]
    by_factor = {name: tuple(dict.fromkeys(point.levels[name] for point in points)) for name in everywhere}
    return {name: members for name, members in by_factor.items() if len(members) > 1}


def _confounded(points: Sequence[Point], levels: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The factors that add fewer columns than they have free levels to those of all others."""
    whole = _rank(Design(levels, (), (), frozenset(), 0).features(points))
    factors = []
    for name, names in levels.items():
        rest = {factor: values for factor, values in levels.items() if factor != name}
        if whole - _rank(Design(rest, (), (), frozenset(), 0).features(points)) < len(names) - 1:
            factors.append(name)
    return factors


def _blocks(points: Sequence[Point]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What repeats cells and is shared by several points; of two that go together, one."""
    blocks: list[tuple[str, tuple[str, ...]]] = []
    patterns: set[tuple[int, ...]] = set()
    for name in dict.fromkeys(name for point in points for name in point.replicate):
        repeats = [point.replicate.get(name) for point in points]
        values = tuple(dict.fromkeys(value for value in repeats if value is not None))
        if None in repeats or not 1 < len(values) < len(points):
            continue
        pattern = tuple(values.index(value) for value in repeats if value is not None)
        if pattern not in patterns:
            patterns.add(pattern)
            blocks.append((name, values))
    return tuple(blocks)


def _rank(matrix: Array) -> int:
    return int(np.linalg.matrix_rank(matrix))
