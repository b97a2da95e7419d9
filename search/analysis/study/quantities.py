"""Quantities of a job's curve: what a wrong T costs, how wide the good range is, what distilling gains over labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis.study.curves import Curves
from search.analysis.study.gibbs import Array
from search.analysis.study.surface import Curve
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
    halves = {**dict(_halved_costs(curves)), WIDTH: _halved_width(curves, delta), GAIN: _halved_gain(curves)}
    return {topic: _between(draws, halves[topic]) for topic, draws in draws_of(curves, delta).items()}


def quantities_together(curve: Curve, delta: float) -> dict[Topic, Quantity]:
    """All that this job tells of, where all jobs were read together: nothing is chosen by halves."""
    return {
        topic: Quantity(float(draws.mean()), float(draws.mean()), float(draws.std()))
        for topic, draws in draws_of(curve, delta).items()
    }


def draws_of(curves: Curves | Curve, delta: float) -> dict[Topic, Array]:
    """The draws [draws] of each number, which go with those of the curves."""
    tops = curves.curves.max(axis=1)
    draws = {topic: tops - curves.curves[:, place] for topic, place in _places(curves)}
    draws[WIDTH] = _good(curves.along, curves.curves, tops[:, None] - delta)
    return draws if curves.labels is None else {**draws, GAIN: tops - curves.labels}


def _places(curves: Curves | Curve) -> Iterator[tuple[Topic, int]]:
    """Of each temperature that is asked about its place on the curve, where it is there."""
    for topic in COSTS:
        place = int(np.abs(curves.along - math.log2(topic.temperature or 1.0)).argmin())
        if abs(curves.along[place] - math.log2(topic.temperature or 1.0)) < NEAR:
            yield topic, place


def _halved_costs(curves: Curves) -> Iterator[tuple[Topic, list[float]]]:
    for topic, place in _places(curves):
        yield topic, [half.curve[half.best] - half.curve[place] for half in curves.halves]


def _halved_width(curves: Curves, delta: float) -> list[float]:
    """Octaves of the good range: those within delta of the best, of what was searched."""
    return [_good(curves.along, half.curve[None], half.curve[None, [half.best]] - delta)[0] for half in curves.halves]


def _halved_gain(curves: Curves) -> list[float]:
    return [half.curve[half.best] - half.labels for half in curves.halves if half.labels is not None]


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
