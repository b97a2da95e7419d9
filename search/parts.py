"""Base classes of all spec parts: closed models, fixed and searched numbers, and validated names."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$")]
Label = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
RelativePath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0, le=1e6)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Part(BaseModel):
    """Base of all parts: unknown fields are refused, values are finite and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Range(Part):
    """A searched number: from low to high, on a logarithmic scale where log is true."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low must be below high (got {self.low:g} and {self.high:g}); give a number to fix it")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range must be positive (low is {self.low:g})")
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


def _listed(value: Any) -> Any:
    return {"values": value} if isinstance(value, list | tuple) else value


def _log_by_default(value: Any) -> Any:
    value = _listed(value)
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
Searched = Annotated[_Either, BeforeValidator(_listed)]
LogSearched = Annotated[_Either, BeforeValidator(_log_by_default)]


def check_bounds(what: str, value: Searched | None, low: float, high: float, low_open: bool = False) -> None:
    """ValueError where a number, or an end of a range, is not from low to high (above low where it is open)."""
    if value is None:
        return
    ends = (value.low, value.high) if isinstance(value, Ranged) else (value,)
    for end in ends:
        if not (low <= end <= high) or (low_open and end == low):
            raise ValueError(f"{what} must be in {'(' if low_open else '['}{low:g}, {high:g}], got {end:g}")
