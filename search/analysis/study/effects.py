"""Effects of factors on the best T, read off the draws of the model's coefficients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from search.analysis.study.design import Design, Point
from search.analysis.study.gibbs import Array, Posterior
from search.analysis.study.likelihood import STEP
from thermowell.api.answers import Interval
from thermowell.api.guidance import Contrast, Measured, Verdict


@dataclass(frozen=True, slots=True)
class Effects:
    """A study's posterior, and what is asked of it. `searched` are temperatures; `practical` is in octaves."""

    design: Design
    points: Sequence[Point]
    posterior: Posterior
    searched: tuple[float, float]
    confidence: float
    practical: float

    def draws(self, weights: Mapping[str, Array]) -> Array:
        """log2 T* [draws] at these weights of the levels."""
        return np.asarray(self.posterior.coefficients @ self.design.row(weights))

    def level(self, factor: str, level: str) -> Array:
        """log2 T* [draws] of a level, averaged over the levels of all other factors."""
        return self.draws(self.design.at({factor: level}))

    def contrasts(self, factor: str) -> list[Contrast]:
        """Each level against the first. Of several, each is held to a part of the doubt, so that all hold together."""
        first, *levels = self.design.levels[factor]
        return [self._contrast(factor, level, first, len(levels)) for level in levels]

    def _contrast(self, factor: str, level: str, against: str, several: int) -> Contrast:
        level_draws, reference_draws = self.level(factor, level), self.level(factor, against)
        moved = level_draws - reference_draws
        low, high = _ends(moved, self.confidence)
        tail = (1 - self.confidence) / 2
        beyond = [self._beyond(level_draws), self._beyond(reference_draws)]
        sufficient = self.told(factor, (level, against))
        return Contrast(
            level=level,
            against=against,
            octaves=float(np.median(moved)),
            interval=Interval(low=low, high=high, confidence=self.confidence),
            ratio=float(2 ** np.median(moved)),
            ratio_interval=Interval(low=2**low, high=2**high, confidence=self.confidence),
            open_low=beyond[0][0] > tail or beyond[1][1] > tail,
            open_high=beyond[0][1] > tail or beyond[1][0] > tail,
            above_zero=float((moved > 0).mean()),
            practical=float((np.abs(moved) > self.practical).mean()),
            verdict=self.verdict(moved, several) if sufficient else "cannot tell",
        )

    def _beyond(self, draws: Array) -> tuple[float, float]:
        low, high = (math.log2(end) for end in self.searched)
        return float((draws <= low + STEP / 2).mean()), float((draws >= high - STEP / 2).mean())

    def told(self, factor: str, levels: Sequence[str]) -> bool:
        """Whether the design can tell at all: two jobs of each level, a degree of freedom, nothing confounded."""
        counts = [sum(point.levels[factor] == level for point in self.points) for level in levels]
        return min(counts) > 1 and self.design.spare > 0 and factor not in self.design.confounded

    def verdict(self, moved: Array, several: int = 1) -> Verdict:
        """Beyond doubt, of no practical size beyond doubt, or neither; the doubt is shared by so `several`."""
        confidence = 1 - (1 - self.confidence) / several
        low, high = _ends(moved, confidence)
        if low > 0 or high < 0:
            return "moves"
        return "negligible" if float((np.abs(moved) < self.practical).mean()) >= confidence else "cannot tell"

    def corner(self, pair: tuple[str, str]) -> tuple[tuple[tuple[str, str], tuple[str, str]], Array]:
        """The two levels of each factor between which they act together most, and by how much [draws], in octaves."""
        a, b = pair
        best: tuple[float, tuple[tuple[str, str], tuple[str, str]], Array] | None = None
        for first in combinations(self.design.levels[a], 2):
            for second in combinations(self.design.levels[b], 2):
                cells = [[self.draws(self.design.at({a: x, b: y})) for x in first] for y in second]
                together = (cells[1][1] - cells[1][0]) - (cells[0][1] - cells[0][0])
                if best is None or abs(float(np.median(together))) > best[0]:
                    best = abs(float(np.median(together))), (first, second), together
        assert best is not None  # two levels each, at least
        return best[1], best[2]

    def corners(self, pair: tuple[str, str]) -> int:
        """Among how many `corner` has looked, but for those that follow from the others."""
        a, b = pair
        return (len(self.design.levels[a]) - 1) * (len(self.design.levels[b]) - 1)

    def shares(self) -> dict[str | tuple[str, str], Measured]:
        """By factor and by pair, the part of the variance of log2 T* over the whole design and its repeats."""
        parts: dict[str | tuple[str, str], Array] = {}
        for factor, levels in self.design.levels.items():
            parts[factor] = np.var([self.level(factor, level) for level in levels], axis=0)
        for a, b in self.design.pairs:
            rows, columns = self.design.levels[a], self.design.levels[b]
            table = np.array([[self.draws(self.design.at({a: x, b: y})) for y in columns] for x in rows])
            off = table - table.mean(axis=0, keepdims=True) - table.mean(axis=1, keepdims=True)
            parts[a, b] = np.var(off + table.mean(axis=(0, 1), keepdims=True), axis=(0, 1))
        total = self.between() + sum(parts.values())
        return {name: _measured(part / total, self.confidence) for name, part in parts.items()}

    def spread(self) -> Measured:
        """Octaves: the deviation between jobs of the same levels, over seeds, splits and teachers."""
        return _measured(np.sqrt(self.between()), self.confidence)

    def between(self) -> Array:
        """The square of that [draws]."""
        first = 1 + len(self.design.levels) + len(self.design.pairs)
        return np.asarray(self.posterior.residual**2 + (self.posterior.deviations[:, first:] ** 2).sum(axis=1))


def _ends(draws: Array, confidence: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _measured(draws: Array, confidence: float) -> Measured:
    low, high = _ends(draws, confidence)
    return Measured(mean=float(draws.mean()), interval=Interval(low=low, high=high, confidence=confidence))
