"""The named parameters of a search space beside T: ranges, ordered lists, unordered choices, and fixed values.

Of the built-in training those that `trainers.registry.parameters` has; a training of one's own has any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self, TypeAlias

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag, model_validator

from search.spec.fields import Choices, Part, Range, Ranged
from search.spec.optimizers import OptimizerChoice
from trainers.registry import losses, optimizers
from trainers.registry.parameters import PARAMETERS

Value: TypeAlias = bool | int | float | str
"""What a parameter may have: a number, a word, true or false."""
MOST_PARAMETERS = 24
MOST_CHOICES = 50
LARGEST_WHOLE = 2.0**53
"""Beyond it whole numbers are no longer told apart in double precision."""
ParameterName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,49}$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
OF_SPACE = ("temperature", "final_temperature", "student_temperature", "kd_weight", "label_weight", "optimizer")
"""The space's own settings, whose names no parameter may have; nor those of a configuration's other fields."""
_RESERVED = frozenset({*OF_SPACE, "method", "parameters"})
_TEMPERATURE = "a further temperature: the trial groups T = 1, T = 4 and labels alone pin it together with T"
OF_ALL_STUDENTS = ("epochs", "batch_size")
"""Settings of the built-in training that all students of a job share: a bank has one batch for all of its lanes."""
_DEFAULT = "what the training has unless told otherwise; the middle, or the first, unless given"


class ParameterRange(Range):
    """A searched parameter from low to high: on a logarithmic scale where log is true, whole where integer is."""

    integer: bool = False
    default: float | None = Field(None, description=_DEFAULT)
    temperature: bool = Field(False, description=_TEMPERATURE)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        _check_whole(self.integer, low=self.low, high=self.high, default=self.default)
        if self.temperature and self.low <= 0:
            raise ValueError(f"low must be positive of a temperature, got {self.low:g}")
        if self.default is not None and not self.low <= self.default <= self.high:
            raise ValueError(f"default must be from {self.low:g} to {self.high:g}, got {self.default:g}")
        return self


class ParameterValues(Choices):
    """A searched parameter that is one of these numbers, whose order counts; a list of numbers alone means the same."""

    integer: bool = False
    default: float | None = Field(None, description=_DEFAULT)
    temperature: bool = Field(False, description=_TEMPERATURE)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        _check_whole(self.integer, default=self.default, **{f"values.{i}": v for i, v in enumerate(self.values)})
        if self.temperature and self.low <= 0:
            raise ValueError(f"values must be positive of a temperature, got {self.low:g}")
        if self.default is not None and self.default not in self.values:
            raise ValueError(f"default must be one of {', '.join(f'{v:g}' for v in self.values)}, got {self.default:g}")
        return self


class ParameterChoices(Part):
    """A searched parameter that is one of these, in no order; a list with words in it alone means the same."""

    choices: tuple[bool | int | float | Word, ...] = Field(min_length=2, max_length=MOST_CHOICES)
    default: Value | None = Field(None, description=_DEFAULT)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        for place, choice in enumerate(self.choices):
            if choice in self.choices[:place]:  # true equals 1: nobody could tell them apart
                raise ValueError(f"choices must be there once each, {_shown(choice)} stands twice")
        if self.default is not None and self.default not in self.choices:
            allowed = ", ".join(map(_shown, self.choices))
            raise ValueError(f"default must be one of {allowed}, got {_shown(self.default)}")
        return self


SearchedParameter = ParameterRange | ParameterValues | ParameterChoices
"""What is searched, and is not fixed."""


def _as_group(value: Any) -> Any:
    """A list alone: of numbers it is ordered, of anything else it is not."""
    if not isinstance(value, list | tuple):
        return value
    ordered = all(isinstance(part, int | float) and not isinstance(part, bool) for part in value)
    return {"values": value} if ordered else {"choices": value}


def _kind(value: Any) -> str:
    """Which of them is meant, so that only its own problems are told."""
    if isinstance(value, ParameterChoices) or (isinstance(value, Mapping) and "choices" in value):
        return "ParameterChoices"
    if isinstance(value, ParameterValues) or (isinstance(value, Mapping) and "values" in value):
        return "ParameterValues"
    return "ParameterRange" if isinstance(value, ParameterRange | Mapping) else "value"


Parameter = Annotated[
    Annotated[
        Annotated[bool | int | float | Word, Tag("value")]
        | Annotated[ParameterRange, Tag("ParameterRange")]
        | Annotated[ParameterValues, Tag("ParameterValues")]
        | Annotated[ParameterChoices, Tag("ParameterChoices")],
        Discriminator(_kind),
    ],
    BeforeValidator(_as_group),
]
"""A searched parameter, or a fixed value that every trial gets."""


def default_of(parameter: Parameter) -> Value:
    """What a parameter has unless it is searched: its default, a range's or a list's middle, the first choice."""
    if not isinstance(parameter, SearchedParameter):
        return parameter
    if parameter.default is not None:
        return proper(parameter, parameter.default)
    if isinstance(parameter, ParameterChoices):
        return parameter.choices[0]
    if isinstance(parameter, ParameterValues):
        return proper(parameter, parameter.values[len(parameter.values) // 2])
    low, high = parameter.low, parameter.high
    return proper(parameter, low**0.5 * high**0.5 if parameter.log else low / 2 + high / 2)


def proper(parameter: Parameter, value: Value) -> Value:
    """The value as the training gets it: a whole number where the parameter is one."""
    if isinstance(parameter, Ranged) and parameter.integer and isinstance(value, int | float):
        return round(value)
    return value


def temperatures(parameters: Mapping[str, Parameter]) -> Iterator[str]:
    """The names of the further temperatures."""
    return (name for name, part in parameters.items() if isinstance(part, Ranged) and part.temperature)


def inside(parameter: Parameter, value: Value, slack: float = 0.0) -> bool:
    """Whether a parameter may have this value; of a range's ends so much of their size is rounding."""
    if isinstance(parameter, ParameterChoices):
        return value in parameter.choices
    if isinstance(parameter, ParameterValues):
        return value in parameter.values
    if not isinstance(parameter, ParameterRange):
        return value == parameter
    if isinstance(value, str | bool) or (parameter.integer and value != round(value)):
        return False
    reach = slack * max(abs(parameter.low), abs(parameter.high))
    return parameter.low - reach <= value <= parameter.high + reach


def describe(parameter: Parameter) -> str:
    """What a parameter may have, in words."""
    if isinstance(parameter, ParameterChoices):
        return f"one of {', '.join(map(_shown, parameter.choices))}"
    if isinstance(parameter, ParameterValues):
        return f"one of {', '.join(f'{value:g}' for value in parameter.values)}"
    if isinstance(parameter, ParameterRange):
        return f"{'a whole number ' if parameter.integer else ''}from {parameter.low:g} to {parameter.high:g}"
    return f"{_shown(parameter)}, which is fixed"


def check_values(parameters: Mapping[str, Parameter], values: Mapping[str, Value], place: str) -> None:
    """ValueError where a value at this place of a spec is none that its parameter may have, or no parameter's."""
    for name, value in values.items():
        part = parameters.get(name)
        if part is None:
            known = ", ".join(parameters) or "none"
            raise ValueError(f"{place}.{name} is no parameter of the space, which has {known}")
        if not inside(part, value):
            raise ValueError(f"{place}.{name} must be {describe(part)}, got {_shown(value)}")


def check_names(parameters: Mapping[str, Parameter], optimizer: OptimizerChoice | None) -> None:
    """ValueError where a parameter has the name of one of the space's own settings."""
    for name in parameters:
        if name in _RESERVED:
            raise ValueError(f"parameters.{name} must have another name: {name} is the space's own ({name}: ...)")
        if optimizer is not None and name in optimizers.SETTINGS:
            raise ValueError(
                f"parameters.{name} must have another name: {name} belongs to the optimizers of space.optimizer; "
                "where the training has an optimizer of its own, say optimizer: null"
            )


def check_built_in(parameters: Mapping[str, Parameter], method: str, schedule: str) -> None:
    """ValueError where the built-in training, with this method and this schedule of the learning rate, has no such
    parameter, or not such values of it.
    """
    for name, parameter in parameters.items():
        record = PARAMETERS.get(name)
        if name in OF_ALL_STUDENTS:
            raise ValueError(
                f"space.parameters.{name} cannot be searched by the built-in training yet: all students of a job have "
                f"the same. Say training.{name} in its place, and compare several in a study: "
                f"`factors: {{training.{name}: [...]}}`"
            )
        if record is None:
            raise ValueError(
                f"space.parameters.{name} is unknown to the built-in training, which has "
                f"{', '.join(PARAMETERS)}; a training of your own (trainer) has any"
            )
        if record.methods and method not in record.methods and name not in losses.get(method).weights:
            owners = " and ".join(record.methods)
            raise ValueError(f"space.parameters.{name} belongs to {owners}: {method} has none")
        if record.schedules and schedule not in record.schedules:
            owners = " and ".join(record.schedules)
            raise ValueError(f"space.parameters.{name} belongs to the schedule {owners}: {schedule} has none")
        if isinstance(parameter, ParameterChoices | str | bool):
            raise ValueError(f"space.parameters.{name} must be a number, a list of numbers, or a range")
        if isinstance(parameter, Ranged) and (parameter.temperature or parameter.integer):
            kind = "temperature" if parameter.temperature else "whole number"
            raise ValueError(f"space.parameters.{name} is no {kind}: leave that out")
        ends = (parameter.low, parameter.high) if isinstance(parameter, Ranged) else (parameter,)
        if not all(record.low <= end <= record.high for end in ends):
            raise ValueError(f"space.parameters.{name} must be from {record.low:g} to {record.high:g}")


def _check_whole(integer: bool, **numbers: float | None) -> None:
    for name, number in numbers.items():
        if integer and number is not None and (number != round(number) or abs(number) > LARGEST_WHOLE):
            raise ValueError(f"{name} must be a whole number where integer is true, got {number:g}")


def _shown(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
