"""Cursors of paged lists: opaque to users, validated when they come back."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Sequence
from typing import Any, NoReturn

from search.errors import CursorInvalid

_LONGEST = 1024


def encode(kind: str, *position: Any) -> str:
    """A cursor for the list `kind`, after the row at this position: strings, numbers or None."""
    text = json.dumps([kind, *position], separators=(",", ":"), allow_nan=False)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(cursor: str, kind: str, types: Sequence[type | tuple[type, ...]]) -> list[Any]:
    """The position in a cursor of the list `kind`, each part of the type given. CursorInvalid."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True), parse_constant=_refuse)
    except (ValueError, binascii.Error, RecursionError):
        _refuse()
    if len(cursor) > _LONGEST or not isinstance(parts, list) or parts[:1] != [kind] or len(parts) != len(types) + 1:
        _refuse()
    position = parts[1:]
    for part, type_ in zip(position, types, strict=True):
        if isinstance(part, bool) or not isinstance(part, type_) or not _storable(part):
            _refuse()
    return position


def _storable(part: object) -> bool:
    """Whether the database can compare with it: integers of 31 bits, finite numbers, text without NUL."""
    if isinstance(part, int):
        return abs(part) < 2**31
    if isinstance(part, float):
        return math.isfinite(part)
    return part is None or is_text(str(part))


def is_text(value: str) -> bool:
    """Whether both databases can hold this string: no NUL, no half of a surrogate pair."""
    return "\x00" not in value and value.encode("utf-8", "replace").decode("utf-8") == value


def _refuse(_: object = None) -> NoReturn:
    raise CursorInvalid("this cursor was not issued by this list: take next_cursor as it was given")
