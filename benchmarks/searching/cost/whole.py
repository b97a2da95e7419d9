"""Whole jobs at a total of trainings or at the defaults, by the simulator of the verdicts' benchmark, and what peers
answer at the same totals; two oracles beside them, the best cell that was tried and jobs whose runs have no noise.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.searching.cost.ground import Ground
from benchmarks.searching.cost.methods import TOTALS
from benchmarks.searching.cost.steps import Step, as_shipped, last_values, within
from benchmarks.searching.whole_jobs import Job, spec_of
from benchmarks.searching.worlds import Noiseless, Recorded, World
from search import configurations
from search.analysis.job.fits import fit_each
from search.analysis.job.joint_surface import answer_surface
from search.claims.planner import trial_seed
from search.states import Arm

Row = dict[str, Any]
FINALISTS = 3
FRESH_SEEDS = 3
FIRST_FRESH = 100_000
"""The number of the first trial whose seed a confirmation takes: no search has as many."""


def at_totals(ground: Ground, run: int, noiseless: bool = False) -> Row:
    """By total, how many trainings the job took, and the cells of its answer, of its winner, of the best that it tried,
    and of what its answer expects most of among all that distils.
    """
    world = Noiseless(ground.name) if noiseless else Recorded(ground.name)
    return {"run": run, "totals": {str(total): _told(ground, world, run, total) for total in TOTALS}}


def at_defaults(ground: Ground, run: int) -> Row:
    """The same of a job at the service's defaults; whether its confidence set holds the best T, and its width as a
    share of the range of log T.
    """
    job = _played(Recorded(ground.name), run)
    documents, winner = job.documents(), _winner(ground, job)
    verdict = getattr(documents["result"], "verdict", None)  # before there were any, an answer said to use the winner
    answer = winner if verdict is None else _cell(ground, verdict.configuration)
    row: Row = {"run": run, "told": [len(job.trials), answer, winner]}
    overall, known, best = documents["response"].overall, ground.grid.temperatures, ground.best_temperature
    if overall is not None:
        intervals = overall.confidence_set.intervals
        row["set_holds"] = any(low * (1 - 1e-9) <= best <= high * (1 + 1e-9) for low, high in intervals)
        row["set_width"] = sum(math.log(b / a) for a, b in intervals) / math.log(known[-1] / known[0])
    return row


def of_peer(ground: Ground, run: int, steps: Sequence[Step]) -> Row:
    """A peer's answers by total: the best single run (`shipped`), and the best mean of three fresh runs of its best
    three, for which the search leaves room within the total (`practised`). Each with its cost in epochs; without a cell
    where it has nothing to answer.
    """
    shipped: Row = {}
    practised: Row = {}
    for total in TOTALS:
        tried, spent = within(steps, total * ground.length)
        shipped[str(total)] = [spent, as_shipped(tried) if tried else None]
        tried, spent = within(steps, (total - FINALISTS * FRESH_SEEDS) * ground.length)
        best = _best(tried)
        practised[str(total)] = [spent + len(best) * FRESH_SEEDS * ground.length, _confirmed(ground, run, best)]
    return {"run": run, "shipped": shipped, "practised": practised}


def _best(steps: Sequence[Step]) -> list[int]:
    """The cells of the best single runs among those that were trained furthest."""
    ended = last_values(steps).values()
    order = sorted(ended, key=lambda step: (-step.end, -step.value))
    return list(dict.fromkeys(step.cell for step in order))[:FINALISTS]


def _confirmed(ground: Ground, run: int, cells: Sequence[int]) -> int | None:
    seeds = [trial_seed(run, FIRST_FRESH + number) for number in range(FRESH_SEEDS)]

    def mean(cell: int) -> float:
        return statistics.fmean(float(ground.curve(cell, seed)[-1]) for seed in seeds)

    return max(cells, key=mean, default=None)


def _told(ground: Ground, world: World, run: int, total: int) -> list[int]:
    """The verdict alone: the rest of an answer takes longer than the job."""
    from search.analysis.job.options import contest_of  # a checkout that is compared with may be from before verdicts
    from search.analysis.job.verdict import decide

    job = _played(world, run, budget={"trainings": total})
    surface = answer_surface(job.spec, job.trials)
    contest = contest_of(job.spec, job.trials, surface, fit_each(job.spec, job.trials, surface))
    winner = _winner(ground, job)
    if contest is None:
        return [len(job.trials), winner, winner, _best_tried(ground, job), winner]
    means = contest.field.draws.mean(axis=0)
    distils = [place for place, entry in enumerate(contest.entries) if entry.arm is not Arm.LABEL_ONLY]
    places = [decide(contest.field).place, max(distils, key=lambda place: float(means[place]))]
    answer, best = (_cell(ground, contest.entries[place].configuration) for place in places)
    return [len(job.trials), answer, winner, _best_tried(ground, job), best]


def _best_tried(ground: Ground, job: Job) -> int:
    """The truly best cell among those that were trained with distillation."""
    tried = {_cell(ground, trial.configuration) for trial in job.trials if trial.arm is not Arm.LABEL_ONLY}
    return max(sorted(tried), key=lambda cell: float(ground.final[cell]))


def _played(world: World, run: int, **parts: Any) -> Job:
    return Job(world, spec_of(world, run, **parts)).run()


def _winner(ground: Ground, job: Job) -> int:
    return next(_cell(ground, trial.configuration) for trial in job.trials if trial.variant == "winner")


def _cell(ground: Ground, configuration: Any) -> int:
    stored = configuration.stored() if hasattr(configuration, "stored") else configuration
    return ground.grid.index(configurations.from_json(stored))
