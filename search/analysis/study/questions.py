"""What a wrong T costs, how wide the good range is and what distilling gains, in every cell, and what moves these.

Each job's numbers come from all of its runs (curves, quantities) or, where all jobs are whole grids of one form, from
one surface of all of them (surface); over jobs they are a linear mixed model as the best T is, with what repeats cells
as random effects.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis.study import question_words
from search.analysis.study.cells import Cell
from search.analysis.study.curves import Curves, curves_of
from search.analysis.study.design import Design, Point, design_of
from search.analysis.study.effects import Effects
from search.analysis.study.gibbs import CHAINS, Array, Between, sample
from search.analysis.study.quantities import COSTS, GAIN, WIDTH, Quantity, Topic, quantities, quantities_together
from search.analysis.study.surface import curves_together
from search.analysis.study.tables import tables_of
from search.units import Measure
from thermowell.api.answers import Interval
from thermowell.api.guidance import Effect, Measured, Question, Size, SizeVerdict

DELTA = 0.002
"""The margin of costs and gains, unless jobs say that more does not matter."""
COARSE = {"digits": 0.01}
"""Of data whose validation part has so few images that nobody could tell less."""
WIDTHS = math.log2(1.5)
"""Octaves: the margin of widths."""
SPARE = (0.25, 1.0)
"""Units and degrees of freedom, the prior of what jobs of the same levels differ by: half of the margin, vaguely."""
NOWHERE = (2.0**-500, 2.0**500)
"""The ends of what was searched, of numbers that nothing censors."""


@dataclass(frozen=True, slots=True)
class Told:
    """A job with what its runs tell."""

    cell: Cell
    quantities: Mapping[Topic, Quantity]


@dataclass(frozen=True, slots=True)
class Alone(Told):
    """A job that was read by itself."""

    curves: Curves


def margin_of(cells: Sequence[Cell]) -> float:
    """Which differences of quality do not matter in this study: the most that its jobs or their data say."""
    coarse = [COARSE.get(cell.data, 0.0) for cell in cells if cell.metric in ("accuracy", "ece")]
    return max([DELTA, *coarse, *(cell.delta for cell in cells if cell.delta is not None)])


def questions_of(cells: Sequence[Cell], confidence: float, measure: Measure, seed: int) -> list[Question]:
    """All questions that these jobs tell of; the same cells and seed give the same."""
    margin = margin_of(cells)
    jobs = jobs_together(cells, margin, seed) or jobs_that_tell(cells, margin, seed)
    return [inquiry.question(measure) for inquiry in inquiries(jobs, margin, confidence, seed)]


def jobs_together(cells: Sequence[Cell], margin: float, seed: int) -> list[Told]:
    """Those that have runs, read off one surface; none where their runs are not whole grids of one form."""
    ready = [(cell, cell.runs) for cell in cells if cell.runs is not None]
    tables = tables_of([runs for _, runs in ready])
    if tables is None:
        return []
    points = [_point(cell) for cell, _ in ready]
    curves = curves_together(tables, design_of(points), points, np.random.default_rng([seed, 5]))
    return [Told(cell, quantities_together(curve, margin)) for (cell, _), curve in zip(ready, curves, strict=True)]


def jobs_that_tell(cells: Sequence[Cell], margin: float, seed: int) -> list[Alone]:
    """Those whose runs tell something, each by itself, with what that is."""
    jobs = []
    for place, cell in enumerate(cells):
        curves = None if cell.runs is None else curves_of(cell.runs, np.random.default_rng([seed, 5, place]))
        if curves is not None:
            jobs.append(Alone(cell, quantities(curves, margin), curves))
    return jobs


def inquiries(jobs: Sequence[Told], margin: float, confidence: float, seed: int) -> Iterator[Inquiry]:
    """Every question that some of these jobs tell of, put to these."""
    for topic in (*COSTS, WIDTH, GAIN):
        telling = [job for job in jobs if topic in job.quantities]
        if telling:
            yield Inquiry.of(topic, telling, WIDTHS if topic == WIDTH else margin, confidence, seed)


@dataclass(frozen=True, slots=True)
class Inquiry:
    """One question, put to jobs: the model of their answers, in units of `unit`."""

    topic: Topic
    jobs: Sequence[Told]
    margin: float
    unit: float
    effects: Effects
    seed: int

    @classmethod
    def of(cls, topic: Topic, jobs: Sequence[Told], margin: float, confidence: float, seed: int) -> Inquiry:
        """The model of these jobs, all of which tell of the topic."""
        points = [_point(job.cell) for job in jobs]
        design = design_of(points)
        sizes = [job.quantities[topic] for job in jobs]
        halves, draws = (np.array([getattr(size, name) for size in sizes]) for name in ("by_halves", "by_draws"))
        unit = max(2 * margin, float(np.std((halves + draws) / 2)))
        deviations = np.maximum([size.deviation for size in sizes], 1e-3 * margin)
        evidence = Between(halves / unit, draws / unit, deviations / unit)
        rng = np.random.default_rng([seed, 6, COSTS.index(topic) if topic in COSTS else 9])
        posterior = sample(design.features(points), design.groups(), evidence, SPARE, rng)
        model = Effects(design, points, posterior, NOWHERE, confidence, margin / unit)
        return cls(topic, jobs, margin, unit, model, seed)

    @property
    def design(self) -> Design:
        """Of the jobs that tell."""
        return self.effects.design

    def can_tell(self, factors: Sequence[str], levels: Sequence[tuple[str, str]]) -> bool:
        """Whether the design can tell of an effect at all, however many trials there are."""
        if len(factors) == 1:
            return self.effects.told(factors[0], levels[0])
        return self.design.spare > 0 and not self.design.confounded & set(factors)

    def question(self, measure: Measure) -> Question:
        """The document of all that is known of it."""
        document = Question(
            name=self.topic.name,
            temperature=self.topic.temperature,
            margin=self.margin,
            cells=list(self._cells()),
            levels=list(self._levels()),
            effects=[*self._contrasts(), *self._interactions()],
            within=math.sqrt(float(np.mean([job.quantities[self.topic].deviation ** 2 for job in self.jobs]))),
            between=float(np.median(np.sqrt(self.effects.between()))) * self.unit if self.design.spare > 0 else None,
            runs=float(np.median([len(job.cell.runs.values) for job in self.jobs if job.cell.runs is not None])),
            words="",
        )
        return document.model_copy(update={"words": question_words.words(document, measure)})

    def _cells(self) -> Iterator[Size]:
        groups: dict[tuple[tuple[str, str], ...], list[Told]] = {}
        for job in self.jobs:
            groups.setdefault(tuple(sorted(job.cell.levels.items())), []).append(job)
        rng = np.random.default_rng([self.seed, 7])
        between = self.effects.between() * self.unit**2 if self.design.spare > 0 else np.zeros(1)
        for group in groups.values():
            yield self._size(dict(group[0].cell.levels), len(group), _together(group, self.topic, between, rng))

    def _levels(self) -> Iterator[Size]:
        for factor, levels in self.design.levels.items():
            for level in levels:
                jobs = sum(point.levels[factor] == level for point in self.effects.points)
                yield self._size({factor: level}, jobs, self.effects.level(factor, level) * self.unit)

    def _size(self, levels: dict[str, str], jobs: int, draws: Array) -> Size:
        if self.topic is not GAIN:  # neither a cost nor a width is below nothing
            draws = np.maximum(draws, 0.0)
        measured = self._measured(draws)
        verdict = None if self.topic is WIDTH else self._verdict(measured)
        return Size(levels=levels, jobs=jobs, measured=measured, verdict=verdict)

    def _verdict(self, measured: Measured) -> SizeVerdict:
        assert measured.interval is not None  # it comes from draws
        low, high = measured.interval.low, measured.interval.high
        if low > self.margin or high < -self.margin:
            return "matters"
        return "negligible" if -self.margin <= low and high <= self.margin else "cannot tell"

    def _measured(self, draws: Array) -> Measured:
        confidence = self.effects.confidence
        low, middle, high = np.quantile(draws, [(1 - confidence) / 2, 0.5, (1 + confidence) / 2])
        interval = Interval(low=float(low), high=float(high), confidence=confidence)
        return Measured(mean=float(middle), interval=interval)

    def _contrasts(self) -> Iterator[Effect]:
        for factor, (first, *later) in self.design.levels.items():
            for level in later:
                moved = self.effects.level(factor, level) - self.effects.level(factor, first)
                sufficient = self.can_tell([factor], [(level, first)])
                yield Effect(
                    factors=[factor],
                    levels=[(level, first)],
                    measured=self._measured(moved * self.unit),
                    verdict=self.effects.verdict(moved, len(later)) if sufficient else "cannot tell",
                )

    def _interactions(self) -> Iterator[Effect]:
        for pair in self.design.pairs:
            corner, together = self.effects.corner(pair)
            levels = [(high, low) for low, high in corner]
            sufficient = self.can_tell(pair, levels)
            yield Effect(
                factors=list(pair),
                levels=levels,
                measured=self._measured(together * self.unit),
                verdict=self.effects.verdict(together, self.effects.corners(pair)) if sufficient else "cannot tell",
            )


def _point(cell: Cell) -> Point:
    return Point(cell.levels, cell.replicate)


def _together(group: Sequence[Told], topic: Topic, between: Array, rng: np.random.Generator) -> Array:
    """Draws of what the jobs of one cell say together: their mean, and what others like them would differ by."""
    sizes = [job.quantities[topic] for job in group]
    place = np.repeat(np.linspace(0, 1, CHAINS), 100)
    halves, draws = (np.mean([getattr(size, name) for size in sizes]) for name in ("by_halves", "by_draws"))
    chance = sum(size.deviation**2 for size in sizes) / len(sizes) ** 2
    variance = chance + rng.choice(between, len(place)) / len(sizes)
    return np.asarray(halves + place * (draws - halves) + np.sqrt(variance) * rng.standard_normal(len(place)))
