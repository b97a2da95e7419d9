"""Numbers that the predictions of docs/theory.md speak of, read off a table of recorded runs.

Accuracies are in points, [T, W, R, L, E]: temperatures, kd_weights, learning rates, weight decays, epochs, a mean over
seeds. Each number is a function of a `Slice` alone, so that a jackknife over seeds can ask for it again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import stats

from benchmarks.common.repetitions import Interval
from trainers.replay.runs import Runs

CONFIDENCE = 0.9
EXPONENTS = np.linspace(-4.0, 4.0, 321)
"""Among which a collapse looks for the best."""
LOSS_CAP = 10.0
"""Points below a temperature's best beyond which a setting is as bad as any."""
EARLY = 0.25
SURE = 0.95
LEAST_CHANGE = 1.3
"""Of tau from T = 1 to 40, below which nothing is asked of its exponent."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Slice:
    """One optimizer's runs in one context: `accuracy` [T, W, R, L, E], of the labels alone `label_only` [R, L, E]; and
    what is known of the teacher (`theory_gradient.facts`).
    """

    temperatures: Floats
    weights: Floats
    rates: Floats
    epochs: Floats
    accuracy: Floats
    label_only: Floats
    teacher: Mapping[str, Any]

    @property
    def final(self) -> Floats:
        """Accuracy at the end, [T, W, R, L]."""
        return self.accuracy[..., -1]

    @property
    def pure(self) -> Floats:
        """Accuracy at the end with the largest kd_weight, [T, R, L]."""
        return self.final[:, -1]

    @property
    def good(self) -> NDArray[np.bool_]:
        """The better half of learning rates and decays, [R, L], by their mean over temperatures and kd_weights."""
        means = self.final.mean(axis=(0, 1))
        better: NDArray[np.bool_] = means >= np.median(means)
        return better

    def log_of(self, name: str) -> Floats:
        """The logarithm of what is known of the teacher at each temperature, [T]."""
        values: Floats = np.log(np.asarray(self.teacher[name]))
        return values

    def place(self, temperature: float) -> int:
        """The number of a temperature."""
        return int(np.flatnonzero(np.isclose(self.temperatures, temperature))[0])


Number = Callable[[Slice], float | None]
"""A number of a prediction; None where it does not apply."""


def cut(runs: Runs, optimizer: str, seeds: Sequence[int], teacher: Mapping[str, Any]) -> Slice:
    """The slice of an optimizer, its accuracies the mean over these seeds."""
    grid = runs.grid
    settings = grid.optimizers[optimizer]
    values = 100 * runs.accuracy[:, list(seeds)].mean(axis=1)
    cells = grid.cells()

    def rows(label_only: bool) -> list[int]:
        return [
            number for number, cell in enumerate(cells) if cell.optimizer == optimizer and cell.label_only is label_only
        ]

    inner = (len(settings.learning_rates), len(settings.weight_decays), len(runs.epochs))
    outer = (len(grid.temperatures), len(grid.kd_weights))
    return Slice(
        temperatures=np.asarray(grid.temperatures),
        weights=np.asarray(grid.kd_weights),
        rates=np.asarray(settings.learning_rates),
        epochs=runs.epochs.astype(float),
        accuracy=values[rows(False)].reshape(*outer, *inner),
        label_only=values[rows(True)].reshape(inner),
        teacher=teacher,
    )


def jackknife(number: Callable[[Sequence[int]], float | None], seeds: int) -> Interval | None:
    """A number of all seeds with its interval, from leaving out each (Tukey 1958); None where it does not apply, and an
    interval that excludes nothing where one of them is infinite.
    """
    everything = list(range(seeds))
    whole = number(everything)
    parts = [number([seed for seed in everything if seed != left_out]) for left_out in everything]
    if whole is None or any(part is None for part in parts):
        return None
    spread = np.asarray([part for part in parts if part is not None])
    if not np.isfinite([whole, *spread]).all():
        return Interval(whole, -math.inf, math.inf, math.inf, seeds)
    deviation = math.sqrt((seeds - 1) / seeds * float(((spread - spread.mean()) ** 2).sum()))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, seeds - 1)) * deviation
    return Interval(whole, whole - half, whole + half, deviation, seeds)


def collapse(places: Floats, shifts: Floats, values: Floats, groups: NDArray[np.int64] | None, degree: int) -> float:
    """The exponent b with which values are one polynomial of places + b shifts, by least squares; with `groups`, each
    has a constant of its own beside it. Infinite where none of EXPONENTS between its ends is the best.
    """
    constants = np.ones((len(values), 1)) if groups is None else np.eye(int(groups.max()) + 1)[groups]

    def error(exponent: float) -> float:
        moved = places + exponent * shifts
        middle, half = (moved.max() + moved.min()) / 2, (moved.max() - moved.min()) / 2
        terms = np.hstack([constants, chebyshev.chebvander((moved - middle) / half, degree)[:, 1:]])
        fit = terms @ np.linalg.lstsq(terms, values, rcond=None)[0]
        return float(((values - fit) ** 2).sum())

    errors = np.asarray([error(float(exponent)) for exponent in EXPONENTS])
    best = int(errors.argmin())
    if best in (0, len(errors) - 1):
        return math.copysign(math.inf, EXPONENTS[best])
    before, at, after = errors[best - 1 : best + 2]
    bend = before - 2 * at + after
    offset = 0.0 if bend <= 0 else 0.5 * (before - after) / bend
    return float(EXPONENTS[best] + offset * (EXPONENTS[1] - EXPONENTS[0]))


def speed_exponent(data: Slice, coordinate: str = "start") -> float:
    """P1, and P17 by the pace: of early accuracy along the sum of a cosine's learning rates."""
    values, places = _early(data)
    shifts = data.log_of(coordinate)[:, None, None] + np.zeros_like(values)
    return collapse(places.ravel(), shifts.ravel(), values.ravel(), None, 5)


def pace_exponent(data: Slice) -> float | None:
    """P17; None where tau hardly changes along T."""
    return None if _slow_down(data) < math.log(LEAST_CHANGE) else speed_exponent(data, "pace")


def slow_down(data: Slice) -> float:
    """P19: how many times longer T = 40 takes than T = 1, less what tau says of it, as logarithms."""
    both = [data.place(1), data.place(40)]
    values, places = (part[both] for part in _early(data))
    shifts = np.zeros_like(values)
    shifts[1] = 1.0
    return -collapse(places.ravel(), shifts.ravel(), values.ravel(), None, 5) - _slow_down(data)


def _slow_down(data: Slice) -> float:
    pace = data.log_of("pace")
    return float(pace[data.place(1)] - pace[data.place(40)])


def _early(data: Slice) -> tuple[Floats, Floats]:
    """Early accuracies at small learning rates [T, R, E], and the logarithm of the rates' sum until then."""
    last = data.epochs[-1]
    early = data.epochs <= EARLY * last
    passed = data.epochs[early] / last
    sums = passed / 2 + np.sin(np.pi * passed) / (2 * np.pi)  # of a cosine from 1 to 0, as a share of all steps
    slow = data.rates[: len(data.rates) // 2]
    values = data.accuracy[:, -1, : len(slow), 0][..., early]
    places = np.log(slow)[None, :, None] + np.log(sums)[None, None] + np.zeros_like(values)
    return values, places


def rate_exponent(data: Slice, coordinate: str = "start") -> float:
    """P2 and P3: of the final accuracy along the learning rate, each temperature with a constant of its own."""
    values = data.pure.mean(axis=-1)
    values = np.maximum(values, values.max(axis=1, keepdims=True) - LOSS_CAP)
    places = np.log(data.rates)[None] + np.zeros_like(values)
    shifts = data.log_of(coordinate)[:, None] + np.zeros_like(values)
    groups = np.repeat(np.arange(len(values)), len(data.rates))
    return collapse(places.ravel(), shifts.ravel(), values.ravel(), groups, min(3, len(data.rates) - 1))


def curvature_exponent(data: Slice) -> float:
    """P3: as P2, along the teacher's curvature."""
    return rate_exponent(data, "curvature")


def large_rates(data: Slice) -> float:
    """P4: what the largest learning rate loses at T = 40, less at T = 1, in points."""
    values = data.pure.mean(axis=-1)
    losses = values.max(axis=1) - values[:, -1]
    return float(losses[data.place(40)] - losses[data.place(1)])


def flatness(data: Slice) -> float | None:
    """P5: accuracy from T_flat on, less that at T = 40, in points."""
    flat = (data.temperatures >= data.teacher["flat_from"]) & (data.temperatures < 40)
    if not flat.any():
        return None
    good = data.final[:, :, data.good]
    return float((good[flat] - good[data.place(40)]).mean())


def coordinate_gain(data: Slice) -> float:
    """P6: the log of the ratio of squared errors at inner temperatures that were left out, u = T / (T + m) to log T."""
    good = data.final[:, :, data.good].reshape(len(data.temperatures), -1)
    share = data.temperatures / (data.temperatures + data.teacher["margin"])
    return math.log(_left_out(share, good) / _left_out(np.log(data.temperatures), good))


def _left_out(places: Floats, values: Floats) -> float:
    """The sum of squares by which parabolas miss each inner place when it is left out; `values` [places, slices]."""
    error = 0.0
    for place in range(1, len(places) - 1):
        others = np.delete(np.arange(len(places)), place)
        weights = np.polyfit(places[others], values[others], 2)
        error += float(((np.vander(places[[place]], 3) @ weights - values[place]) ** 2).sum())
    return error


def sure_teacher(data: Slice) -> float | None:
    """P7: accuracy at T = 1 less that of the labels alone, in points; None where the teacher is not sure."""
    if data.teacher["label_probability"] < SURE:
        return None
    return float((data.final[data.place(1)] - data.label_only[None, ..., -1])[:, data.good].mean())


def trade_off(data: Slice) -> float:
    """P8: what kd_weight .9 gains on .5 at T = 40, less at T = 8, in points."""
    first, second = (int(np.flatnonzero(np.isclose(data.weights, weight))[0]) for weight in (0.5, 0.9))
    gains = (data.final[:, second] - data.final[:, first])[:, data.good].mean(axis=-1)
    return float(gains[data.place(40)] - gains[data.place(8)])


def decay_slope(data: Slice) -> float | None:
    """P9: the slope over log a(T) of what the larger weight decay gains, points for a factor e."""
    if data.pure.shape[-1] < 2:
        return None
    means = data.pure.mean(axis=(0, 2))
    good = means >= np.median(means)
    gains = (data.pure[:, good, 1] - data.pure[:, good, 0]).mean(axis=-1)
    return float(np.polyfit(data.log_of("start"), gains, 1)[0])


def late_gain(data: Slice) -> float:
    """P10: by how much T = 40 gains on T = 1 from a quarter of the training to its end, in points."""
    best = data.accuracy.reshape(len(data.temperatures), -1, len(data.epochs)).max(axis=1)
    ahead = best[data.place(40)] - best[data.place(1)]
    quarter = int(np.searchsorted(data.epochs, EARLY * data.epochs[-1]))
    return float(ahead[-1] - ahead[quarter])


NUMBERS: Mapping[str, Number] = {
    "P1": speed_exponent,
    "P2": rate_exponent,
    "P3": curvature_exponent,
    "P4": large_rates,
    "P5": flatness,
    "P6": coordinate_gain,
    "P7": sure_teacher,
    "P8": trade_off,
    "P9": decay_slope,
    "P10": late_gain,
}
FRESH_NUMBERS: Mapping[str, Number] = {"P17": pace_exponent, "P18": rate_exponent, "P19": slow_down}
"""Those of the predictions that fresh students test."""
AGAIN: Mapping[str, Number] = {"P1": speed_exponent, "P2": rate_exponent, "P4": large_rates, "P5": flatness}
"""Those of the first ones that fresh students can be asked of too."""
