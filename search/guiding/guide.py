"""Guidance of a study: which factors move the best T, and by how much. The front door of this room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from search.answer import Interval
from search.guiding import guidance_words, located
from search.guiding.cells import Cell, Optimum
from search.guiding.design import RESIDUAL, Point, design_of
from search.guiding.documents import CellGuide, FactorGuide, Guidance, InteractionGuide, LevelGuide, Located
from search.guiding.effects import Effects
from search.guiding.likelihood import gridded
from search.guiding.located import Range
from search.guiding.sampler import Array, sample
from search.states import JobState

OPTIMIZER = "optimizer"
SPREADS = 16
"""How many deviations stand for what is known of it."""
FINISHED = JobState.COMPLETED.value
Key = tuple[tuple[str, str], ...]


def guide(
    study: str, cells: Sequence[Cell], *, confidence: float = 0.9, practical: float = 0.5, seed: int = 0
) -> Guidance:
    """The guidance of these jobs, finished or not. The same cells and seed give the same document.

    `practical` is what counts as an effect that matters, in octaves of T. Where every finished job has searched the
    same optimizers, two at least, and none of the factors is the optimizer, it is a factor too: within jobs.
    Takes a second for a dozen jobs.
    """
    metric = next((cell.metric for cell in cells if cell.quality is not None), "accuracy")
    known = [cell for cell in cells if cell.best is not None and _sound(cell.best)]
    effects = _effects(known, confidence, practical, seed)
    names = guidance_words.named(list(dict.fromkeys(name for cell in cells for name in cell.levels)))
    names = names if effects is None else names | guidance_words.named(list(effects.design.levels))
    factors = [] if effects is None else _factors(effects, known, names, seed)
    interactions = [] if effects is None else _interactions(effects, names)
    rows = _cells(cells, known, _spreads(effects), confidence, seed)
    design = None if effects is None else effects.design
    return Guidance(
        study=study,
        metric=_metric(metric),
        confidence=confidence,
        practical=practical,
        searched=_searched(known),
        factors=factors,
        interactions=interactions,
        cells=rows,
        spread=None if effects is None or effects.design.spare < 1 else effects.spread(),
        summary=guidance_words.summary(factors, interactions, rows, metric),
        limits=guidance_words.limits(cells, factors, design, names),
        method=guidance_words.METHOD,
    )


def _metric(name: str) -> Literal["accuracy", "nll", "ece"]:
    return "nll" if name == "nll" else "ece" if name == "ece" else "accuracy"


def _sound(optimum: Optimum) -> bool:
    """Whether its numbers are numbers: shares that sum to something, temperatures that rise."""
    numbers = [*optimum.temperatures, *optimum.shares]
    rising = all(a < b for a, b in zip(optimum.temperatures, optimum.temperatures[1:], strict=False))
    sized = len(optimum.shares) == len(optimum.temperatures) > 2 and min(numbers, default=-1.0) >= 0
    return all(map(math.isfinite, numbers)) and rising and sized and sum(optimum.shares) > 0


def _searched(known: Sequence[Cell]) -> Range | None:
    ranges = [cell.best.temperatures for cell in known if cell.best is not None]
    return (min(one[0] for one in ranges), max(one[-1] for one in ranges)) if ranges else None


def _effects(known: Sequence[Cell], confidence: float, practical: float, seed: int) -> Effects | None:
    """The model of what is known; None where nothing can be compared."""
    searched = _searched(known)
    points, optima = _points(known)
    if searched is None or len(points) < 2:
        return None
    design = design_of(points)
    if not design.levels:
        return None
    rng = np.random.default_rng([seed, 1])
    posterior = sample(design.features(points), design.groups(), gridded(optima), RESIDUAL, rng)
    return Effects(design, points, posterior, searched, confidence, practical)


def _points(known: Sequence[Cell]) -> tuple[list[Point], list[Optimum]]:
    """What the model is fitted on: jobs, or each job's optimizers."""
    shared = set.intersection(*(set(cell.by_optimizer) for cell in known)) if known else set()
    optimizers = [name for name in (known[0].by_optimizer if known else ()) if name in shared]
    optimizers = [name for name in optimizers if all(_sound(cell.by_optimizer[name]) for cell in known)]
    taken = any(factor.rpartition(".")[2] == OPTIMIZER for cell in known for factor in cell.levels)
    if len(optimizers) < 2 or taken:
        return (
            [Point(cell.levels, cell.replicate) for cell in known],
            [cell.best for cell in known if cell.best is not None],
        )
    both = [(cell, name) for cell in known for name in optimizers]
    points = [Point({**cell.levels, OPTIMIZER: name}, {**cell.replicate, "job": cell.job_id}) for cell, name in both]
    return points, [cell.by_optimizer[name] for cell, name in both]


def _factors(effects: Effects, known: Sequence[Cell], names: dict[str, str], seed: int) -> list[FactorGuide]:
    shares = effects.shares()
    found = []
    for factor, levels in effects.design.levels.items():
        contrasts = effects.contrasts(factor)
        verdicts = [one.verdict for one in contrasts]
        settled = all(verdict == "negligible" for verdict in verdicts)
        why_not = "" if effects.told(factor, levels) else ", from too few jobs for a verdict"
        found.append(
            FactorGuide(
                factor=factor,
                name=names[factor],
                levels=[_level(effects, known, factor, level, seed) for level in levels],
                contrasts=contrasts,
                share=shares[factor],
                verdict="moves" if "moves" in verdicts else "negligible" if settled else "cannot tell",
                words=guidance_words.factor_words(names[factor], contrasts, why_not),
            )
        )
    return found


def _level(effects: Effects, known: Sequence[Cell], factor: str, level: str, seed: int) -> LevelGuide:
    own = [cell for cell in known if cell.levels.get(factor) == level]  # none where the optimizer is within jobs
    gains = [found for cell in own if (found := located.gain(cell)) is not None]
    between = located.within_cells([[g.mean for c in group if (g := located.gain(c))] for group in _grouped(known)])
    return LevelGuide(
        level=level,
        jobs=sum(point.levels[factor] == level for point in effects.points),
        best=located.located(effects.level(factor, level), effects.searched, effects.confidence),
        gain=located.averaged(gains, between, effects.confidence, np.random.default_rng([seed, 2])),
    )


def _interactions(effects: Effects, names: dict[str, str]) -> list[InteractionGuide]:
    shares = effects.shares()
    found = []
    for pair in effects.design.pairs:
        levels, together = effects.corner(pair)
        low, high = np.quantile(together, [(1 - effects.confidence) / 2, (1 + effects.confidence) / 2])
        told = effects.design.spare > 0 and not effects.design.confounded & set(pair)
        one = InteractionGuide(
            factors=pair,
            levels=levels,
            octaves=float(np.median(together)),
            interval=Interval(low=float(low), high=float(high), confidence=effects.confidence),
            share=shares[pair],
            verdict=effects.verdict(together, effects.corners(pair)) if told else "cannot tell",
            words="",
        )
        words = guidance_words.interaction_words((names[pair[0]], names[pair[1]]), one)
        found.append(one.model_copy(update={"words": words}))
    return found


def _grouped(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The jobs of each cell of the design, in the order in which cells were given."""
    groups: dict[Key, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(tuple(sorted(cell.levels.items())), []).append(cell)
    return list(groups.values())


def _cells(
    cells: Sequence[Cell], known: Sequence[Cell], spreads: Array, confidence: float, seed: int
) -> list[CellGuide]:
    searched = _searched(known)
    telling = {cell.job_id for cell in known}
    groups = _grouped(cells)
    finished = [[cell for cell in group if cell.state == FINISHED] for group in groups]
    tell = [[cell for cell in group if cell.job_id in telling] for group in groups]
    qualities = located.within_cells([[q.mean for c in own if (q := located.quality(c))] for own in finished])
    gains = located.within_cells([[g.mean for c in own if (g := located.gain(c))] for own in finished])
    rows: list[CellGuide] = []
    for group, own, saying in zip(groups, finished, tell, strict=True):
        rng = np.random.default_rng([seed, 3, len(rows)])
        best = [cell.best for cell in saying if cell.best is not None]
        rows.append(
            CellGuide(
                levels=dict(group[0].levels),
                jobs=[cell.job_id for cell in group],
                finished=len(own),
                best=None if searched is None else _located(best, spreads, searched, confidence, rng),
                by_optimizer={} if searched is None else _by_optimizer(saying, spreads, searched, confidence, rng),
                quality=located.averaged([q for c in own if (q := located.quality(c))], qualities, confidence, rng),
                tested=bool(own) and all(cell.tested for cell in own),
                gain=located.averaged([g for c in own if (g := located.gain(c))], gains, confidence, rng),
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
    return located.located(located.of_jobs(optima, spreads, rng), searched, confidence)


def _by_optimizer(
    saying: Sequence[Cell], spreads: Array, searched: Range, confidence: float, rng: np.random.Generator
) -> dict[str, Located]:
    names = dict.fromkeys(name for cell in saying for name in cell.by_optimizer)
    found = {}
    for name in names if len(names) > 1 else ():
        own = [c.by_optimizer[name] for c in saying if name in c.by_optimizer and _sound(c.by_optimizer[name])]
        place = _located(own, spreads, searched, confidence, rng)
        if place is not None:
            found[name] = place
    return found
