"""Coverage of a study's guidance, and its false claims of an effect.

    python -m benchmarks.calibration.guidance [studies]

Simulated studies whose truth is known: two or three factors, of which the first moves the best T by an octave or by
nothing; seeds that all cells share, and chance, move it too. A job sees its own best T through a response of which the
ends are censored: its word is how often each temperature is the best of 2,000 joint draws of a Gaussian process over
32 noisy values. Promised: intervals hold the truth in 90 %; where there is no effect, one is claimed in 10 % at most.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import facts, output
from search.analysis.study.cells import Cell, Optimum
from search.analysis.study.guidance import compute_guidance
from thermowell.api.guidance import Guidance

Array = NDArray[np.float64]

TEMPERATURES = np.geomspace(1, 40, 40)
TRIALS = 32
LENGTH, NOISE, CURVE = 0.5, 0.35, 0.25  # of a response: smoothness along T, a run's deviation, fall for each octave
DRAWS = 2000
SHARED = 0.3  # octaves, the deviation that a seed gives all cells


@dataclass(frozen=True)
class Scenario:
    """Studies of one kind: the best T in octaves is `base`, `effect` times the first factor's level, and
    `together` where the first two are both at their last, plus chance of this `deviation`."""

    name: str
    levels: tuple[int, ...] = (2, 3)
    repeats: int = 2
    base: float = 2.0
    effect: float = 1.0
    together: float = 0.0
    deviation: float = 0.3


SCENARIOS = (
    Scenario("one octave"),
    Scenario("no effect", effect=0.0),
    Scenario("one job in a cell", repeats=1),
    Scenario("much chance", levels=(2, 2), repeats=3, deviation=0.8),
    Scenario("acting together", levels=(2, 2), repeats=3, effect=0.0, together=2.0),
    Scenario("half censored", levels=(2, 2), base=4.3, effect=1.5),
    Scenario("three factors", levels=(2, 2, 3), repeats=1, effect=0.0),
)
NAMES = "abc"
HEADINGS = ("effect", "claimed", "none", "claimed", "together", "claimed", "bias")
KEPT = ("effect_held", "effect_claimed", "null_held", "null_claimed", "together_held", "together_claimed", "bias")


@dataclass
class Seen:
    """Of each study, whether the truth was held, and what was claimed."""

    held: list[bool] = field(default_factory=list)
    claimed: list[bool] = field(default_factory=list)
    null_held: list[bool] = field(default_factory=list)
    null_claimed: list[bool] = field(default_factory=list)
    together_held: list[bool] = field(default_factory=list)
    together_claimed: list[bool] = field(default_factory=list)
    off: list[float] = field(default_factory=list)

    def add(self, scenario: Scenario, found: Guidance) -> None:
        """One study's guidance beside the truth."""
        last = {name: str(count - 1) for name, count in zip(NAMES, scenario.levels, strict=False)}
        for factor in found.factors:
            true = _true(scenario, last, factor.factor)
            contrast = factor.contrasts[-1]
            low = contrast.interval.low <= true
            high = true <= contrast.interval.high
            moved = factor.verdict == "moves"
            if abs(true) > 1e-9:
                self.held.append(low and high)
                self.claimed.append(moved)
                self.off.append(contrast.octaves - true)
            else:
                self.null_held.append(low and high)
                self.null_claimed.append(moved)
        for one in found.interactions:
            true = scenario.together if one.factors == ("a", "b") else 0.0
            corner = all(levels[1] == last[name] for name, levels in zip(one.factors, one.levels, strict=True))
            true = true if corner else 0.0
            self.together_held.append(one.interval.low <= true <= one.interval.high)
            self.together_claimed.append(one.verdict == "moves")

    def row(self) -> list[float | None]:
        """Means, None where there is nothing to average."""
        parts = (self.held, self.claimed, self.null_held, self.null_claimed, self.together_held, self.together_claimed)
        return [float(np.mean(part)) if part else None for part in (*parts, self.off)]


def _best(scenario: Scenario, levels: Mapping[str, str]) -> float:
    both = all(levels[name] == str(count - 1) for name, count in zip("ab", scenario.levels, strict=False))
    return scenario.base + scenario.effect * int(levels["a"]) + scenario.together * both


def _true(scenario: Scenario, last: Mapping[str, str], factor: str) -> float:
    """The last level of a factor against its first, averaged over the levels of the others."""
    others = [[str(n) for n in range(count)] for name, count in zip(NAMES, scenario.levels, strict=False)]
    means = []
    for level in (last[factor], "0"):
        options = [[level] if name == factor else own for name, own in zip(NAMES, others, strict=False)]
        means.append(np.mean([_best(scenario, dict(zip(NAMES, at, strict=False))) for at in product(*options)]))
    return float(means[0] - means[1])


def study(scenario: Scenario, rng: np.random.Generator) -> list[Cell]:
    """The jobs of one study."""
    shared = SHARED * rng.standard_normal(scenario.repeats)
    cells = []
    for at in product(*(map(str, range(count)) for count in scenario.levels)):
        levels = dict(zip(NAMES, at, strict=False))
        for repeat in range(scenario.repeats):
            best = _best(scenario, levels) + shared[repeat] + scenario.deviation * rng.standard_normal()
            cells.append(Cell(f"{at}{repeat}", levels, {"seed": str(repeat)}, best=job(best, rng)))
    return cells


def job(best: float, rng: np.random.Generator) -> Optimum:
    """A job's word on its best T, in octaves."""
    octaves = np.log2(TEMPERATURES)
    tried = octaves[-1] * rng.random(TRIALS)
    away = np.abs(tried - best)
    values = -CURVE * np.minimum(away**2, 2 * away) + NOISE * rng.standard_normal(TRIALS)
    scaled = (values - values.mean()) / values.std()
    known, grid = tried / octaves[-1], octaves / octaves[-1]
    across = _kernel(grid, known)
    solved = np.linalg.solve(_kernel(known, known) + (NOISE / values.std()) ** 2 * np.eye(TRIALS), across.T)
    covariance = _kernel(grid, grid) - across @ solved + 1e-7 * np.eye(len(grid))
    curves = solved.T @ scaled + rng.standard_normal((DRAWS, len(grid))) @ np.linalg.cholesky(covariance).T
    shares = np.bincount(curves.argmax(axis=1), minlength=len(grid)) / DRAWS
    return Optimum(tuple(TEMPERATURES.tolist()), tuple(shares.tolist()))


def _kernel(one: Array, other: Array) -> Array:
    r = np.sqrt(5) * np.abs(one[:, None] - other[None, :]) / LENGTH
    return np.asarray((1 + r + r**2 / 3) * np.exp(-r))


def measure(studies: int = 100) -> None:
    """Prints, for each scenario, how often intervals hold the truth, and how often an effect is claimed."""
    rows, kept = [], {}
    for place, scenario in enumerate(SCENARIOS):
        seen = Seen()
        for number in range(studies):
            rng = np.random.default_rng([20_000, place, number])
            seen.add(scenario, compute_guidance(scenario.name, study(scenario, rng), seed=number))
        means = seen.row()
        kept[scenario.name] = dict(zip(KEPT, means, strict=True))
        rows.append([scenario.name, *("-" if mean is None else f"{mean:.2f}" for mean in means)])
    output.table(
        f"{studies} studies of each kind: how often the truth is held, an effect claimed", ["", *HEADINGS], rows
    )
    output.conclude(None, {"benchmark": "guidance", "studies": studies, "scenarios": kept, **facts.gather()}, {})


if __name__ == "__main__":
    measure(*map(int, sys.argv[1:2]))
