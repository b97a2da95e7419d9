"""One point of the search space: the temperature, the weights of the loss, and the optimizer's settings.

Declared here once: trainers train it, search proposes and stores it, the service sends it, clients read it.

Loss = kd_weight * T_t * T_s * KL(softmax(z_t / T_t) || softmax(z_s / T_s)) + label_weight * cross entropy,
both at `batchmean` (Hinton et al. 2015, arXiv:1503.02531); T_s is T_t unless given. The job's `distillation` may put
another term in the place of KL, but where the configuration has a `method`, a baseline's plain KL; where it gives T a
shape, T_t goes from `temperature` to `final_temperature`, if that is given. `parameters` are further settings by name:
of the built-in training those of `trainers.registry.parameters`, which stand above what the job says; of one's own
training any, and its `optimizer` may be its own, of which nothing is known here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PlainSerializer, WithJsonSchema

from thermowell.api.document import Record


def _always_sent(schema: dict[str, Any]) -> None:
    """Weight decay has a default for those who make an optimizer, none for those who read one."""
    schema["properties"]["weight_decay"].pop("default")
    schema["required"] = [*schema["required"], "weight_decay"]


@dataclass(frozen=True, slots=True)
class Optimizer(Record):
    """torch.optim's settings; those that the optimizer does not have count for nothing."""

    __pydantic_config__ = ConfigDict(revalidate_instances="always", json_schema_extra=_always_sent)

    name: str
    learning_rate: float
    weight_decay: float = 0.0
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

    @property
    def known_optimizer(self) -> Optimizer:
        """The optimizer. ValueError where the training has one of its own."""
        if self.optimizer is None:
            raise ValueError("the configuration names no optimizer: it is for a training that has one of its own")
        return self.optimizer

    def number(self, name: str, otherwise: float) -> float:
        """A parameter of the built-in training, where the configuration has it."""
        value = self.parameters.get(name, otherwise)
        return otherwise if isinstance(value, str) else float(value)

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
