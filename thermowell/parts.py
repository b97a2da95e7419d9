"""The parts that a spec is built of in Python (thermowell.spec, which is generated), and what they are as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any


class Part:
    """A part of a spec, whose fields are those of the document; what is None is left to the service's default."""

    def document(self) -> dict[str, Any]:
        """The part as plain JSON, without what is left to a default."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.document()
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value
