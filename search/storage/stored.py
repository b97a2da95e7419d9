"""Documents as they are stored: what is written can be read again, and what cannot be read is named and counted once.

A row that cannot be read fails nobody but who asks for that row alone: over many rows it is passed over, or shown as
unreadable, by `readable` and `read`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from search.errors import NotStorable, Unreadable

MOST_BYTES = 256 * 1024 * 1024
"""Of one document; far more than any answer has, and what both databases take."""
MOST_NOTED = 10_000
BROKEN = (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError)
"""What reading raises where something else is stored than what is looked for; a ValidationError is a ValueError."""
Kind = TypeVar("Kind", bound=BaseModel)
_log = structlog.get_logger(__name__)
_noted: set[str] = set()


def as_stored(document: BaseModel) -> str:
    """The document's text, which was read again as its readers will. NotStorable names what they could not read."""
    label = type(document).__name__
    for path, value in _leaves(document.model_dump(warnings=False), label):
        if isinstance(value, float) and not math.isfinite(value):
            raise NotStorable(f"{path} is {value}, which no reader could read: only finite numbers are allowed")
    text = document.model_dump_json(warnings=False)
    if len(text) > MOST_BYTES:
        raise NotStorable(f"{label} has {len(text):,} characters; at most {MOST_BYTES:,} are stored")
    try:
        type(document).model_validate_json(text)
    except ValidationError as error:
        raise NotStorable(f"{label} could not be read again: {_first(error)}") from error
    return text


def checked(document: Kind) -> Kind:
    """The document itself, where it could be stored: whoever is sent it can read it. NotStorable."""
    as_stored(document)
    return document


def to_json(value: Any) -> str:
    """The text of a value in a column of JSON. NotStorable where it holds a number that is not finite."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        paths = [path for path, leaf in _leaves(value, "") if isinstance(leaf, float) and not math.isfinite(leaf)]
        raise NotStorable(f"{', '.join(paths[:3]) or 'it'} cannot be stored: {error}") from error


def finite(value: Any) -> Any:
    """A value with None for each number in it that is not finite: of figures that are looked at, and never added up."""
    if isinstance(value, dict):
        return {name: finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_json(text: str | bytes) -> Any:
    """The value in a column of JSON; None, which is noted, where its text is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        note_unreadable(f"a value that begins with {text[:40]!r}", error)
        return None


def read(kind: type[Kind], text: str, label: str) -> Kind:
    """A stored document. Unreadable; `label` says which it is: the result of job 9f2c."""
    with readable(label):
        return kind.model_validate_json(text)


def read_or_none(kind: type[Kind], text: str | None, label: str) -> Kind | None:
    """As `read`; None where there is none, or none that can be read."""
    if text is None:
        return None
    try:
        return read(kind, text, label)
    except Unreadable:
        return None


@contextmanager
def readable(label: str) -> Iterator[None]:
    """Within, what is stored is read: Unreadable, noted, where something else is there than what is looked for."""
    try:
        yield
    except BROKEN as error:
        note_unreadable(label, error)
        raise Unreadable(f"{label} is stored, and cannot be read: {_first(error)}") from error


def note_unreadable(label: str, error: Exception) -> None:
    """Says once in the log that something stored cannot be read, and counts it."""
    if label not in _noted and len(_noted) < MOST_NOTED:
        _noted.add(label)
        _log.error("what is stored cannot be read", what=label, error=_first(error))


def count_unreadable() -> int:
    """How many stored things this process has found that it cannot read."""
    return len(_noted)


def _first(error: Exception) -> str:
    """An error in a line: of many the first, with its field."""
    if isinstance(error, ValidationError):
        detail = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
    return f"{type(error).__name__}: {error}"[:300]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{path}.{place}" if path else str(place))
    else:
        yield path, value
