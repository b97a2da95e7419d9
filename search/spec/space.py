"""The space part of a spec: what is searched, temperature and weights, optimizers and named parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from search.spec.fields import LogSearched, Part, Range, Ranged, Searched, check_bounds
from search.spec.optimizers import OWN, OptimizerSpace, SettingsSpace
from search.spec.parameters import (
    MOST_PARAMETERS,
    Parameter,
    ParameterName,
    SearchedParameter,
    check_names,
)
from trainers.registry import optimizers

COLDEST = 1e-3
"""The lowest T that makes sense: logits that are divided by less no longer fit into single precision."""


def _or_same(schema: dict[str, Any]) -> None:
    schema["anyOf"].append({"const": "same"})


class SpaceSpec(Part):
    """What is searched. label_weight is 1 - kd_weight unless given."""

    temperature: LogSearched = Range(low=1.0, high=40.0, log=True)
    kd_weight: Searched = Range(low=0.1, high=1.0)
    label_weight: Searched | None = None
    optimizer: OptimizerSpace | None = Field(
        OptimizerSpace.model_validate({name: {} for name in optimizers.SEARCHED}),
        description="null where the training is your own and has one of its own",
    )
    final_temperature: LogSearched | None = Field(None, description="where distillation.schedule takes T")
    student_temperature: LogSearched | None = Field(
        None,
        description="of the student's softmax; same or null: the teacher's",
        json_schema_extra=_or_same,
    )
    parameters: dict[ParameterName, Parameter] = Field(
        default_factory=dict,
        max_length=MOST_PARAMETERS,
        description="by name: a range, an ordered list (values), unordered choices, or a fixed value",
    )

    @field_validator("student_temperature", mode="before")
    @classmethod
    def _same(cls, value: Any) -> Any:
        """`same` in words."""
        return None if value == "same" else value

    @field_validator("optimizer", mode="before")
    @classmethod
    def _defaults(cls, value: Any) -> Any:
        """A name with nothing behind it, in YAML, means that optimizer with its default ranges."""
        if isinstance(value, dict):
            return {name: {} if settings is None else settings for name, settings in value.items()}
        return value

    @model_validator(mode="after")
    def _bounds(self, info: ValidationInfo) -> Self:
        for name in ("temperature", "final_temperature", "student_temperature"):
            check_bounds(name, getattr(self, name), 0, 1e4, info, low_open=True, least=COLDEST)
        check_bounds("kd_weight", self.kd_weight, 0, 1e3, info)
        check_bounds("label_weight", self.label_weight, 0, 1e3, info)
        highest = self.kd_weight.high if isinstance(self.kd_weight, Ranged) else self.kd_weight
        if self.label_weight is None and highest > 1:
            raise ValueError("kd_weight above 1 needs a label_weight of its own (1 - kd_weight would be negative)")
        return self

    @field_validator("parameters")
    @classmethod
    def _in_order(cls, parameters: dict[str, Parameter]) -> dict[str, Parameter]:
        """By name: a database need not keep the order of what it stores, and samplers go by it."""
        return dict(sorted(parameters.items()))

    @model_validator(mode="after")
    def _names_apart(self) -> Self:
        check_names(self.parameters, self.optimizer)
        return self

    @model_serializer(mode="wrap")
    def _as_ever(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without parameters, where there are none; `optimizer: null` is said, which nulls otherwise are not."""
        document: dict[str, Any] = handler(self)
        if not self.parameters:
            document.pop("parameters", None)
        return document if self.optimizer is not None else document | {"optimizer": None}

    def optimizers(self) -> Mapping[str, SettingsSpace]:
        """The optimizers by name, each with its settings; the training's own, of which nothing is known, as OWN."""
        return {OWN: SettingsSpace()} if self.optimizer is None else self.optimizer.choices()

    def searches(self) -> bool:
        """Whether anything is searched."""
        parts = [self.temperature, self.final_temperature, self.student_temperature, self.kd_weight, self.label_weight]
        parts += [part for settings in self.optimizers().values() for part in settings.numbers().values()]
        return (
            len(self.optimizers()) > 1
            or any(isinstance(part, Ranged) for part in parts)
            or any(isinstance(part, SearchedParameter) for part in self.parameters.values())
        )
