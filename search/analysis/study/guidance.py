"""Guidance of a study: which factors move the best T, and by how much. The front door of this room."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from search import units
from search.analysis.study import guidance_words, intervals, question_words
from search.analysis.study.cells import Cell, Optimum
from search.analysis.study.design import RESIDUAL, Point, design_of
from search.analysis.study.effects import Effects
from search.analysis.study.gibbs import Array, sample
from search.analysis.study.intervals import Range
from search.analysis.study.likelihood import grid_likelihood
from search.analysis.study.questions import questions_of
from search.states import JobState
from thermowell.api.answers import Interval
from thermowell.api.guidance import CellGuide, FactorGuide, Guidance, InteractionGuide, LevelGuide, Located

OPTIMIZER = "optimizer"
SPREADS = 16
"""How many deviations stand for what is known of it."""
FINISHED = JobState.COMPLETED.value
Key = tuple[tuple[str, str], ...]


def compute_guidance(
    study: str, cells: Sequence[Cell], *, confidence: float = 0.9, practical: float = 0.5, seed: int = 0
) -> Guidance:
    """The guidance of these jobs, finished or not. The same cells and seed give the same document.

    `practical` is what counts as an effect that matters, in octaves of T. Where every finished job has searched the
    same optimizers, two at least, and none of the factors is the optimizer, it is a factor too: within jobs.
    Takes a second for a dozen jobs, and two more where their runs are at hand.
    """
    metric, unit = next(((cell.metric, cell.unit) for cell in cells if cell.quality is not None), ("accuracy", None))
    located_cells = [cell for cell in cells if cell.best is not None and _sound(cell.best)]
    effects = _effects(located_cells, confidence, practical, seed)
    names = guidance_words.display_names(list(dict.fromkeys(name for cell in cells for name in cell.levels)))
    names = names if effects is None else names | guidance_words.display_names(list(effects.design.levels))
    factors = [] if effects is None else _factors(effects, located_cells, names, seed)
    interactions = [] if effects is None else _interactions(effects, names)
    rows = _cells(cells, located_cells, _spreads(effects), confidence, seed)
    design = None if effects is None else effects.design
    questions = questions_of(cells, confidence, units.measure(metric, unit), seed)
    return Guidance(
        study=study,
        metric=metric,
        unit=unit,
        confidence=confidence,
        practical=practical,
        searched=_searched(located_cells),
        factors=factors,
        interactions=interactions,
        cells=rows,
        spread=None if effects is None or effects.design.spare < 1 else effects.spread(),
        summary=guidance_words.summary(factors, interactions, rows, units.measure(metric, unit)),
        limits=guidance_words.limits(cells, factors, design, names),
        method=" ".join([guidance_words.METHOD, *([question_words.METHOD] if questions else [])]),
        questions=questions,
    )


def _sound(optimum: Optimum) -> bool:
    """Whether its numbers are numbers: shares that sum to something, temperatures that rise."""
    numbers = [*optimum.temperatures, *optimum.shares]
    rising = all(a < b for a, b in zip(optimum.temperatures, optimum.temperatures[1:], strict=False))
    sized = len(optimum.shares) == len(optimum.temperatures) > 2 and min(numbers, default=-1.0) >= 0
    return all(map(math.isfinite, numbers)) and rising and sized and sum(optimum.shares) > 0


def _searched(cells: Sequence[Cell]) -> Range | None:
    ranges = [cell.best.temperatures for cell in cells if cell.best is not None]
    return (
        (min(temperatures[0] for temperatures in ranges), max(temperatures[-1] for temperatures in ranges))
        if ranges
        else None
    )


def _effects(located_cells: Sequence[Cell], confidence: float, practical: float, seed: int) -> Effects | None:
    """The model of what is known; None where nothing can be compared."""
    searched = _searched(located_cells)
    points, optima = _points(located_cells)
    if searched is None or len(points) < 2:
        return None
    design = design_of(points)
    if not design.levels:
        return None
    rng = np.random.default_rng([seed, 1])
    posterior = sample(design.features(points), design.groups(), grid_likelihood(optima), RESIDUAL, rng)
    return Effects(design, points, posterior, searched, confidence, practical)


def _points(cells: Sequence[Cell]) -> tuple[list[Point], list[Optimum]]:
    """What the model is fitted on: jobs, or each job's optimizers."""
    shared = set.intersection(*(set(cell.by_optimizer) for cell in cells)) if cells else set()
    optimizers = [name for name in (cells[0].by_optimizer if cells else ()) if name in shared]
    optimizers = [name for name in optimizers if all(_sound(cell.by_optimizer[name]) for cell in cells)]
    crossed = any(factor.rpartition(".")[2] == OPTIMIZER for cell in cells for factor in cell.levels)
    if len(optimizers) < 2 or crossed:
        return (
            [Point(cell.levels, cell.replicate) for cell in cells],
            [cell.best for cell in cells if cell.best is not None],
        )
    pairs = [(cell, name) for cell in cells for name in optimizers]
    points = [Point({**cell.levels, OPTIMIZER: name}, {**cell.replicate, "job": cell.job_id}) for cell, name in pairs]
    return points, [cell.by_optimizer[name] for cell, name in pairs]


def _factors(effects: Effects, cells: Sequence[Cell], names: dict[str, str], seed: int) -> list[FactorGuide]:
    shares = effects.shares()
    guides = []
    for factor, levels in effects.design.levels.items():
        contrasts = effects.contrasts(factor)
        verdicts = [contrast.verdict for contrast in contrasts]
        settled = all(verdict == "negligible" for verdict in verdicts)
        why_not = "" if effects.told(factor, levels) else ", from too few jobs for a verdict"
        guides.append(
            FactorGuide(
                factor=factor,
                name=names[factor],
                levels=[_level(effects, cells, factor, level, seed) for level in levels],
                contrasts=contrasts,
                share=shares[factor],
                verdict="moves" if "moves" in verdicts else "negligible" if settled else "cannot tell",
                words=guidance_words.factor_words(names[factor], contrasts, why_not),
            )
        )
    return guides


def _level(effects: Effects, cells: Sequence[Cell], factor: str, level: str, seed: int) -> LevelGuide:
    matching = [cell for cell in cells if cell.levels.get(factor) == level]  # none where the optimizer is within jobs
    gains = [gain for cell in matching if (gain := intervals.gain(cell)) is not None]
    between = intervals.within_cells([[g.mean for c in group if (g := intervals.gain(c))] for group in _grouped(cells)])
    return LevelGuide(
        level=level,
        jobs=sum(point.levels[factor] == level for point in effects.points),
        best=intervals.located(effects.level(factor, level), effects.searched, effects.confidence),
        gain=intervals.average(gains, between, effects.confidence, np.random.default_rng([seed, 2])),
    )


def _interactions(effects: Effects, names: dict[str, str]) -> list[InteractionGuide]:
    shares = effects.shares()
    guides = []
    for pair in effects.design.pairs:
        levels, together = effects.corner(pair)
        low, high = np.quantile(together, [(1 - effects.confidence) / 2, (1 + effects.confidence) / 2])
        sufficient = effects.design.spare > 0 and not effects.design.confounded & set(pair)
        interaction = InteractionGuide(
            factors=pair,
            levels=levels,
            octaves=float(np.median(together)),
            interval=Interval(low=float(low), high=float(high), confidence=effects.confidence),
            share=shares[pair],
            verdict=effects.verdict(together, effects.corners(pair)) if sufficient else "cannot tell",
            words="",
        )
        words = guidance_words.interaction_words((names[pair[0]], names[pair[1]]), interaction)
        guides.append(interaction.model_copy(update={"words": words}))
    return guides


def _grouped(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The jobs of each cell of the design, in the order in which cells were given."""
    groups: dict[Key, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(tuple(sorted(cell.levels.items())), []).append(cell)
    return list(groups.values())


def _cells(
    cells: Sequence[Cell], all_located: Sequence[Cell], spreads: Array, confidence: float, seed: int
) -> list[CellGuide]:
    searched = _searched(all_located)
    telling = {cell.job_id for cell in all_located}
    groups = _grouped(cells)
    finished = [[cell for cell in group if cell.state == FINISHED] for group in groups]
    tell = [[cell for cell in group if cell.job_id in telling] for group in groups]
    qualities = intervals.within_cells(
        [[q.mean for c in group_finished if (q := intervals.quality(c))] for group_finished in finished]
    )
    gains = intervals.within_cells(
        [[g.mean for c in group_finished if (g := intervals.gain(c))] for group_finished in finished]
    )
    rows: list[CellGuide] = []
    for group, group_finished, located_cells in zip(groups, finished, tell, strict=True):
        rng = np.random.default_rng([seed, 3, len(rows)])
        best = [cell.best for cell in located_cells if cell.best is not None]
        rows.append(
            CellGuide(
                levels=dict(group[0].levels),
                jobs=[cell.job_id for cell in group],
                finished=len(group_finished),
                best=None if searched is None else _located(best, spreads, searched, confidence, rng),
                by_optimizer={}
                if searched is None
                else _by_optimizer(located_cells, spreads, searched, confidence, rng),
                quality=intervals.average(
                    [q for c in group_finished if (q := intervals.quality(c))], qualities, confidence, rng
                ),
                tested=bool(group_finished) and all(cell.tested for cell in group_finished),
                gain=intervals.average([g for c in group_finished if (g := intervals.gain(c))], gains, confidence, rng),
            )
        )
    return rows


def _spreads(effects: Effects | None) -> Array:
    """Octaves: possible deviations [SPREADS] of a job from the mean of its cell."""
    if effects is None or effects.design.spare < 1:
        return RESIDUAL[0] * np.geomspace(0.5, 4, SPREADS)
    return np.asarray(np.sqrt(np.quantile(effects.between(), (np.arange(SPREADS) + 0.5) / SPREADS)))


def _located(
    optima: Sequence[Optimum], spreads: Array, searched: Range, confidence: float, rng: np.random.Generator
) -> Located | None:
    if not optima:
        return None
    return intervals.located(intervals.of_jobs(optima, spreads, rng), searched, confidence)


def _by_optimizer(
    cells: Sequence[Cell], spreads: Array, searched: Range, confidence: float, rng: np.random.Generator
) -> dict[str, Located]:
    names = dict.fromkeys(name for cell in cells for name in cell.by_optimizer)
    places = {}
    for name in names if len(names) > 1 else ():
        optima = [c.by_optimizer[name] for c in cells if name in c.by_optimizer and _sound(c.by_optimizer[name])]
        place = _located(optima, spreads, searched, confidence, rng)
        if place is not None:
            places[name] = place
    return places
