"""One point of the search space: the temperature, the weights of the loss, and the optimizer's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Union

from pydantic import Field

from thermowell.api.document import Record

Value = Union[bool, int, float, str]


@dataclass(frozen=True, slots=True)
class Optimizer(Record):
    """torch.optim's settings; those that the optimizer does not have count for nothing."""

    name: str
    learning_rate: float
    weight_decay: float
    momentum: float = 0.0
    nesterov: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration(Record):
    """One point of the search space."""

    temperature: float
    student_temperature: Annotated[float | None, Field(description="where it differs")] = None
    final_temperature: Annotated[float | None, Field(description="to which a scheduled T goes from `temperature`")] = (
        None
    )
    method: Annotated[
        str | None, Field(description="{plain_loss}: a baseline's, where the job's method is another")
    ] = None
    kd_weight: float
    label_weight: float
    optimizer: Annotated[Optimizer | None, Field(description="null: the training has one of its own")]
    parameters: Annotated[dict[str, Value], Field(description="further settings of the training, by name")] = field(
        default_factory=dict, hash=False
    )
