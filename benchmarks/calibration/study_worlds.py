"""Studies whose truth is known, of eight kinds: what each job's runs are, and what is true of all jobs like them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from search.analysis.study.cells import Cell
from search.analysis.study.quantities import COSTS, GAIN, WIDTH, Topic
from search.analysis.study.runs import Runs

Array = NDArray[np.float64]

ALONG = np.log2([1.0, 2.0, 4.0, 10.0, 20.0, 40.0])
SEARCHED = np.linspace(ALONG[0], ALONG[-1], 65)
SETTINGS, DIMENSIONS, SEEDS, REPEATS = 4, 3, 3, 3
LENGTHS = np.array([[np.log(0.5), 0.6], [np.log(2.0), 0.8], [np.log(3.0), 0.8]])
FACTORS = {"a": ("first", "second"), "b": ("first", "second")}
DELTA = 0.01
"""The margin of costs and gains, as on digits."""
MOST_SEEDS = 40
"""That a setting of an adaptive study may have."""
POPULATION = 400
"""Jobs of each cell that the truth is the mean over."""


@dataclass(frozen=True)
class World:
    """The curves of one cell: the best T at `star` octaves, `fall` for each squared octave from it, the best learning
    rate moving by `ridge` an octave, labels alone worse by `gap`; what runs of a seed share (`luck`, `along` T), and
    what is left (`noise`).
    """

    star: float = 2.0
    fall: float = 0.002
    ridge: float = 0.0
    gap: float = 0.02
    noise: float = 0.008
    luck: float = 0.004
    along: float = 0.002


def settings() -> Array:
    """The settings [SETTINGS, DIMENSIONS] of every cell: every stratum of each once."""
    places = np.arange(SETTINGS)
    columns = [places, (3 * places + 1) % SETTINGS, (places + 2) % SETTINGS]
    return np.asarray((np.stack(columns, axis=1) + 0.5) / SETTINGS)


def quality(world: World, octaves: Array, points: Array) -> Array:
    """The mean over seeds [m, k] at m temperatures and k settings."""
    away = octaves[:, None] - world.star
    rate = points[None, :, 0] - (0.45 + world.ridge * (octaves[:, None] - 2.5))
    return np.asarray(0.9 - world.fall * away**2 - 0.15 * rate**2 - 0.01 * (points[None, :, 1] - 0.6) ** 2)


def alone(world: World, points: Array) -> Array:
    """The same [k] of labels alone."""
    return np.asarray(0.9 - world.gap - 0.15 * (points[:, 0] - 0.45) ** 2 - 0.01 * (points[:, 1] - 0.6) ** 2)


def truth(world: World, best: bool = False) -> dict[Topic, float]:
    """What is true of one job of this world, among the settings of the grid or, where they are searched, the best of
    all, which lie within what is searched.
    """
    if best:
        along = SEARCHED
        curve, labels = 0.9 - world.fall * (along - world.star) ** 2, 0.9 - world.gap
    else:
        along = ALONG
        curve, labels = quality(world, along, settings()).max(axis=1), float(alone(world, settings()).max())
    told = {topic: float(curve.max() - np.interp(ALONG[place], along, curve)) for place, topic in enumerate(COSTS)}
    return told | {WIDTH: _width(along, curve), GAIN: float(curve.max() - labels)}


def _width(along: Array, curve: Array) -> float:
    """Octaves within DELTA of the best, straight between neighbours."""
    fine = np.linspace(along[0], along[-1], 4001)
    return float((np.interp(fine, along, curve) >= curve.max() - DELTA).mean() * (along[-1] - along[0]))


@dataclass(frozen=True)
class Bench:
    """All that a job of the grid could train: values [seeds, m, k], and those of labels alone [seeds, k]."""

    values: Array
    alone: Array

    def runs(self, counts: Sequence[int]) -> Runs:
        """Those of each setting on so many seeds."""
        columns: list[list[Array]] = [[], [], [], []]
        for seed in range(max(counts)):
            part = np.flatnonzero(np.array(counts) > seed)
            points = settings()[part]
            columns[0] += [np.repeat(ALONG, len(part)), np.full(len(part), np.nan)]
            columns[1] += [np.tile(points, (len(ALONG), 1)), points]
            columns[2] += [np.full((len(ALONG) + 1) * len(part), seed)]
            columns[3] += [self.values[seed][:, part].ravel(), self.alone[seed][part]]
        octaves, where, seeds, values = (np.concatenate(parts) for parts in columns)
        return Runs(octaves, where, seeds.astype(np.int64), values, LENGTHS, ALONG, paired=True)


def bench(world: World, rng: np.random.Generator, luck: np.random.Generator, seeds: int) -> Bench:
    """What a job's grid comes to on so many seeds; `luck` is that of the seeds, which all cells of a repeat share."""
    points = settings()
    field, labels = quality(world, ALONG, points), alone(world, points)
    values, only = [], []
    for _ in range(seeds):
        shared, bent = luck_of(world, luck, ALONG)
        values.append(field + bent[:, None] + world.noise * rng.standard_normal(field.shape))
        only.append(labels + shared + world.noise * rng.standard_normal(len(points)))
    return Bench(np.array(values), np.array(only))


def luck_of(world: World, luck: np.random.Generator, octaves: Array) -> tuple[float, Array]:
    """What a seed does to labels alone, and to distilling at these temperatures."""
    shared = world.luck * luck.standard_normal()
    waves = world.along * luck.standard_normal(2)
    return shared, shared + waves[0] * np.cos(octaves) + waves[1] * np.sin(octaves)


Levels = Mapping[str, str]


@dataclass(frozen=True)
class Kind:
    """Studies of one kind: the world of each cell, and what repeats change of it; `odd` changes the first repeat."""

    name: str
    world: Callable[[Levels], World]
    moved: float = 0.15
    odd: Callable[[World], World] = lambda world: world


def _second(levels: Levels, *factors: str) -> bool:
    return all(levels[factor] == "second" for factor in factors)


KINDS = (
    Kind("flat", lambda at: World(fall=0.0)),
    Kind("shifted", lambda at: World(star=1.5 + 1.5 * _second(at, "a"))),
    Kind("censored", lambda at: World(star=5.8 + 0.7 * _second(at, "a"), fall=0.001)),
    Kind("crossing", lambda at: World(fall=0.0005 + 0.001 * _second(at, "a"), ridge=0.12)),
    Kind("strong seeds", lambda at: World(fall=0.002 * (1 + _second(at, "a")), luck=0.025, along=0.006)),
    Kind("unequal noise", lambda at: World(fall=0.0015, noise=0.016 if _second(at, "a") else 0.005)),
    Kind("interacting", lambda at: World(fall=0.0005 + 0.004 * _second(at, "a", "b"))),
    Kind(
        "aberrant teacher",
        lambda at: World(fall=0.0015 + 0.0015 * _second(at, "a")),
        odd=lambda world: replace(world, star=world.star + 1.5, gap=world.gap - 0.03),
    ),
    Kind("two deltas", lambda at: World(fall=0.0, gap=0.02 + 2 * DELTA * _second(at, "a"))),
)
"""The eight kinds of truthfulness, and one more for what an effect of twice the margin is told by."""


def cells_of() -> Iterator[dict[str, str]]:
    """The crossings of a study."""
    for levels in product(*FACTORS.values()):
        yield dict(zip(FACTORS, levels, strict=True))


def repeated(kind: Kind, levels: Levels, teacher: np.random.Generator, chance: np.random.Generator) -> World:
    """The world of one job: its teacher moves all cells of a repeat alike, chance each by itself."""
    world = kind.world(levels)
    star = world.star + kind.moved * (teacher.standard_normal() + chance.standard_normal())
    return replace(world, star=star, gap=world.gap + 0.004 * teacher.standard_normal())


def jobs_of(kind: Kind, number: int) -> Iterator[tuple[Cell, World, np.random.Generator, np.random.Generator]]:
    """The jobs of one study without their runs, each with its world, its chance and the luck of its repeat's seeds."""
    stem = [30_000, zlib.crc32(kind.name.encode()), number]
    for place, levels in enumerate(cells_of()):
        for repeat in range(REPEATS):
            chance = np.random.default_rng([*stem, 1, place, repeat])
            world = repeated(kind, levels, np.random.default_rng([*stem, 2, repeat]), chance)
            world = kind.odd(world) if repeat == 0 else world
            cell = Cell(f"{place}-{repeat}", levels, {"replicate": str(repeat)}, delta=DELTA)
            yield cell, world, chance, np.random.default_rng([*stem, 3, repeat])


def study(kind: Kind, number: int) -> list[Cell]:
    """The jobs of one study on a grid."""
    return [
        replace(cell, runs=bench(world, chance, luck, SEEDS).runs([SEEDS] * SETTINGS))
        for cell, world, chance, luck in jobs_of(kind, number)
    ]


def truths(kind: Kind, best: bool = False) -> dict[tuple[str, ...], dict[Topic, float]]:
    """By cell, its levels in the order of FACTORS, the means over POPULATION jobs like it; an aberrant teacher is none
    of them. `best` as in `truth`.
    """
    told = {}
    for levels in cells_of():
        jobs = [
            truth(repeated(kind, levels, np.random.default_rng([1, one]), np.random.default_rng([2, one])), best)
            for one in range(POPULATION)
        ]
        told[tuple(levels.values())] = {topic: float(np.mean([job[topic] for job in jobs])) for topic in jobs[0]}
    return told
