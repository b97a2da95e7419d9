"""Base classes of all spec parts: closed models, fixed and searched numbers, and validated names.

A spec is read in two ways. What is stored is read as it always was. What comes in, at the doors, is read with the
context DOOR, under which more is refused: truth values in place of numbers, and numbers that make no sense.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticKnownError
from pydantic_core.core_schema import with_info_after_validator_function

from thermowell.plugin import NAME, Kind
from trainers.registry import local_models, named, plugins

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$")]
Label = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
RelativePath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Weights = Annotated[str, StringConstraints(pattern=rf"^(?:[0-9a-f]{{64}}|{named.NAME}|{local_models.NAME})$")]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


def name_or_plugin(kind: Kind, names: Collection[str]) -> Any:
    """The type of a field that has one of these names, or that of a plugin's record of this kind."""
    listed = [repr(name) for name in names]
    expected = " or ".join([", ".join(listed[:-1]), listed[-1]])

    def check(value: Any) -> Any:
        if isinstance(value, str) and plugins.is_plugin(value):
            if problems := plugins.problems(kind, value):
                raise ValueError("; ".join(problems))
        elif value not in names:
            raise PydanticKnownError("literal_error", {"expected": expected})
        return value

    of_plugin = {"type": "string", "pattern": f"^{NAME}$", "description": "a plugin's"}
    schema = {"anyOf": [{"enum": list(names), "type": "string"}, of_plugin]}
    return Annotated[str, BeforeValidator(check), WithJsonSchema(schema)]


DOOR = {"door": True}
"""The context of validation for what comes in; without it a document is read as what is stored is."""
LEAST = 1e-12
"""The smallest positive number that a setting may have or be searched from: what is below makes no difference."""
NARROWEST = 1e-9
"""The narrowest range, as a share of its high end: its numbers would not be told apart."""


def at_door(info: ValidationInfo) -> bool:
    """Whether the document is one that comes in."""
    return info.context is not None and info.context.get("door") is True


@dataclass(frozen=True, slots=True)
class Sensible:
    """Bounds, ends included, of a number that comes in; what is stored may lie beyond them. JSON Schema tells them."""

    low: float | None = None
    high: float | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return with_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        described = handler(schema)
        described |= {} if self.low is None else {"minimum": self.low}
        return described | ({} if self.high is None else {"maximum": self.high})

    def _check(self, value: Any, info: ValidationInfo) -> Any:
        if value is None or not at_door(info):
            return value
        if self.low is not None and value < self.low:
            raise ValueError(f"must be at least {self.low:g}, got {value!r}")
        if self.high is not None and value > self.high:
            raise ValueError(f"must be at most {self.high:g}, got {value!r}")
        return value


Fraction = Annotated[float, Field(gt=0, lt=1), Sensible(1e-6, 1 - 1e-6)]
Positive = Annotated[float, Field(gt=0, le=1e6), Sensible(LEAST)]


@cache
def takes_numbers(model: type[BaseModel], field: str) -> bool:
    """Whether a model's field has numbers, or lists of them, and never a truth value."""
    kinds = set(_leaves(model.model_fields[field].annotation))
    return bool(kinds & {int, float}) and bool not in kinds


def holds_truth(value: Any) -> bool:
    """Whether a value, or one of a list, is true or false."""
    return isinstance(value, bool) or (isinstance(value, list | tuple) and any(map(holds_truth, value)))


def refuse_truth(model: type[BaseModel], field: str, value: Any) -> None:
    """ValueError where a number is wanted and the value is true or false, which Python takes for 1 and 0."""
    if holds_truth(value) and takes_numbers(model, field):
        shown_value = str(value).lower() if isinstance(value, bool) else "a list with true or false in it"
        raise ValueError(f"must be a number, got {shown_value}")


def _leaves(annotation: Any) -> Iterator[type]:
    """The types that an annotation is made of; of Literal[1] that of 1."""
    inner = get_args(annotation)
    if not inner:
        yield annotation if isinstance(annotation, type) else type(annotation)
    for part in inner:
        yield from _leaves(part)


class Part(BaseModel):
    """Base of all parts: unknown fields are refused, values are finite and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """At the door true is no number."""
        if at_door(info) and info.field_name is not None:
            refuse_truth(cls, info.field_name, value)
        return value


class Range(Part):
    """A searched number: from low to high, on a logarithmic scale where log is true."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self, info: ValidationInfo) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low must be below high (got {self.low:g} and {self.high:g}); give a number to fix it")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range must be positive (low is {self.low:g})")
        if at_door(info) and self.high - self.low < NARROWEST * max(abs(self.low), abs(self.high)):
            raise ValueError(
                f"low and high must be farther apart (got {self.low!r} and {self.high!r}); give one number"
            )
        return self


class Choices(Part):
    """A searched number that is one of these, which rise; a list alone means the same. Their order counts: what is near
    to a good one is thought to be good, on a logarithmic scale where log is true.
    """

    values: tuple[float, ...] = Field(min_length=2, max_length=1000)
    log: bool = False

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if list(self.values) != sorted(set(self.values)):
            raise ValueError("values must rise, each once")
        if self.log and self.low <= 0:
            raise ValueError(f"values on a logarithmic scale must be positive (got {self.low:g}); log: false allows it")
        return self

    @property
    def low(self) -> float:
        """The smallest."""
        return self.values[0]

    @property
    def high(self) -> float:
        """The largest."""
        return self.values[-1]


Ranged = Range | Choices
"""What is searched, and is not fixed."""


def _check_list(value: Any) -> Any:
    return {"values": value} if isinstance(value, list | tuple) else value


def _log_by_default(value: Any) -> Any:
    value = _check_list(value)
    if isinstance(value, dict) and "log" not in value:
        return {**value, "log": True}
    return value


def _kind(value: Any) -> str:
    """Which of the three is meant, so that only its own problems are told."""
    if isinstance(value, Choices) or (isinstance(value, dict) and "values" in value):
        return "Choices"
    return "Range" if isinstance(value, Range | dict) else "float"


_Either = Annotated[
    Annotated[float, Tag("float")] | Annotated[Range, Tag("Range")] | Annotated[Choices, Tag("Choices")],
    Discriminator(_kind),
]
Searched = Annotated[_Either, BeforeValidator(_check_list)]
LogSearched = Annotated[_Either, BeforeValidator(_log_by_default)]


def check_bounds(
    name: str,
    value: Searched | None,
    low: float,
    high: float,
    info: ValidationInfo,
    *,
    low_open: bool = False,
    least: float = LEAST,
) -> None:
    """ValueError where a number, or an end of a range, is not from low to high (above low where it is open).

    Of what comes in, also where a positive number is below `least`: so small a one makes no difference.
    """
    if value is None:
        return
    ends = (value.low, value.high) if isinstance(value, Ranged) else (value,)
    if at_door(info):
        few = [end for end in ends if low <= end < least and (end or low_open)]
        if few:
            also = "" if low_open else "0, or "
            raise ValueError(f"{name} must be {also}at least {least:g} and at most {high:g}, got {few[0]!r}")
    for end in ends:
        if not (low <= end <= high) or (low_open and end == low):
            raise ValueError(f"{name} must be in {'(' if low_open else '['}{low:g}, {high:g}], got {end:g}")
