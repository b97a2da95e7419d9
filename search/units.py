"""Display of objective values: shares in per cent and points, log-likelihoods in nats."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from search.spec.objective import OF_SEVERAL, ObjectiveSpec
from search.spec.optimizers import OWN
from thermowell.api.answers import Interval, Shortfall
from trainers import preprocessing, quality
from trainers.registry.optimizers import LABELS

MINUS = "\N{MINUS SIGN}"
PER_CENT = "%"
_DIGITS = 4  # of a value of one's own metric that has no unit of ours


@dataclass(frozen=True, slots=True)
class Measure:
    """How a metric is shown: its label, its values times `factor`, and the units behind a value and a difference.

    `decimals` are the usual ones, None where a value's own size says it.
    """

    name: str
    label: str
    factor: float = 1.0
    unit: str = ""
    unit_of_difference: str = ""
    decimals: int | None = None

    @property
    def heading(self) -> str:
        """The label at the beginning of a heading; a name of one's own stays as it is written."""
        return self.label.capitalize() if self.name in MEASURES else self.label

    @property
    def in_unit(self) -> str:
        """The unit in brackets behind a label, where there is one."""
        return f" ({self.unit})" if self.unit and self.name != "nll" else ""

    @property
    def short(self) -> str:
        """The name in the head of a column."""
        return self.name.upper() if self.name in _SHORT else self.name


Metric = str | Measure
"""A metric by its name, or as it is shown."""
_SHORT = ("nll", "ece")
_SHARE = {"factor": 100.0, "unit": PER_CENT, "unit_of_difference": "points", "decimals": 1}
MEASURES: dict[str, Measure] = {
    "accuracy": Measure("accuracy", "accuracy", **_SHARE),  # type: ignore[arg-type]
    "nll": Measure("nll", "negative log-likelihood", unit="nats", unit_of_difference="nats", decimals=3),
    "ece": Measure("ece", "expected calibration error", **_SHARE),  # type: ignore[arg-type]
}
NAMES: dict[str, str] = {name: known.label for name, known in MEASURES.items()}


def measure(metric: Metric, unit: str | None = None) -> Measure:
    """How a metric is shown; of one's own `unit` says it: % is of a share, and any other stands behind values."""
    if isinstance(metric, Measure):
        return metric
    if metric in MEASURES:
        return MEASURES[metric]
    if unit == PER_CENT:
        return Measure(metric, metric, **_SHARE)  # type: ignore[arg-type]
    return Measure(metric, metric, unit=unit or "", unit_of_difference=unit or "")


def shown(document: Any) -> Measure:
    """How the metric of a document of an answer is shown, in the unit that it says."""
    return measure(document.metric, getattr(document, "unit", None))


def measure_of(objective: ObjectiveSpec) -> Measure:
    """How a job's objective is shown."""
    return measure(objective.metric, objective.unit)


def measure_in(spec: Any, metric: str) -> Measure:
    """How a metric of a job's trials is shown, by its stored spec: in the unit that its objective says, or that the
    built-in training measures it in.
    """
    document = spec if isinstance(spec, Mapping) else {}
    objective = document.get("objective") or {}
    if metric == objective.get("metric"):
        return measure(metric, objective.get("unit"))
    return measure(metric, None if document.get("trainer") else OF_SEVERAL.get(metric, {}).get("unit"))


ARMS = {"label_only": "no distillation", "t1": "T = 1", "t4": "T = 4", "joint": "the search"}
ADVISED = {"literature": "literature", "history": "finished jobs", "given": "own guess", "space": "random draw"}
NOT_SHOWN = "not shown"
BEFORE_VERDICTS = "This answer was worked out before verdicts were given: extend the job, and it gets one."
OPTIMIZERS = {**LABELS, OWN: "own training"}


def setting(name: str) -> str:
    """A searched setting's name for people: `NAME.learning_rate` is that optimizer's."""
    owner, _, part = name.rpartition(".")
    words = part if part.endswith("kd_weight") or part == "label_weight" else part.replace("_", " ")
    return f"{OPTIMIZERS.get(owner, owner)} {words}" if owner else words


class Sentences(Protocol):
    """A verdict by its two sentences."""

    @property
    def headline(self) -> str:
        """The verdict."""

    @property
    def action(self) -> str:
        """What to do."""


def first_lines(verdict: Sentences | None, summary: str) -> tuple[str, str]:
    """What an answer says first: the verdict, and what to do; without a verdict its summary, and how to get one."""
    return (summary, BEFORE_VERDICTS) if verdict is None else (verdict.headline, sentence(verdict.action))


def further_lines(verdict: Sentences | None, summary: str) -> str:
    """What a summary says beyond those."""
    return "" if verdict is None else summary.removeprefix(" ".join(first_lines(verdict, summary))).strip()


def stated(figures: Mapping[str, Any]) -> str:
    """How well somebody answers several labels, and states its chances: likelihood and calibration error; without what
    is not known.
    """
    parts = [_precise(figures)]
    if figures.get("nll") is not None and figures.get("ece") is not None:
        parts.append(f"{level('nll', figures['nll'])}, calibration error {level('ece', figures['ece'])}")
    return ", ".join(filter(None, parts))


def _precise(figures: Mapping[str, Any]) -> str:
    precision = figures.get(quality.OF_SEVERAL)
    if precision is None:
        return ""
    display = measure(quality.OF_SEVERAL, PER_CENT)
    return f"{display.label.replace('_', ' ')} {level(display, precision)}"


def taught(facts: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A teacher's figures on validation, empty where none were measured."""
    validation = (facts or {}).get("validation") or {}
    return validation if validation.get("accuracy") is not None else {}


def teacher_worth(facts: Mapping[str, Any] | None) -> str:
    """A teacher's figures on validation in a sentence; empty where none were measured."""
    figures = taught(facts)
    if not figures:
        return ""
    accuracy, precise = level("accuracy", figures["accuracy"]), _precise(figures)
    return f"The teacher's validation accuracy is {accuracy}{precise and f', its {precise}'}."


def sentence(words: str) -> str:
    """With its full stop."""
    return words if words.endswith(".") else f"{words}."


def number(value: float, digits: int = 3) -> str:
    """Rounded to so many significant digits, without needless zeros: 6.2, 0.012, 1500, 3.1e-6."""
    rounded = float(f"{value:.{digits}g}")
    if rounded == 0 or 1e-4 <= abs(rounded) < 1e6:
        text = f"{rounded:.10f}".rstrip("0").rstrip(".")
    else:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
    return text.replace("-", MINUS)


def value(parameter: bool | int | float | str) -> str:
    """The value of a named parameter: a number rounded, a word as it is, true or false."""
    if isinstance(parameter, bool):
        return str(parameter).lower()
    return parameter if isinstance(parameter, str) else number(parameter)


def temperature(first: float, final: float | None = None, digits: int = 3) -> str:
    """A trial's temperature: 4, or, where it was scheduled, from 4 to 1."""
    return number(first, digits) if final is None else f"from {number(first, digits)} to {number(final, digits)}"


def at_temperature(first: float, final: float | None = None, digits: int = 3) -> str:
    """The same in a sentence: T = 4, or T from 4 to 1."""
    return f"T {'= ' if final is None else ''}{temperature(first, final, digits)}"


def scale(metric: Metric) -> float:
    """By what a value is multiplied before it is shown: shares are shown in per cent."""
    return measure(metric).factor


def decimals(metric: Metric, resolution: float = 1.0) -> int:
    """How many decimals say a value whose uncertainty is `resolution` (in the objective's own unit)."""
    display = measure(metric)
    scaled = abs(resolution) * display.factor
    if display.decimals is None:  # two digits of what is known
        return 0 if scaled <= 0 else min(max(1 - math.floor(math.log10(scaled)), 0), 10)
    return display.decimals if scaled >= 10.0**-display.decimals else display.decimals + 1


def plain(metric: Metric, value: float, decimal_places: int | None = None) -> str:
    """The bare number as it is shown: 92.1 for an accuracy of 0.921."""
    display = measure(metric)
    if decimal_places is None and display.decimals is None:
        return number(value * display.factor, _DIGITS)
    text = f"{value * display.factor:.{decimals(display) if decimal_places is None else decimal_places}f}"
    negative = text.startswith("-") and float(text) != 0
    return f"{MINUS if negative else ''}{text.lstrip('-')}"


def level(metric: Metric, value: float, decimal_places: int | None = None) -> str:
    """A value with its unit: 92.1 %, or 0.312 nats."""
    return f"{plain(metric, value, decimal_places)} {measure(metric).unit}".rstrip()


def difference(metric: Metric, value: float, decimal_places: int | None = None) -> str:
    """A difference with its unit: 0.4 points, or 0.012 nats."""
    return f"{plain(metric, value, decimal_places)} {measure(metric).unit_of_difference}".rstrip()


def places(metric: Metric, bounds: Interval | None) -> int | None:
    """How many decimals say a value that is known as well as this interval tells; None: as its size says."""
    if bounds is None:
        return measure(metric).decimals
    return decimals(metric, (bounds.high - bounds.low) / 2)


def interval(metric: Metric, bounds: Interval) -> str:
    """An interval in words: 90 % interval 91.5 to 92.6."""
    low, high = (plain(metric, end, places(metric, bounds)) for end in (bounds.low, bounds.high))
    return f"{percent(bounds.confidence)} interval {low} to {high}"


def level_within(metric: Metric, value: float, bounds: Interval | None) -> str:
    """A value and its interval: 92.1 % (90 % interval 91.5 to 92.6)."""
    return f"{level(metric, value, places(metric, bounds))}{_behind(metric, bounds)}"


def difference_within(metric: Metric, value: float, bounds: Interval | None) -> str:
    """A difference and its interval: 0.4 points (90 % interval −0.1 to 0.9)."""
    return f"{difference(metric, value, places(metric, bounds))}{_behind(metric, bounds)}"


def _behind(metric: Metric, bounds: Interval | None) -> str:
    return f" ({interval(metric, bounds)})" if bounds else ""


def percent(share: float) -> str:
    """A confidence or a share, in whole per cent where it is whole."""
    return f"{number(100 * share)} %"


def chance(share: float) -> str:
    """A lower bound of a probability, in whole per cent and never certain: at least 31 %; below 1 % it is not shown."""
    return f"at least {min(99, math.floor(100 * share))} %" if share >= 0.01 else NOT_SHOWN


def within_delta(metric: Metric, behind: Shortfall) -> str:
    """What `chance_within_delta` is the chance of: within 0.2 points of the best."""
    return f"within {difference(metric, behind.delta, decimals(metric, behind.delta))} of the best"


def shortfall(metric: Metric, behind: Shortfall) -> str:
    """What is to be expected, and the bound: 0.5 points, at most 1.4 with 90 % confidence."""
    digits = decimals(metric, behind.upper)
    expected, upper = difference(metric, behind.expected, digits), plain(metric, behind.upper, digits)
    return f"{expected}, at most {upper} with {percent(behind.confidence)} confidence"


def ranges(intervals: list[tuple[float, float]]) -> str:
    """A set of temperatures in words: from 2.1 to 11, and from 30 to 40."""
    return ", and ".join(f"from {number(low, 2)} to {number(high, 2)}" for low, high in intervals)


def duration(seconds: float) -> str:
    """Seconds as people say them: 48 s, 2:07 min, 3:20 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def rough_duration(seconds: float) -> str:
    """Seconds of an estimate in words: 40 s, 35 minutes, 3.4 hours, 2.5 days."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    hours = seconds / 3600
    return f"{number(hours, 2)} hours" if hours < 48 else f"{number(hours / 24, 2)} days"


def teacher_ready(facts: Mapping[str, Any]) -> str:
    """What is known of a teacher (trainers.spec.TeacherFacts as JSON), in a sentence."""
    validation = facts.get("validation") or {}
    measured, metric = quality.level(validation), quality.metric(validation)
    name = "" if metric == "accuracy" else f" {metric.replace('_', ' ')}"
    worth = "" if measured is None else f": {level('accuracy', measured)}{name} on validation"
    return "; ".join([f"the teacher is ready{worth}", *preparations(facts)])


def preparations(facts: Mapping[str, Any]) -> Iterator[str]:
    """How images are prepared for each teacher that has a way of its own, who said so, and what was measured."""
    for fact in facts.get("preprocessing") or ():
        owner = "" if fact["teacher"] == "teacher" else f" of {fact['teacher']}"
        words = preprocessing.words(preprocessing.from_document(fact["preprocessing"]))
        source = {"spec": "as the spec says", "file": "as its file says", "measured": "the best measured"}[
            fact["origin"]
        ]
        if fact["origin"] == "measured" and fact["preprocessing"].get("preset") == preprocessing.PRESETS[0]:
            source = "as students have it, since none is clearly ahead"
        figures = ", ".join(f"{tried['preset']} {level('accuracy', tried['accuracy'])}" for tried in fact["tried"])
        yield f"preprocessing{owner}: {words}, {source}" + (f" ({figures})" if figures else "")
