"""Cautions about an answer: one sentence for each doubt that the trials themselves raise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from search import units
from search.analysis.job.fits import ENOUGH
from search.analysis.job.joint_surface import DIVERGED
from search.analysis.job.own_training import own_training
from search.analysis.job.wording import rival
from search.records import Trial
from search.scales import log_ratio
from search.spec.job import JobSpec
from search.states import Stage, TrialState
from search.surrogate.axes import temperature_axis
from thermowell.api.answers import Contestant, Gain, TemperatureResponse

FEW_SEEDS = 5
EDGE = 0.05
"""Share of the searched range, on its logarithmic scale, that counts as its end."""

SEALED = (
    "The test part is sealed, since nothing is decided: an extension can still be judged on images of which nobody has "
    "seen a figure. `thermowell open-test JOB` opens it; what is extended after that has seen it."
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a caution may look at."""

    spec: JobSpec
    trials: Sequence[Trial]
    winner: Contestant
    baselines: Sequence[Contestant]
    gains: Sequence[Gain]
    response: TemperatureResponse
    teacher: Mapping[str, Any] | None
    search_stopped: bool
    test_seen_before: bool
    test_sealed: bool = False


def cautions(evidence: Evidence) -> list[str]:
    """The doubts, gravest first."""
    return [
        *own_training(evidence.spec, evidence.trials),
        *_estimates(evidence),
        *_gains(evidence),
        *_temperature(evidence),
        *_search(evidence),
        *_teacher(evidence),
        *_parts(evidence),
    ]


def _estimates(e: Evidence) -> Iterator[str]:
    failed = len(e.winner.failed_seeds)
    count = len(e.winner.validation.values)
    if failed:
        yield f"The winner failed on {failed} of {failed + count} fresh seeds; the mean is over the others alone."
    if count < FEW_SEEDS:
        yield f"The winner's mean rests on {count} seed{'' if count == 1 else 's'}; intervals from so few are rough."
    initial = None if e.spec.student is None else e.spec.student.initial
    if initial is not None and initial.source != "random":
        yield (
            "Every student began with the same weights (student.initial): seeds differ in order and dropout alone, and "
            "no interval knows of the luck of the start."
        )
    failing = [c for c in e.baselines if c.failed_seeds]
    if failing:
        names = ", ".join(f"{units.ARMS[c.arm]} ({c.variant.replace('_', ' ')})" for c in failing)
        yield f"Some baselines failed on some seeds, which are left out of their gains: {names}."


def _gains(e: Evidence) -> Iterator[str]:
    best = rival(e.gains)
    if best is None:
        yield "No tuned baseline was trained, so that nothing says what tuning without this search would have given."
        return
    if best.interval is None or best.mean is None:
        yield "The gain over the strongest tuned baseline has no interval: fewer than two seeds ended for both."
    elif best.interval.high < 0:
        yield f"The strongest tuned baseline, {units.ARMS[best.over]}, is better than the winner: the search missed it."
    elif best.interval.low <= 0:
        yield (
            f"The gain over the strongest tuned baseline, {units.ARMS[best.over]}, is not established: its interval "
            "contains zero."
        )


def _temperature(e: Evidence) -> Iterator[str]:
    axis = temperature_axis(e.spec.space)
    if axis is None:
        yield "The temperature was fixed by the spec, so that there is no response to it."
        return
    ends = f"{units.number(axis.low)} to {units.number(axis.high)}"
    position = axis.unit(e.winner.configuration.temperature)
    if position < EDGE or position > 1 - EDGE:
        yield f"The winner's temperature lies at an end of the searched range ({ends}): a better one may lie beyond."
    overall = e.response.overall
    if overall is None:
        yield (
            f"Too few trials completed for a temperature response: it takes {ENOUGH} different configurations of an "
            "optimizer at several temperatures."
        )
        return
    best = overall.confidence_set
    censored = [side for side, cut in (("lower", best.censored_low), ("upper", best.censored_high)) if cut]
    if censored:
        yield (
            f"The set of temperatures that may be best reaches the {' and the '.join(censored)} end of the searched "
            f"range ({ends}) and may go on beyond it."
        )
    whole = log_ratio(axis.high, axis.low)
    covered = sum(log_ratio(high, low) for low, high in best.intervals) / whole if whole else 0.0
    if covered > 0.6:
        yield (
            f"The best temperature is hardly known: the set that may hold it covers {covered:.0%} of the searched "
            "range. Either temperature matters little here, or more trials are needed."
        )
    absent = set(e.spec.space.optimizers()) - {curve.optimizer for curve in e.response.per_optimizer}
    if absent:
        names = ", ".join(sorted(units.OPTIMIZERS[name] for name in absent))
        yield f"Too few trials of {names} completed for a curve of its own; the response does not speak of it."
    yield from _separate_optimizers(e.response)


def _separate_optimizers(response: TemperatureResponse) -> Iterator[str]:
    """Optimizers whose bands share no value at any temperature: there T decides less than the optimizer does."""
    for first, second in combinations(response.per_optimizer, 2):
        pairs = list(zip(first.points, second.points, strict=True))
        if all(mine.low > its.high for mine, its in pairs):
            ahead, behind = first, second
        elif all(its.low > mine.high for mine, its in pairs):
            ahead, behind = second, first
        else:
            continue
        if response.direction == "minimize":
            ahead, behind = behind, ahead
        names = [units.OPTIMIZERS.get(curve.optimizer or "", "") for curve in (ahead, behind)]
        yield (
            f"The bands of {names[0]} and {names[1]} overlap at no temperature: {names[0]} is better whatever T is, "
            f"and the response over all speaks of it alone; for {names[1]} see its own curve."
        )


def _search(e: Evidence) -> Iterator[str]:
    imported = sum(trial.imported is not None for trial in e.trials)
    if imported:
        yield (
            f"{imported} finished trials were imported: the surface learned from their values, which nobody here has "
            "measured. What won has won on fresh seeds that were trained for this job."
        )
    search = [trial for trial in e.trials if trial.stage is Stage.SEARCH and trial.imported is None]
    if e.search_stopped:
        yield f"The search was stopped after {len(search)} trials, before its budget was spent."
    pruned = sum(trial.state is TrialState.PRUNED for trial in search)
    if pruned > len(search) / 2:
        yield (
            f"{pruned} of {len(search)} search trials were stopped early and are not part of the response; stopping "
            "early can favour temperatures that are good only early."
        )
    failed = [trial for trial in search if trial.state is TrialState.FAILED]
    diverged = sum(trial.reason is not None and trial.reason.type == DIVERGED for trial in failed)
    if diverged > len(search) / 10:
        yield f"{diverged} of {len(search)} search trials diverged: the searched learning rates may reach too high."
    if len(failed) > diverged:
        yield f"{len(failed) - diverged} search trials failed for reasons other than divergence and taught nothing."


def _teacher(e: Evidence) -> Iterator[str]:
    """Doubts about how images were prepared for a given teacher."""
    for fact in (e.teacher or {}).get("preprocessing") or ():
        if fact["origin"] == "measured" and not fact["clear"]:
            figures = ", ".join(f"{row['preset']} {units.level('accuracy', row['accuracy'])}" for row in fact["tried"])
            yield (
                f"How images are prepared for {fact['teacher']} was not said, and validation does not decide it "
                f"({figures}): {fact['preprocessing']['preset']} was taken. Say it in {fact['teacher']}.preprocessing."
            )


def _parts(e: Evidence) -> Iterator[str]:
    if e.test_sealed:
        yield SEALED
    if e.test_seen_before:
        yield "The test part had been read before this search ended: its figures are no longer fresh."
    name, metric = e.spec.objective.metric, units.measure_of(e.spec.objective)
    test = (e.winner.test or {}).get(name)
    interval = e.winner.validation.interval
    if test is None or test.mean is None or interval is None:
        return
    worse = test.mean < interval.low if e.spec.objective.direction == "maximize" else test.mean > interval.high
    if worse:
        yield (
            f"On the test part the winner reaches {units.level(metric, test.mean)}, worse than its validation interval "
            f"({units.interval(metric, interval)}): expect the test figure of new images."
        )
