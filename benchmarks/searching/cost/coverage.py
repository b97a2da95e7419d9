"""Coverage of a job's intervals, sets and stated chances, on simulated jobs of the defaults and tuned baselines."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.searching.cost.ground import Ground
from benchmarks.searching.cost.jobs import NOW, Job, Search
from benchmarks.searching.cost.spec import job_spec
from search.analysis.job.fits import fit_each
from search.analysis.job.gains import Finals
from search.analysis.job.joint_surface import answer_surface
from search.analysis.job.response import temperature_response
from search.analysis.job.shortfall import shortfall
from search.spec.job import JobSpec
from search.states import Arm, JobState, Stage
from search.surrogate.surface import Surface

TRIALS = 64
CONFIRMATIONS = 5
"""Jobs that share a search and differ in all seeds after it: searching takes most of a job's time."""


def covered(ground: Ground, number: int, **parts: Any) -> list[dict[str, Any]]:
    """The jobs that confirm one search: of the first, the confidence set too. `parts` replace those of the spec."""
    spec = job_spec(ground, 2_000_000 + number, TRIALS, True, **parts)
    first = Job(ground, spec, Search(ground, spec, Arm.JOINT)).run()
    again = [confirmed_again(ground, first, number, confirmation) for confirmation in range(1, CONFIRMATIONS)]
    return [_told(ground, spec, first, number, with_set=True), *again]


def confirmed_again(
    ground: Ground, first: Job, number: int, confirmation: int, *, with_set: bool = False
) -> dict[str, Any]:
    """What a job says that goes on from the end of `first`'s search with fresh seeds of its own, in this ground."""
    spec = first.spec.model_copy(update={"seed": 10_000_000 * confirmation + first.spec.seed})
    job = Job(ground, spec, first.search, state=JobState.CONFIRMING, chosen=first.chosen)
    job.trials = [trial for trial in first.trials if trial.stage in (Stage.SEARCH, Stage.BASELINE)]
    return _told(ground, spec, job.run(), number, with_set=with_set)


def _told(ground: Ground, spec: JobSpec, job: Job, search: int, *, with_set: bool = False) -> dict[str, Any]:
    """Whether each gain's interval holds the true gain, and how wide it is; the winner, and what is said of it."""
    finals = {(t.arm.value, t.variant): job.cell(t) for t in job.trials if t.stage is Stage.ESTIMATE}
    winner = finals["joint", "winner"]
    gains = []
    for gain in Finals(job.trials).gains(spec):
        if gain.interval is not None:
            truth = float(ground.final[winner] - ground.final[finals[gain.over, gain.variant]])
            held = gain.interval.low <= truth <= gain.interval.high
            gains.append([gain.headline, held, round(gain.interval.high - gain.interval.low, 5)])
    told = {"search": search, "winner": winner, "epochs": job.epochs(), "gains": gains}
    surface = answer_surface(spec, job.trials)
    return told | _stated(spec, job, surface) | (_set(ground, spec, job, surface) if with_set else {})


def _stated(spec: JobSpec, job: Job, surface: Surface | None) -> dict[str, Any]:
    """The stated chance that the winner is within delta, its expected shortfall and the bound, in points."""
    winner = next(trial for trial in job.trials if trial.variant == "winner")
    found = shortfall(spec, job.trials, winner.configuration or {}, surface)
    if found is None:
        return {}
    points = [round(100 * value, 3) for value in (found.expected, found.upper)]
    return {"stated": [round(found.chance_within_delta, 4), *points]}


def _set(ground: Ground, spec: JobSpec, job: Job, surface: Surface | None) -> dict[str, Any]:
    """Whether the confidence set holds the best temperature; its width as a share of the searched range in log T; at
    how many of the temperatures the band holds the best cell's truth, of how many.
    """
    fits = fit_each(spec, job.trials, surface)
    response = temperature_response("j", spec, job.trials, fits, [], NOW, marginal=False)
    if response.overall is None:
        return {}
    found, known = response.overall.confidence_set, ground.grid.temperatures
    best = ground.best_temperature
    held = [point.low <= ground.best_at(point.temperature) <= point.high for point in response.overall.points]
    return {
        "band_holds": [sum(held), len(held)],
        "set_holds": any(low * (1 - 1e-9) <= best <= high * (1 + 1e-9) for low, high in found.intervals),
        "set_width": sum(math.log(b / a) for a, b in found.intervals) / math.log(known[-1] / known[0]),
    }
