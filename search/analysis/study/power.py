"""The power of a study: which differences it could tell with its budget, and what budget would tell those it could not.

A job's own errors come from runs that are simulated with the scatter of the recorded tables, or from a pilot; what jobs
of the same levels differ by beside, from the pilot or by assumption. Over jobs it is the linear model of the questions.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from search.analysis.study.cells import Cell
from search.analysis.study.curves import curves_of
from search.analysis.study.design import Design, Point, design_of
from search.analysis.study.gibbs import Array
from search.analysis.study.quantities import WIDTH, Topic, quantities
from search.analysis.study.questions import WIDTHS, margin_of
from search.analysis.study.runs import Run, runs_of
from search.analysis.study.variances import Scatter, scatter_of
from search.claims import trial_counts
from search.claims.contestants import trial_seed
from search.claims.grid import grid_values, setting_of
from search.configurations import FIXED_TEMPERATURE, in_arm, to_json
from search.spec.job import JobSpec, Ranged
from search.states import Arm
from search.studies.cells import REPLICATE, PlannedCell
from thermowell.api.guidance import Guidance

CONFIDENCE = 0.9
CHANCE = 0.8
"""Of studies in which a difference is to be told."""
_ONE_SIDE, _BOTH_SIDES = 0.842, 1.282
"""Deviations of a normal number: below one end in CHANCE of cases, between two."""
SIMULATED = 6
"""Jobs that a job's own errors are the mean of."""
MOST_REPEATS, MULTIPLES = 24, (1, 2, 4, 8)
"""Repeats, and times the trials of each job, among which a sufficient budget is looked for."""
ASSUMED = 0.5
"""Of the margin: the deviation between jobs of the same levels, where no pilot tells."""
_DRAWN = 200_000


class PilotNeeded(ValueError):
    """Nothing is known of how this study's runs scatter."""


@dataclass(frozen=True, slots=True)
class Errors:
    """Of one question: what a job leaves open (`within`, at so many `runs`), and what jobs differ by (`between`)."""

    within: float
    between: float
    runs: float


@dataclass(frozen=True, slots=True)
class Budget:
    """So many repeats of each cell, and so many times the trials in each job."""

    replicates: int
    times_trials: int
    trials: int


@dataclass(frozen=True, slots=True)
class Power:
    """What a study could tell of one difference: the least that it tells in four of five studies, and whether it tells
    in as many that there is none that matters; else the budget that would, None where none that was looked at does.
    """

    question: str
    temperature: float | None
    factors: Sequence[str]
    levels: Sequence[tuple[str, str]]
    margin: float
    least: float | None
    told: bool
    sufficient: Budget | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """All of it, with where the errors come from."""

    study: str
    jobs: int
    trainings: int
    margin: float
    metric: str
    unit: str | None
    basis: str
    powers: Sequence[Power]


def outlook_of(name: str, cells: Sequence[PlannedCell], pilot: Guidance | None = None) -> Outlook:
    """The power of a study of these cells. PilotNeeded."""
    margin = margin_of([_as_cell(planned) for planned in cells])
    specs = [planned.whole for planned in cells]
    errors, basis = _from_tables(specs[0], margin) if pilot is None else _from_pilot(pilot, specs)
    if any(planned.share is not None for planned in cells):
        basis += ", as if its trials were shared out alike, where an adaptive study gives them to what is open"
    points = [Point(planned.cell.levels, {REPLICATE: str(planned.cell.replicate)}) for planned in cells]
    trials = sum(spec.budget.trials for spec in specs)
    powers = [
        power
        for topic, error in errors.items()
        for power in _powers(topic, error, points, WIDTHS if topic == WIDTH else margin, trials)
    ]
    trainings = sum(trial_counts.probable_trials(spec)[0] for spec in specs)
    objective = specs[0].objective
    return Outlook(name, len(cells), trainings, margin, objective.metric, objective.unit, basis, powers)


def to_document(outlook: Outlook) -> dict[str, Any]:
    """As plain JSON."""
    return dataclasses.asdict(outlook)


def _as_cell(planned: PlannedCell) -> Cell:
    spec = planned.spec
    data = "" if spec.dataset is None else spec.dataset.name
    return Cell("", planned.cell.levels, data=data, metric=spec.objective.metric, delta=spec.confirmation.delta)


def _from_pilot(pilot: Guidance, specs: Sequence[JobSpec]) -> tuple[dict[Topic, Errors], str]:
    planned = float(np.median([_runs(spec) for spec in specs]))
    errors = {}
    for question in pilot.questions:
        topic = Topic(question.name, question.temperature)
        if question.between is not None:
            scale = math.sqrt(question.runs / planned)
            errors[topic] = Errors(question.within * scale, question.between, planned)
    if not errors:
        raise PilotNeeded("the pilot has no cell with two jobs: repeat its cells (replicates: 2), so that they tell")
    return errors, f"the pilot {pilot.study}"


def _from_tables(spec: JobSpec, margin: float) -> tuple[dict[Topic, Errors], str]:
    if spec.objective.metric != "accuracy":
        raise PilotNeeded(
            f"the recorded tables tell how accuracy scatters, and this study's objective is {spec.objective.metric}: "
            "train a small one with replicates: 2, and give its guidance as --pilot"
        )
    scatter, tables = scatter_of("" if spec.dataset is None else spec.dataset.name)
    parts: dict[Topic, list[float]] = {}
    for number in range(SIMULATED):
        rng = np.random.default_rng([40_000, number])
        runs = runs_of(spec, list(_simulated(spec, scatter, margin, rng)))
        curves = None if runs is None else curves_of(runs, rng)
        for topic, quantity in ({} if curves is None else quantities(curves, margin)).items():
            parts.setdefault(topic, []).append(quantity.deviation)
    if not parts:
        raise PilotNeeded(
            "T is not searched in this study, or a job has too few trials, so that nothing could be told of it: give "
            "space.temperature a range or a list, and each job more trials (budget.trials)"
        )
    basis = (
        f"how runs scatter in the recorded tables {', '.join(tables)}, and the assumption that jobs of the same levels "
        "differ by half of the margin beside"
    )
    errors = {
        topic: Errors(float(np.mean(deviations)), ASSUMED * (WIDTHS if topic == WIDTH else margin), _runs(spec))
        for topic, deviations in parts.items()
    }
    return errors, basis


def _runs(spec: JobSpec) -> float:
    """Runs of a job before its confirmation."""
    return spec.budget.trials + trial_counts.tuned_trials(spec, spec.budget.trials)


def _simulated(spec: JobSpec, scatter: Scatter, margin: float, rng: np.random.Generator) -> Iterator[Run]:
    """The runs of a job whose T = 20 costs about twice the margin, and whose settings matter about as much."""
    lucks: dict[int, Array] = {}
    middle = 0.5
    for arm, seed, configuration, share in _planned(spec, rng):
        luck = lucks.setdefault(seed, rng.standard_normal(3))
        octaves = math.log2(configuration["temperature"])
        waves = scatter.along * (luck[1] * math.cos(octaves) + luck[2] * math.sin(octaves))
        chance = (scatter.luck * luck[0] + waves + scatter.noise * rng.standard_normal()) / 100
        shape = 0.0 if arm is Arm.LABEL_ONLY else 2 * margin * ((octaves - 2) / 2.3) ** 2
        yield Run(arm.value, seed, configuration, 0.9 - shape - 8 * margin * (share - middle) ** 2 + chance)


def _planned(spec: JobSpec, rng: np.random.Generator) -> Iterator[tuple[Arm, int, Mapping[str, Any], float]]:
    """Of each run its arm, seed and configuration, and where its first setting lies in 0..1."""
    searched = spec.space.temperature
    if not isinstance(searched, Ranged):
        return
    counts = {Arm.JOINT: spec.budget.trials} | trial_counts.baseline_quotas(spec, spec.budget.trials)
    for arm, count in counts.items():
        for place in range(count):
            if spec.grid is not None:
                row = grid_values(spec, arm, place)
                turn = place // (len(spec.grid.along(spec.space)) if arm is Arm.JOINT else 1)
                settings = spec.grid.settings * len(spec.space.optimizers())
                share = (turn % settings) / max(1, settings - 1)
                yield arm, row["seed"], row["configuration"], share
                continue
            temperature = math.exp(rng.uniform(math.log(searched.low), math.log(searched.high)))
            if arm is not Arm.JOINT:
                temperature = FIXED_TEMPERATURE[arm]
            setting = dataclasses.replace(setting_of(spec.space, count, place), temperature=temperature)
            configuration = to_json(in_arm(setting, arm, spec.distillation.method))
            yield arm, trial_seed(spec.seed, 1000 * list(Arm).index(arm) + place), configuration, place / count


def _powers(topic: Topic, errors: Errors, points: Sequence[Point], margin: float, trials: int) -> Iterator[Power]:
    repeats = len({point.replicate[REPLICATE] for point in points})
    first = points[0].replicate[REPLICATE]
    twice = _again([point for point in points if point.replicate[REPLICATE] == first], 2)
    if len(twice) < 4:
        return
    plan = Plan.of(twice)
    for factors, levels, several in _effects(plan.design):
        error = plan.error(factors, levels)
        now = None if error is None else error.at(repeats, errors, 1)
        least = tells = None
        if error is not None and now is not None:
            reach = _student(error.freedom(repeats), 1 - (1 - CONFIDENCE) / several)
            least, tells = (reach + _ONE_SIDE) * now, (reach + _BOTH_SIDES) * now <= margin
        more = None if tells or error is None else _sufficient(error, several, errors, margin, trials / repeats)
        yield Power(topic.name, topic.temperature, factors, levels, margin, least, bool(tells), more)


def _effects(design: Design) -> Iterator[tuple[tuple[str, ...], list[tuple[str, str]], int]]:
    """Each contrast with a factor's first level, and of each pair the last levels against the first."""
    for factor, (first, *later) in design.levels.items():
        for level in later:
            yield (factor,), [(level, first)], len(later)
    for pair in design.pairs:
        names = [design.levels[factor] for factor in pair]
        yield pair, [(levels[-1], levels[0]) for levels in names], math.prod(len(levels) - 1 for levels in names)


@dataclass(frozen=True, slots=True)
class Plan:
    """The cells of a study in two repeats, as the model sees them: more repeats are the same over again."""

    design: Design
    features: Array
    jobs: int

    @classmethod
    def of(cls, twice: Sequence[Point]) -> Plan:
        """The plan of these points."""
        design = design_of(twice)
        return cls(design, design.features(twice), len(twice) // 2)

    def error(self, factors: Sequence[str], levels: Sequence[tuple[str, str]]) -> Error | None:
        """That of a difference; None where the design does not tell it."""
        contrast = self.design.contrast(factors, levels)
        inverse = np.linalg.pinv(self.features.T @ self.features)
        if not np.allclose(contrast @ inverse @ self.features.T @ self.features, contrast, atol=1e-6):
            return None
        rank = int(np.linalg.matrix_rank(self.features))
        return Error(2 * float(contrast @ inverse @ contrast), self.jobs, rank - 1)


@dataclass(frozen=True, slots=True)
class Error:
    """The error of a difference: its variance is `leverage` times a job's in one repeat, which has so many `jobs`; what
    they differ by is told by what `effects` leave.
    """

    leverage: float
    jobs: int
    effects: int

    def freedom(self, repeats: int) -> int:
        """Degrees of freedom that are left for what jobs of the same levels differ by."""
        return self.jobs * repeats - self.effects - (repeats - 1)

    def at(self, repeats: int, errors: Errors, times: int) -> float | None:
        """The deviation with so many repeats, and so many times the trials in each job; None where nothing is left."""
        if self.freedom(repeats) < 1 or repeats < 2:
            return None
        return math.sqrt(self.leverage / repeats * (errors.within**2 / times + errors.between**2))


def _sufficient(error: Error, several: int, errors: Errors, margin: float, trials: float) -> Budget | None:
    """The fewest trials that would tell it, by more repeats and more trials in each job."""
    budgets = []
    for times in MULTIPLES:
        for repeats in range(2, MOST_REPEATS + 1):
            deviation = error.at(repeats, errors, times)
            if deviation is None:
                continue
            reach = _student(error.freedom(repeats), 1 - (1 - CONFIDENCE) / several)
            if (reach + _BOTH_SIDES) * deviation <= margin:
                budgets.append(Budget(repeats, times, round(trials * repeats * times)))
                break
    return min(budgets, key=lambda budget: (budget.trials, budget.replicates), default=None)


def _again(points: Sequence[Point], repeats: int) -> list[Point]:
    return [Point(point.levels, {REPLICATE: str(repeat)}) for repeat in range(repeats) for point in points]


@cache
def _student(freedom: int, confidence: float) -> float:
    """Student's t: within so many deviations with this confidence. From draws, since scipy is not here."""
    drawn = np.abs(np.random.default_rng(41).standard_t(freedom, _DRAWN))
    return float(np.quantile(drawn, confidence))
