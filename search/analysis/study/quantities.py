"""Quantities of a job's curve: what a wrong T costs, how wide the good range is, what distilling gains over labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis.study.curves import Curves
from search.analysis.study.gibbs import Array
from search.spec.grid import USUAL
from thermowell.api.guidance import QuestionName

NEAR = 0.05
"""Octaves within which a temperature of a curve is the one that is asked about."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What is asked: a cost at a `temperature`, the width, or the gain."""

    name: QuestionName
    temperature: float | None = None


COSTS = tuple(Topic("cost", usual) for usual in USUAL)
WIDTH, GAIN = Topic("width"), Topic("gain")


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of one job: by halves of its runs and by draws of them all, which err either way in choosing what is
    best; `deviation` is what seeds leave open.
    """

    by_halves: float
    by_draws: float
    deviation: float


def quantities(curves: Curves, delta: float) -> dict[Topic, Quantity]:
    """All that this job tells of."""
    return {**dict(_costs(curves)), WIDTH: _width(curves, delta), **dict(_gain(curves))}


def _costs(curves: Curves) -> Iterator[tuple[Topic, Quantity]]:
    for topic in COSTS:
        place = int(np.abs(curves.along - math.log2(topic.temperature or 1.0)).argmin())
        if abs(curves.along[place] - math.log2(topic.temperature or 1.0)) < NEAR:
            draws = curves.curves.max(axis=1) - curves.curves[:, place]
            yield topic, _between(draws, [half.curve[half.best] - half.curve[place] for half in curves.halves])


def _width(curves: Curves, delta: float) -> Quantity:
    """Octaves of the good range: those within delta of the best, of what was searched."""
    draws = _good(curves.along, curves.curves, curves.curves.max(axis=1, keepdims=True) - delta)
    wide = [_good(curves.along, half.curve[None], half.curve[None, [half.best]] - delta)[0] for half in curves.halves]
    return _between(draws, wide)


def _gain(curves: Curves) -> Iterator[tuple[Topic, Quantity]]:
    if curves.labels is not None:
        halves = [half.curve[half.best] - half.labels for half in curves.halves if half.labels is not None]
        yield GAIN, _between(curves.curves.max(axis=1) - curves.labels, halves)


def _between(draws: Array, halves: Sequence[float]) -> Quantity:
    """Draws err towards more where much is unknown, halves towards less."""
    return Quantity(float(np.mean(halves)), float(draws.mean()), float(draws.std()))


def _good(octaves: Array, curves: Array, floor: Array) -> Array:
    """Octaves [draws] over which curves [draws, m], straight between neighbours, are not below the floor [draws, 1]."""
    above = curves - floor
    first, last = above[:, :-1], above[:, 1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = np.clip(np.where(first == last, 1.0, first / (first - last)), 0.0, 1.0)
    share = np.where(first >= 0, np.where(last >= 0, 1.0, crossing), np.where(last >= 0, 1.0 - crossing, 0.0))
    return np.asarray(share @ np.diff(octaves))
