"""Display of objective values: shares in per cent and points, log-likelihoods in nats."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from thermowell.api.answers import Interval, Shortfall
from trainers import preprocessing
from trainers.registry.optimizers import LABELS

Metric = Literal["accuracy", "nll", "ece"]
MINUS = "\N{MINUS SIGN}"

NAMES: dict[Metric, str] = {
    "accuracy": "accuracy",
    "nll": "negative log-likelihood",
    "ece": "expected calibration error",
}
ARMS = {"label_only": "no distillation", "t1": "T = 1", "t4": "T = 4", "joint": "the search"}
ADVISED = {"literature": "literature", "history": "finished jobs", "given": "own guess", "space": "random draw"}
NOT_SHOWN = "not shown"
OPTIMIZERS = LABELS


def setting(name: str) -> str:
    """A searched setting's name for people: `NAME.learning_rate` is that optimizer's."""
    owner, _, part = name.rpartition(".")
    words = part if part.endswith("kd_weight") or part == "label_weight" else part.replace("_", " ")
    return f"{OPTIMIZERS.get(owner, owner)} {words}" if owner else words


def number(value: float, digits: int = 3) -> str:
    """Rounded to so many significant digits, without needless zeros: 6.2, 0.012, 1500, 3.1e-6."""
    rounded = float(f"{value:.{digits}g}")
    if rounded == 0 or 1e-4 <= abs(rounded) < 1e6:
        text = f"{rounded:.10f}".rstrip("0").rstrip(".")
    else:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
    return text.replace("-", MINUS)


def temperature(first: float, final: float | None = None, digits: int = 3) -> str:
    """A trial's temperature: 4, or, where it was scheduled, from 4 to 1."""
    return number(first, digits) if final is None else f"from {number(first, digits)} to {number(final, digits)}"


def at_temperature(first: float, final: float | None = None, digits: int = 3) -> str:
    """The same in a sentence: T = 4, or T from 4 to 1."""
    return f"T {'= ' if final is None else ''}{temperature(first, final, digits)}"


def scale(metric: Metric) -> float:
    """By what a value is multiplied before it is shown: shares are shown in per cent."""
    return 1.0 if metric == "nll" else 100.0


def decimals(metric: Metric, resolution: float = 1.0) -> int:
    """How many decimals say a value whose uncertainty is `resolution` (in the objective's own unit)."""
    scaled = abs(resolution) * scale(metric)
    usual = 3 if metric == "nll" else 1
    return usual if scaled >= 10.0**-usual else usual + 1


def plain(metric: Metric, value: float, decimal_places: int | None = None) -> str:
    """The bare number as it is shown: 92.1 for an accuracy of 0.921."""
    text = f"{value * scale(metric):.{decimals(metric) if decimal_places is None else decimal_places}f}"
    negative = text.startswith("-") and float(text) != 0
    return f"{MINUS if negative else ''}{text.lstrip('-')}"


def level(metric: Metric, value: float, decimal_places: int | None = None) -> str:
    """A value with its unit: 92.1 %, or 0.312 nats."""
    return f"{plain(metric, value, decimal_places)} {'nats' if metric == 'nll' else '%'}"


def difference(metric: Metric, value: float, decimal_places: int | None = None) -> str:
    """A difference with its unit: 0.4 points, or 0.012 nats."""
    return f"{plain(metric, value, decimal_places)} {'nats' if metric == 'nll' else 'points'}"


def places(metric: Metric, bounds: Interval | None) -> int:
    """How many decimals say a value that is known as well as this interval tells."""
    return decimals(metric) if bounds is None else decimals(metric, (bounds.high - bounds.low) / 2)


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


def teacher_ready(facts: Mapping[str, Any]) -> str:
    """What is known of a teacher (trainers.spec.TeacherFacts as JSON), in a sentence."""
    validation = (facts.get("validation") or {}).get("accuracy")
    worth = "" if validation is None else f": {level('accuracy', validation)} on validation"
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
