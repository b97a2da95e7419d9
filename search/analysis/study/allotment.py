"""Trials that an adaptive study hands out: blocks of them where they shorten most what cannot be told yet.

A block is all temperatures of a job's grid with one of its settings on one seed, and labels alone beside them. By how
much it would lower the variance of each of the job's numbers follows from the covariance of the draws of the job's
process, whatever the runs come to; how much of that each open question has, from the linear model over jobs.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from search import units
from search.analysis.study.cells import Cell
from search.analysis.study.curves import Field
from search.analysis.study.gibbs import Array
from search.analysis.study.quantities import Topic, draws_of
from search.analysis.study.questions import Alone, Inquiry, Told, inquiries, jobs_that_tell, margin_of
from thermowell.api.guidance import Measured

CONFIDENCE = 0.9
"""As in guidance: what it can tell needs no more trials."""
ALIKE = 1e-6
"""Within which two places of settings are one."""
PART = 3
"""One of so many parts of what is left is handed out at a time, and half as many blocks as cells wait at least."""
LEAST = 0.05
"""Of an open question's variance: where the jobs' own errors have less, it is what jobs differ by, and their trials
shorten its interval by a fortieth at most.
"""
_ENDS = 1.645
"""Deviations of a normal number to either end of an interval of CONFIDENCE."""
NOTHING = 1e-12
"""What rounding leaves of a job in a question that does not ask about it."""
Weights = Mapping[Topic, float]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job that may be handed blocks, each of so many `trials`; its grid's settings [k, d], and those of labels alone
    [k, d], as places of its runs.
    """

    job_id: str
    settings: Array
    alone: Array
    trials: int


@dataclass(frozen=True, slots=True)
class Block:
    """What is to be trained: a setting of a job, by its number."""

    job_id: str
    setting: int


def at_once(left: int, sizes: Sequence[int]) -> int:
    """How many of the trials that are left are handed out together, to cells whose blocks have these sizes."""
    return min(left, max(math.ceil(left / PART), *sizes, sum(sizes) // 2))


def blocks_of(cells: Sequence[Cell], candidates: Sequence[Candidate], trials: int, seed: int = 0) -> list[Block]:
    """The blocks to train next, so many trials in all at most; none where all questions of the candidates are decided.

    Each is the one that lowers the variances of open questions most for its trials, in squared margins, given those
    before it. The same arguments give the same.
    """
    margin = margin_of(cells)
    jobs = jobs_that_tell(cells, margin, seed)
    weights = weights_of(jobs, margin, seed)
    by_job = {job.cell.job_id: job for job in jobs}
    gains = [
        _Gains.of(candidate, by_job[candidate.job_id], weights[candidate.job_id], margin)
        for candidate in candidates
        if candidate.job_id in weights
    ]
    blocks: list[Block] = []
    while affordable := [gain for gain in gains if gain.candidate.trials <= trials and gain.best is not None]:
        gain = max(affordable, key=lambda each: each.worth)
        assert gain.best is not None  # it is affordable
        blocks.append(Block(gain.candidate.job_id, gain.best))
        trials -= gain.candidate.trials
        gain.take()
    return blocks


def weights_of(jobs: Sequence[Told], margin: float, seed: int) -> dict[str, Weights]:
    """By job and number, what one unit of its variance adds to the variances of all open questions, in squared margins.

    Nothing of a job, or of a number, on which no open question bears.
    """
    weights: dict[str, dict[Topic, float]] = defaultdict(dict)
    for inquiry in inquiries(jobs, margin, CONFIDENCE, seed):
        shares = np.array(list(_shares(inquiry)))
        for place, job in enumerate(inquiry.jobs):
            if shares.size and (share := float((shares[:, place] ** 2).sum())) > NOTHING:
                weights[job.cell.job_id][inquiry.topic] = share / inquiry.margin**2
    return dict(weights)


def _shares(inquiry: Inquiry) -> Iterator[Array]:
    """Of each open question that trials can still shorten what each job's number counts in it [jobs]."""
    errors = np.array([job.quantities[inquiry.topic].deviation for job in inquiry.jobs])
    for measured, share in _open(inquiry):
        assert measured.interval is not None  # it comes from draws
        deviation = (measured.interval.high - measured.interval.low) / (2 * _ENDS)
        if ((share * errors) ** 2).sum() > LEAST * deviation**2:
            yield share


def _open(inquiry: Inquiry) -> Iterator[tuple[Measured, Array]]:
    """What cannot be told, with the jobs' shares in it [jobs]."""
    design, points = inquiry.design, inquiry.effects.points
    inverse = np.linalg.pinv(design.features(points))
    cell = inquiry.jobs[0].cell
    question = inquiry.question(units.measure(cell.metric, cell.unit))
    for effect in question.effects:
        if effect.verdict == "cannot tell" and inquiry.can_tell(effect.factors, effect.levels):
            yield effect.measured, design.contrast(effect.factors, effect.levels) @ inverse
    for size in question.levels:
        if size.verdict == "cannot tell":
            yield size.measured, design.row(design.at(size.levels)) @ inverse
    for size in question.cells:
        if size.verdict == "cannot tell":
            yield size.measured, np.array([point.levels == size.levels for point in points]) / size.jobs


class _Gains:
    """What each block of a job would gain, given those that it has been handed: `best` is the setting of the best one,
    None where there is none, `worth` what that lowers, a trial.
    """

    best: int | None
    worth: float

    def __init__(self, candidate: Candidate, weights: Array, covariance: Array, blocks: Mapping[int, _Place]) -> None:
        """`covariance` is of the numbers, which have these `weights`, and of the field behind them."""
        self.candidate = candidate
        self._weights, self._covariance, self._blocks = weights, covariance, blocks
        self._choose()

    @classmethod
    def of(cls, candidate: Candidate, job: Alone, weights: Weights, margin: float) -> _Gains:
        """Those of a job, whose numbers have these weights."""
        numbers = draws_of(job.curves, margin)
        samples = np.column_stack([*(numbers[topic] for topic in weights), job.curves.field.draws])
        blocks = dict(_places(candidate, job.curves.field, len(job.curves.along), len(weights)))
        return cls(candidate, np.array(list(weights.values())), np.cov(samples, rowvar=False), blocks)

    def take(self) -> None:
        """Hands out the best block."""
        assert self.best is not None  # there is something to take
        across, inverse = self._parts(self._blocks[self.best])
        self._covariance = self._covariance - across @ inverse @ across.T
        self._choose()

    def _choose(self) -> None:
        worths = {setting: self._worth(place) for setting, place in self._blocks.items()}
        self.best = max(worths, key=worths.__getitem__, default=None)
        self.worth = 0.0 if self.best is None else worths[self.best] / self.candidate.trials

    def _worth(self, place: _Place) -> float:
        across, inverse = self._parts(place)
        numbers = across[: len(self._weights)]
        return float(self._weights @ ((numbers @ inverse) * numbers).sum(axis=1))

    def _parts(self, place: _Place) -> tuple[Array, Array]:
        """The covariance of everything with a block's runs [n, b], and the inverse of that of these [b, b]."""
        across = self._covariance[:, place.columns]
        return across, np.asarray(np.linalg.inv(across[place.columns] + place.noise), np.float64)


@dataclass(frozen=True, slots=True)
class _Place:
    """A block's columns [b] of the covariance, and the noise [b, b] of its runs."""

    columns: list[int]
    noise: Array


def _places(candidate: Candidate, field: Field, temperatures: int, first: int) -> Iterator[tuple[int, _Place]]:
    """By setting its block, of the settings at which a curve may be best; the field begins at column `first`."""
    size = len(field.settings)
    for setting, (settings, alone) in enumerate(zip(candidate.settings, candidate.alone, strict=True)):
        among, labels = _match(field.settings, settings), _match(field.alone, alone)
        if among is None:
            continue
        columns = [first + step * size + among for step in range(temperatures)]
        if labels is not None:
            columns.append(first + temperatures * size + labels)
        yield setting, _Place(columns, field.noise[: len(columns), : len(columns)])


def _match(places: Array, wanted: Array) -> int | None:
    """Which of some places is the wanted one."""
    if not len(places):
        return None
    apart = np.abs(places - wanted).max(axis=1)
    nearest = int(apart.argmin())
    return nearest if apart[nearest] < ALIKE else None
