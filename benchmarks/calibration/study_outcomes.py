"""Intervals of simulated studies beside the truth, study by study, kept as they come so that a run can go on."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import astuple, dataclass
from functools import cache
from itertools import islice, product
from pathlib import Path

from benchmarks.calibration import study_rivals
from benchmarks.calibration import study_worlds as worlds
from search import units
from search.analysis.study.cells import Cell
from search.analysis.study.quantities import Topic
from search.analysis.study.questions import questions_of
from thermowell.api.guidance import Effect, Measured, Question

CONFIDENCE = 0.9
NOTHING = 1e-9
CLEAR = 0.02
"""Margins: an effect that is smaller is none."""
MAKERS: Mapping[str, Callable[[worlds.Kind, int], list[Cell]]] = {
    "grid": worlds.study,
    "adaptive": study_rivals.adaptive,
    "search": study_rivals.searched,
}
Truths = Mapping[tuple[str, ...], Mapping[Topic, float]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One interval beside the truth, all in margins: of a cell or of an effect, and what was said of it."""

    topic: str
    part: str
    low: float
    middle: float
    high: float
    truth: float
    verdict: str | None

    @property
    def held(self) -> bool:
        """Whether the interval has the truth."""
        return self.low - NOTHING <= self.truth <= self.high + NOTHING

    @property
    def none(self) -> bool:
        """Whether it is an effect that is not there."""
        return self.part == "effect" and abs(self.truth) < CLEAR

    @property
    def decided(self) -> bool:
        """Whether anything was said."""
        return self.verdict not in (None, "cannot tell")

    @property
    def right(self) -> bool:
        """Whether what was said is so; nothing is right."""
        if self.verdict == "moves":
            return not self.none and self.truth * self.middle > 0
        if self.verdict == "negligible":
            return abs(self.truth) <= 1
        return self.verdict != "matters" or abs(self.truth) > 1

    @property
    def width(self) -> float:
        """How long the interval is."""
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Study:
    """All outcomes of one study of a kind, with such trials."""

    kind: str
    number: int
    trials: str
    outcomes: Sequence[Outcome]


@cache
def truths_of(name: str, best: bool) -> Truths:
    """What is true of a kind (study_worlds.truths)."""
    return worlds.truths(kind_of(name), best=best)


def kind_of(name: str) -> worlds.Kind:
    """The kind of this name."""
    return next(kind for kind in worlds.KINDS if kind.name == name)


def study_of(name: str, number: int, trials: str = "grid") -> Study:
    """One simulated study."""
    questions = questions_of(MAKERS[trials](kind_of(name), number), CONFIDENCE, units.measure("accuracy"), number)
    truths = truths_of(name, trials == "search")
    return Study(name, number, trials, [outcome for asked in questions for outcome in outcomes(asked, truths)])


def outcomes(question: Question, truths: Truths) -> Iterator[Outcome]:
    """Each cell and each effect of a question beside what is true of it."""
    topic = Topic(question.name, question.temperature)
    label = question.name if question.temperature is None else f"T = {question.temperature:g}"
    true = {levels: numbers[topic] for levels, numbers in truths.items()}

    def outcome(part: str, measured: Measured, number: float, verdict: str | None) -> Outcome:
        assert measured.interval is not None  # it comes from draws
        ends = measured.interval.low, measured.mean, measured.interval.high, number
        low, middle, high, truth = (round(end / question.margin, 4) for end in ends)
        return Outcome(label, part, low, middle, high, truth, verdict)

    for size in question.cells:
        yield outcome("cell", size.measured, true[tuple(size.levels.values())], size.verdict)
    for effect in question.effects:
        yield outcome("effect", effect.measured, _effect(effect, true), effect.verdict)


def _effect(effect: Effect, true: Mapping[tuple[str, ...], float]) -> float:
    """The true contrast of a factor's levels, or of two factors' together."""
    names = list(worlds.FACTORS)

    def mean(chosen: Mapping[str, str]) -> float:
        matching = [
            number
            for levels, number in true.items()
            if all(levels[names.index(factor)] == level for factor, level in chosen.items())
        ]
        return math.fsum(matching) / len(matching)

    if len(effect.factors) == 1:
        ((level, against),) = effect.levels
        return mean({effect.factors[0]: level}) - mean({effect.factors[0]: against})
    (one, other), ((high, low), (last, first)) = effect.factors, effect.levels
    late = mean({one: high, other: last}) - mean({one: low, other: last})
    return late - (mean({one: high, other: first}) - mean({one: low, other: first}))


Task = tuple[str, int, str]


def tasks(kinds: Sequence[str], studies: int, apart: int) -> list[Task]:
    """Kind, number and trials of every study, so that wherever a run ends all kinds have about as many; one number in
    so many `apart` has all trials.
    """
    rows: list[Task] = []
    for number, kind in product(range(studies), kinds):
        rows.append((kind, number, "grid"))
        if number % apart == 0:
            rows += [(kind, number, trials) for trials in MAKERS if trials != "grid"]
    return rows


def simulate(work: Sequence[Task], path: Path | None, minutes: float, processes: int | None) -> list[Study]:
    """These studies, those that a file at `path` has from there, as many of the others as so many minutes allow."""
    kept = {(study.kind, study.number, study.trials): study for study in _read(path)}
    studies = [kept[task] for task in work if task in kept]
    missing = iter([task for task in work if task not in kept])
    ends = time.monotonic() + 60 * minutes
    size = processes or os.cpu_count() or 1
    with ProcessPoolExecutor(size) as pool, nullcontext() if path is None else path.open("a") as stream:
        waiting = [pool.submit(study_of, *task) for task in islice(missing, size + 1)]
        while waiting:
            study = waiting.pop(0).result()
            studies.append(study)
            if stream is not None:
                rows = [astuple(outcome) for outcome in study.outcomes]
                stream.write(json.dumps([study.kind, study.number, study.trials, rows]) + "\n")
                stream.flush()
            if time.monotonic() < ends:
                waiting += [pool.submit(study_of, *task) for task in islice(missing, 1)]
    return studies


def _read(path: Path | None) -> list[Study]:
    """The studies of a file; a line that was cut off is none."""
    if path is None or not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("]]]")]
    return [Study(kind, number, trials, [Outcome(*row) for row in rows]) for kind, number, trials, rows in lines]
