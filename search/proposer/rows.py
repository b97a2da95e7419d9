"""Rows that were brought from elsewhere, read as configurations of a job's space. Nothing is clipped."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from search.samplers import space
from search.spec import parameters
from search.spec.fields import Choices, Ranged, Searched
from search.spec.job import JobSpec, SpaceSpec
from search.spec.parameters import Parameter, ParameterChoices, SearchedParameter
from search.states import Arm
from thermowell.api.imports import RefusedField
from trainers.spec import Configuration, Optimizer, Value

VALUE = "value"
"""What a row may call the objective, where it does not have the metric's own name."""
SLACK = 1e-9
"""Of its size, by which a number may differ from one that is allowed: files round."""
Read = TypeVar("Read")
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it came: its number in its source, and what it says by name."""

    number: int
    values: Mapping[str, Any]


class _Refused(ValueError):
    """What is allowed in place of a value."""


class RowReader:
    """Reads the rows of one job."""

    def __init__(self, spec: JobSpec) -> None:
        self.spec, self.space = spec, spec.space
        self.names = frozenset(_names(spec.space)) | {spec.objective.metric, VALUE}

    def configuration(self, row: Row) -> tuple[Configuration | None, list[RefusedField]]:
        """What a row is to be trained with, or why it is refused."""
        fields = _Fields(row, self.names)
        numbers = {name: fields.number(name, getattr(self.space, name)) for name in space.TEMPERATURES}
        kd_weight = fields.number("kd_weight", self.space.kd_weight)
        parameters_read = {name: fields.parameter(name, part) for name, part in self.space.parameters.items()}
        optimizer = self._optimizer(fields)
        label_weight = fields.label_weight(self.space.label_weight, kd_weight)
        if fields.refusals:
            return None, fields.refusals
        configuration = Configuration(
            temperature=_there(numbers["temperature"]),
            kd_weight=_there(kd_weight),
            label_weight=_there(label_weight),
            optimizer=optimizer,
            student_temperature=numbers["student_temperature"],
            final_temperature=numbers["final_temperature"],
            parameters={name: _there(value) for name, value in parameters_read.items()},
        )
        try:
            return space.checked(configuration, self.space, Arm.JOINT, self.spec.distillation.method), []
        except ValueError as error:
            return None, [RefusedField(row.number, "configuration", None, str(error))]

    def value(self, row: Row) -> tuple[float | None, list[RefusedField]]:
        """The objective that a row says it reached, or why it is refused."""
        metric = self.spec.objective.metric
        name = metric if row.values.get(metric) is not None else VALUE
        text = row.values.get(name)
        if text is None:
            return None, [
                RefusedField(row.number, metric, None, f"{metric}, or {VALUE}: what the finished trial reached")
            ]
        try:
            value = _finite(text)
            self.spec.objective.check(value)
        except _Refused as error:
            return None, [RefusedField(row.number, name, text, str(error))]
        except ValueError as error:
            return None, [RefusedField(row.number, name, text, f"{error}: a percentage, or another metric?")]
        return value, []

    def unknown(self, rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
        """Names that rows have and the job has not, each with those of the job's that are near."""
        names = dict.fromkeys(name for row in rows for name in row.values)
        return [(name, near(name, self.names)) for name in names if name not in self.names]

    def _optimizer(self, fields: _Fields) -> Optimizer | None:
        if self.space.optimizer is None:
            return None
        choices = self.space.optimizers()
        default = next(iter(choices)) if len(choices) == 1 else None
        name = fields.word("optimizer", list(choices), default)
        if name is None:
            return None
        settings = choices[name]
        numbers = {key: fields.number(f"{name}.{key}", part, also=key) for key, part in settings.numbers().items()}
        if fields.refusals:
            return None
        return settings.optimizer(name, {key: _there(value) for key, value in numbers.items()})


class _Fields:
    """The fields of one row, each with what is wrong with it."""

    def __init__(self, row: Row, names: frozenset[str]) -> None:
        self.row, self.refusals = row, list[RefusedField]()
        self._strangers = [name for name in row.values if name not in names]

    def number(self, name: str, part: Searched | None, also: str = "") -> float | None:
        """A number of the space, by its name or by the one that it `also` has; a fixed one need not be said."""
        if part is None:
            return None
        field, value = self._read(name, also)
        if value is _MISSING:
            return self._missing(name, _words(part)) if isinstance(part, Ranged) else float(part)
        return self._checked(field, value, lambda: _number(part, value))

    def parameter(self, name: str, part: Parameter) -> Value | None:
        """A named parameter; a fixed one need not be said."""
        _, value = self._read(name)
        if value is _MISSING:
            return self._missing(name, parameters.describe(part)) if isinstance(part, SearchedParameter) else part
        return self._checked(name, value, lambda: _parameter(part, value))

    def word(self, name: str, words: Sequence[str], default: str | None) -> str | None:
        """One of some words."""
        _, value = self._read(name)
        allowed = f"one of {', '.join(words)}"
        if value is _MISSING:
            return default or self._missing(name, allowed)
        if str(value).lower() in words:
            return str(value).lower()
        self.refusals.append(RefusedField(self.row.number, name, value, allowed))
        return None

    def label_weight(self, part: Searched | None, kd_weight: float | None) -> float | None:
        """The label term's weight, which is what the distillation term leaves where the space has none."""
        if part is not None:
            return self.number("label_weight", part)
        if kd_weight is None:
            return None
        return self.number("label_weight", 1.0 - kd_weight)

    def _read(self, *names: str) -> tuple[str, Any]:
        for name in names:
            value = self.row.values.get(name)
            if value is not None and value != "":
                return name, value
        return names[0], _MISSING

    def _missing(self, name: str, allowed: str) -> Any:
        close = [stranger for stranger in self._strangers if name in near(stranger, [name])]
        hint = f"; is it {close[0]}? --map {close[0]}={name}" if close else ""
        self.refusals.append(RefusedField(self.row.number, name, None, f"{allowed}; the row has none{hint}"))
        return None

    def _checked(self, name: str, value: Any, reading: Callable[[], Read]) -> Read | None:
        try:
            return reading()
        except _Refused as error:
            self.refusals.append(RefusedField(self.row.number, name, value, str(error)))
            return None


def near(name: str, names: Sequence[str] | frozenset[str]) -> list[str]:
    """Known names that one may be meant for: spelt alike, or of which it is an abbreviation (lr, wd, T)."""
    short = name.lower().replace("-", "_")
    alike = difflib.get_close_matches(short, sorted(names), n=2, cutoff=0.6)
    initials = [word for word in sorted(names) if short in ("".join(part[:1] for part in word.split("_")), word[:3])]
    return list(dict.fromkeys([*alike, *initials]))[:3]


def _names(searched: SpaceSpec) -> Iterator[str]:
    yield from ("temperature", "kd_weight", "label_weight")
    yield from (name for name in space.TEMPERATURES[1:] if getattr(searched, name) is not None)
    yield from searched.parameters
    if searched.optimizer is not None:
        yield "optimizer"
        for name, settings in searched.optimizers().items():
            yield from settings.numbers()
            yield from (f"{name}.{key}" for key in settings.numbers())


def _words(part: Searched) -> str:
    if isinstance(part, Choices):
        return f"one of {', '.join(f'{value:g}' for value in part.values)}"
    return f"from {part.low:g} to {part.high:g}" if isinstance(part, Ranged) else f"{part:g}, which is fixed"


def _finite(value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise _Refused("a finite number")
    return number


def _same(first: float, second: float) -> bool:
    return math.isclose(first, second, rel_tol=SLACK, abs_tol=1e-12)


def _number(part: Searched, value: Any) -> float:
    number = _finite(value)
    if isinstance(part, Choices):
        return _listed(part.values, number, _words(part))
    if not isinstance(part, Ranged):
        return _listed((part,), number, _words(part))
    return _within(part.low, part.high, number, _words(part))


def _within(low: float, high: float, number: float, words: str) -> float:
    ends = [end for end in (low, high) if _same(number, end)]
    if ends:
        return ends[0]
    if low <= number <= high:
        return number
    raise _Refused(words)


def _listed(values: Sequence[float], number: float, words: str) -> float:
    for value in values:
        if _same(number, value):
            return float(value)
    raise _Refused(words)


def _parameter(part: Parameter, value: Any) -> Value:
    words = parameters.describe(part)
    if isinstance(part, ParameterChoices):
        return _choice(part.choices, value, words)
    if isinstance(part, Choices):
        return parameters.proper(part, _listed(part.values, _finite(value), words))
    if isinstance(part, Ranged):
        number = _within(part.low, part.high, _finite(value), words)
        if part.integer and number != round(number):
            raise _Refused(words)
        return parameters.proper(part, number)
    return _choice((part,), value, words)


def _choice(choices: Sequence[Value], value: Any, words: str) -> Value:
    """The choice that is this value, or reads as it: a file has texts alone."""
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    for choice in choices:
        if str(choice).lower() == str(value).lower():
            return choice
    for choice in choices:
        if isinstance(choice, int | float) and not isinstance(choice, bool | str):
            try:
                if _same(_finite(value), choice):
                    return choice
            except _Refused:
                continue
    raise _Refused(words)


def _there(value: Any) -> Any:
    assert value is not None  # nothing was refused
    return value
