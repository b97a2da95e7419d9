# Made of the schema and the registry by tests/architecture/test_spec_builders.py: write it anew there.
"""Builders of what a spec searches: ranges, lists and fixed values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from thermowell.parts import Part


@dataclass(kw_only=True)
class AdamSpace(Part):
    """Adam's and AdamW's settings; each a number, a range or a list."""

    learning_rate: float | Range | Mapping[str, Any] | Choices | None = None
    weight_decay: float | Range | Mapping[str, Any] | Choices | None = None


@dataclass(kw_only=True)
class Choices(Part):
    """A searched number that is one of these, which rise; a list alone means the same. Their order counts: what is
    near to a good one is thought to be good, on a logarithmic scale where log is true.
    """

    values: Sequence[float]
    log: bool | None = None


@dataclass(kw_only=True)
class LionSpace(Part):
    """Lion's settings; each a number, a range or a list."""

    learning_rate: float | Range | Mapping[str, Any] | Choices | None = None
    weight_decay: float | Range | Mapping[str, Any] | Choices | None = None


@dataclass(kw_only=True)
class NAdamSpace(Part):
    """NAdam's settings; each a number, a range or a list."""

    learning_rate: float | Range | Mapping[str, Any] | Choices | None = None
    weight_decay: float | Range | Mapping[str, Any] | Choices | None = None


@dataclass(kw_only=True)
class OptimizerSpace(Part):
    """The choice of optimizers: name one or more, each with settings of its own."""

    sgd: SgdSpace | Mapping[str, Any] | None = None
    adam: AdamSpace | Mapping[str, Any] | None = None
    adamw: AdamSpace | Mapping[str, Any] | None = None
    lion: LionSpace | Mapping[str, Any] | None = None
    rmsprop: RMSpropSpace | Mapping[str, Any] | None = None
    nadam: NAdamSpace | Mapping[str, Any] | None = None


@dataclass(kw_only=True)
class ParameterChoices(Part):
    """A searched parameter that is one of these, in no order; a list with words in it alone means the same.

    default: what the training has unless told otherwise; the middle, or the first, unless given
    """

    choices: Sequence[bool | int | float | str]
    default: bool | int | float | str | None = None


@dataclass(kw_only=True)
class ParameterRange(Part):
    """A searched parameter from low to high: on a logarithmic scale where log is true, whole where integer is.

    default: what the training has unless told otherwise; the middle, or the first, unless given
    temperature: a further temperature: the trial groups T = 1, T = 4 and labels alone pin it together with T
    """

    low: float
    high: float
    log: bool | None = None
    integer: bool | None = None
    default: float | None = None
    temperature: bool | None = None


@dataclass(kw_only=True)
class ParameterValues(Part):
    """A searched parameter that is one of these numbers, whose order counts; a list of numbers alone means the same.

    default: what the training has unless told otherwise; the middle, or the first, unless given
    temperature: a further temperature: the trial groups T = 1, T = 4 and labels alone pin it together with T
    """

    values: Sequence[float]
    log: bool | None = None
    integer: bool | None = None
    default: float | None = None
    temperature: bool | None = None


@dataclass(kw_only=True)
class RMSpropSpace(Part):
    """RMSprop's settings; each a number, a range or a list."""

    learning_rate: float | Range | Mapping[str, Any] | Choices | None = None
    momentum: float | Range | Mapping[str, Any] | Choices | None = None
    weight_decay: float | Range | Mapping[str, Any] | Choices | None = None


@dataclass(kw_only=True)
class Range(Part):
    """A searched number: from low to high, on a logarithmic scale where log is true."""

    low: float
    high: float
    log: bool | None = None


@dataclass(kw_only=True)
class SgdSpace(Part):
    """Stochastic gradient descent's settings; each a number, a range or a list."""

    learning_rate: float | Range | Mapping[str, Any] | Choices | None = None
    momentum: float | Range | Mapping[str, Any] | Choices | None = None
    nesterov: bool | None = None
    weight_decay: float | Range | Mapping[str, Any] | Choices | None = None


@dataclass(kw_only=True)
class Space(Part):
    """What is searched. label_weight is 1 - kd_weight unless given.

    optimizer: null where the training is your own and has one of its own
    final_temperature: where distillation.schedule takes T
    student_temperature: of the student's softmax; same or null: the teacher's
    parameters: by name: a range, an ordered list (values), unordered choices, or a fixed value
    """

    temperature: float | Range | Mapping[str, Any] | Choices | None = None
    kd_weight: float | Range | Mapping[str, Any] | Choices | None = None
    label_weight: float | Range | Mapping[str, Any] | Choices | None = None
    optimizer: OptimizerSpace | Mapping[str, Any] | None = None
    final_temperature: float | Range | Mapping[str, Any] | Choices | None = None
    student_temperature: float | Range | Mapping[str, Any] | Choices | Literal["same"] | None = None
    parameters: Mapping[str, Any] | None = None
