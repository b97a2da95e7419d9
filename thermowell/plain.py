"""Words of others as a terminal may have them: without what would move its cursor, colour it, or turn a line."""

from __future__ import annotations

import json
from typing import Any

_KEPT = "\n\t"
_MOVING = [
    *range(0x20),
    *range(0x7F, 0xA0),
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
    0x200E,
    0x200F,
    0x2028,
    0x2029,
]
_NOTHING = {one: None for one in _MOVING if chr(one) not in _KEPT}
_ESCAPED = {one: f"\\u{one:04x}" for one in _NOTHING if one > 0x1F}


def plain(text: str) -> str:
    """A text without control characters: escape sequences are left as the harmless rest of them."""
    return text.translate(_NOTHING)


def json_text(document: Any, indent: int | None = None) -> str:
    """A document as JSON that a terminal may show: the same to who parses it."""
    return json.dumps(document, indent=indent, ensure_ascii=False).translate(_ESCAPED)
