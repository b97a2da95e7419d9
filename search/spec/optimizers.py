"""The optimizers of a search space, each with settings of its own: parts of a spec, made from the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

from pydantic import (
    ConfigDict,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    create_model,
    model_serializer,
    model_validator,
)

from search.spec.fields import LogSearched, Part, Range, Ranged, Searched, at_door, check_bounds
from thermowell.plugin import NAME
from trainers.registry import optimizers, plugins
from trainers.registry.optimizers import COMMON, NUMBERS, OPTIMIZERS, Interval, OptimizerRecord, Setting
from trainers.registry.plugins import is_plugin
from trainers.spec import Optimizer, OptimizerName

OWN = "own"
"""The name of an optimizer of which nothing is known: the one that a training of one's own has (optimizer: null)."""


def _with_plugins(schema: dict[str, Any]) -> None:
    """An optimizer of a plugin has settings of its own."""
    settings = {"type": "object", "description": "a plugin's optimizer: its settings, each a number, a range or a list"}
    schema["patternProperties"] = {f"^{NAME}$": settings}


class SettingsSpace(Part):
    """One optimizer's settings; each a number, a range or a list, but for switches, which are never searched."""

    records: ClassVar[tuple[Setting, ...]] = ()

    @model_validator(mode="after")
    def _bounds(self, info: ValidationInfo) -> Self:
        for setting in self.records:
            if not setting.switch:
                check_bounds(
                    setting.name,
                    getattr(self, setting.name),
                    setting.low,
                    setting.high,
                    info,
                    low_open=setting.low_open,
                )
        for setting in self.records:
            if setting.needs is not None and getattr(self, setting.name):
                needed = getattr(self, setting.needs)
                if (needed.low if isinstance(needed, Ranged) else needed) <= 0:
                    raise ValueError(f"{setting.name} needs a positive {setting.needs}")
        return self

    def numbers(self) -> dict[str, Searched]:
        """Its settings that may be searched, in the order in which a sampler is asked for them."""
        return {name: getattr(self, name) for name in NUMBERS if name in type(self).model_fields}

    def optimizer(self, name: OptimizerName, numbers: dict[str, float]) -> Optimizer:
        """The optimizer of that name with these numbers and the space's switches."""
        switches = {setting.name: bool(getattr(self, setting.name)) for setting in self.records if setting.switch}
        learning_rate, weight_decay = (numbers[common] for common in COMMON)
        rest: dict[str, Any] = {key: value for key, value in numbers.items() if key not in COMMON}
        return Optimizer(name, learning_rate, weight_decay, **rest, **switches)


class OptimizerChoice(Part):
    """The choice of optimizers: name one or more, each with settings of its own."""

    model_config = ConfigDict(json_schema_extra=_with_plugins)
    _of_plugins: dict[OptimizerName, SettingsSpace] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _some(cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Those of plugins are put aside: their settings are not known before."""
        plugged: dict[str, Any] = {}
        if isinstance(value, Mapping):
            plugged = {name: part for name, part in value.items() if isinstance(name, str) and is_plugin(name)}
            value = {name: part for name, part in value.items() if name not in plugged}
        choice = handler(value)
        if plugged:
            choice._of_plugins = {name: _of_plugin(name, plugged[name], info) for name in sorted(plugged)}
        if not choice.choices():
            raise ValueError(f"name at least one of {', '.join(OPTIMIZERS)}")
        return choice

    @model_serializer(mode="wrap")
    def _all(self, handler: SerializerFunctionWrapHandler, info: SerializationInfo) -> dict[str, Any]:
        """With those of plugins."""
        document: dict[str, Any] = handler(self)
        plugged = {name: space.model_dump(mode=info.mode) for name, space in self._of_plugins.items()}
        return document | plugged

    def choices(self) -> dict[OptimizerName, SettingsSpace]:
        """The optimizers that were named, in a fixed order, plugins' last."""
        spaces = {name: getattr(self, name) for name in OPTIMIZERS} | self._of_plugins
        return {name: space for name, space in spaces.items() if space is not None}


def _of_plugin(name: OptimizerName, document: Any, info: ValidationInfo) -> SettingsSpace:
    """The settings of a plugin's optimizer; those that the document has where it is stored, whatever the plugin has
    become since, and where nobody looked which there are.
    """
    if isinstance(document, SettingsSpace):
        return document
    if problems := plugins.problems("optimizer", name):
        raise ValueError("; ".join(problems))
    record = optimizers.get(name)
    if not at_door(info) or plugins.known("optimizer", name) is None:
        by_name = {setting.name: setting for setting in (*optimizers.OF_PLUGINS, *record.settings)}
        names = {*COMMON, *(document or ())}
        record = replace(record, settings=tuple(part for key, part in by_name.items() if key in names))
    try:
        return _settings_space(record).model_validate(document or {}, context=info.context)
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False)
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{name}: {place} {first['msg'].removeprefix('Value error, ')}") from None


def _field(setting: Setting) -> tuple[Any, Any]:
    """The type and the default of a spec's field."""
    if setting.switch:
        return bool, setting.default
    default = setting.default
    default_value = (
        Range(low=default.low, high=default.high, log=default.log) if isinstance(default, Interval) else default
    )
    return LogSearched if setting.log else Searched, default_value


@lru_cache(64)
def _settings_space(record: OptimizerRecord) -> type[SettingsSpace]:
    fields: dict[str, Any] = {setting.name: _field(setting) for setting in record.settings}
    model = create_model(
        f"{record.group}Space",
        __base__=SettingsSpace,
        __module__=__name__,
        __doc__=f"{record.group_summary}; each a number, a range or a list.",
        **fields,
    )
    model.records = record.settings
    return model


def _optimizer_space() -> type[OptimizerChoice]:
    groups = {record.group: _settings_space(record) for record in OPTIMIZERS.values()}
    fields: dict[str, Any] = {name: (groups[record.group] | None, None) for name, record in OPTIMIZERS.items()}
    return create_model(
        "OptimizerSpace", __base__=OptimizerChoice, __module__=__name__, __doc__=OptimizerChoice.__doc__, **fields
    )


if TYPE_CHECKING:
    OptimizerSpace: TypeAlias = OptimizerChoice
else:
    OptimizerSpace = _optimizer_space()
