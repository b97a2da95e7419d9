"""The answer of one job of a study: its likely best temperatures, its quality and its gains.

Light: numpy at most, so that the service may ask.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist

from search.analysis.study.runs import Runs
from thermowell.api.answers import Estimate, Gain, Interval, ResponseCurve, Result, TemperatureResponse, TemperatureSet

ALIKE = 1.1
"""Temperatures whose quotient is at most this are one, as in the verdict of a job."""
CENSORED = 0.3
"""Of an answer that does not keep the shares: what an end gets that its confidence set touches."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """Which temperatures may be the best: `temperatures` rise, their `shares` sum to one.

    The first and the last stand for themselves and for all beyond: there the best one is censored, not known. `rough`
    where the shares had to be made up from an interval.
    """

    temperatures: tuple[float, ...]
    shares: tuple[float, ...]
    rough: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One job of a study.

    `levels` maps each factor to the level's name, `replicate` what repeats a cell to its value (seed, split, teacher;
    all alike in a study without repeats). `best` is None where the job has no temperature response (not finished, T
    fixed, too few trials); `by_optimizer` has the optimizers that it searched and knows enough of. `quality` is the
    winner's, on the test part where that was read (`tested`); `gain` is that of another T over T = 4, each at its best.
    `runs` is all that it has trained, as far as it is at hand; `delta` what does not matter of its metric.
    """

    job_id: str
    levels: Mapping[str, str]
    replicate: Mapping[str, str] = field(default_factory=dict)
    state: str = "completed"
    best: Optimum | None = None
    by_optimizer: Mapping[str, Optimum] = field(default_factory=dict)
    metric: str = "accuracy"
    unit: str | None = None
    quality: Estimate | None = None
    tested: bool = False
    gain: Gain | None = None
    data: str = ""
    runs: Runs | None = None
    delta: float | None = None


def cell_of(
    job_id: str,
    levels: Mapping[str, str],
    replicate: Mapping[str, str],
    *,
    state: str,
    result: Result | None = None,
    response: TemperatureResponse | None = None,
    data: str = "",
    runs: Runs | None = None,
    delta: float | None = None,
) -> Cell:
    """A job as guidance sees it, from its stored documents; both None while it has none. `data` names its data set,
    `delta` what does not matter of its metric; `runs` are all that it has trained.
    """
    if result is None or response is None:
        return Cell(job_id, dict(levels), dict(replicate), state, data=data, runs=runs, delta=delta)
    tested = (result.winner.test or {}).get(result.metric)
    has_test = tested is not None and tested.mean is not None
    optima = {curve.optimizer or "": optimum_of(curve) for curve in response.per_optimizer}
    return Cell(
        job_id=job_id,
        levels=dict(levels),
        replicate=dict(replicate),
        state=state,
        best=optimum_of(response.overall) if response.overall else None,
        by_optimizer={name: optimum for name, optimum in optima.items() if optimum is not None},
        metric=result.metric,
        unit=result.unit,
        quality=tested if has_test else result.winner.validation,
        tested=has_test,
        gain=gain_over_t4(result),
        data=data,
        runs=runs,
        delta=delta,
    )


def gain_over_t4(result: Result) -> Gain | None:
    """What another T gains over T = 4 in a job's answer; None where one of the two was not trained.

    By the posterior of everything that was trained: the search's best against the best at T = 4, whichever group found
    either. A baseline that was searched for less time than the winner is far behind it for that alone. Answers of
    before verdicts were given have their measured gain, of the winner over the tuned baseline.
    """
    measured = next((gain for gain in result.gains if gain.headline and gain.over == "t4"), None)
    if result.verdict is None:
        return measured if measured is not None and measured.mean is not None else None
    distilled = [entry for entry in result.verdict.alternatives if entry.temperature is not None]
    usual = [entry for entry in distilled if 4.0 / ALIKE <= (entry.temperature or 0.0) <= 4.0 * ALIKE]
    searched = [entry for entry in distilled if entry.arm == "joint" and entry not in usual]
    if not usual or not searched:
        return None
    best, rival = (min(entries, key=lambda entry: entry.behind) for entries in (searched, usual))
    confidence = result.verdict.confidence
    mean, deviation = rival.behind - best.behind, math.hypot(best.deviation, rival.deviation)
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * deviation
    return Gain(
        over="t4",
        variant="tuned",
        mean=mean,
        interval=Interval(low=mean - reach, high=mean + reach, confidence=confidence),
        pairs=0 if measured is None else measured.pairs,
        headline=True,
    )


def optimum_of(curve: ResponseCurve) -> Optimum | None:
    """The posterior of the best temperature on the curve's own grid; None where the curve says nothing.

    Answers that were computed before its shares were kept have a confidence set: the best T is taken to lie evenly
    over the set's logarithm, but for an end that the set touches, which gets CENSORED of all. That is wider than the
    draws were, since the set is wider than its confidence asks for.
    """
    temperatures = [point.temperature for point in curve.points]
    if len(temperatures) < 3:
        return None
    shares = list(curve.best_shares) or _from_set(temperatures, curve.confidence_set)
    total = math.fsum(shares)
    if len(shares) != len(temperatures) or not math.isfinite(total) or total <= 0 or min(shares) < 0:
        return None
    return Optimum(tuple(temperatures), tuple(share / total for share in shares), not curve.best_shares)


def _from_set(temperatures: Sequence[float], best_set: TemperatureSet) -> list[float]:
    shares = [
        float(any(low <= temperature <= high for low, high in best_set.intervals)) for temperature in temperatures
    ]
    inner = sum(shares[1:-1])
    ends = [(0, best_set.censored_low), (-1, best_set.censored_high)]
    touched = sum(CENSORED for _, cut in ends if cut)
    scale = (1 - touched) / inner if inner else 1.0
    shares = [scale * share for share in shares]
    for end, cut in ends:
        shares[end] = CENSORED if cut else 0.0
    return shares
