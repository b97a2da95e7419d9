"""One point of the search space: the temperature, the weights of the loss, and the optimizer's settings."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, PlainSerializer, WithJsonSchema

from thermowell.api.document import Record


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
    parameters: Annotated[
        dict[str, bool | int | float | str], Field(description="further settings of the training, by name")
    ] = field(default_factory=dict, hash=False)

    def stored(self) -> dict[str, Any]:
        """The configuration as it is stored: what came later is left out while it says nothing."""
        values = dataclasses.asdict(self)
        required = {name: values.pop(name) for name in ("temperature", "kd_weight", "label_weight", "optimizer")}
        student = {"student_temperature": values.pop("student_temperature")}
        return required | student | {name: value for name, value in values.items() if value not in (None, {})}


StoredConfiguration = Annotated[
    Configuration,
    PlainSerializer(Configuration.stored),
    WithJsonSchema({"additionalProperties": True, "type": "object", "title": "Configuration"}),
]
"""A configuration within an answer, which is sent and stored in the form in which the tables have it."""
