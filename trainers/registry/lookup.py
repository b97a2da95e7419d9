"""Finds what belongs to a name; an unknown name is an error that lists the known ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from trainers.errors import NameUnknown

Value = TypeVar("Value")


def find(what: str, name: str, known: Mapping[str, Value]) -> Value:
    """The value of a name. NameUnknown, with the nearest names, where there is none."""
    value = known.get(name)
    if value is None:
        raise NameUnknown(
            f"{unknown(what, name, known)}. A newer version may know it: update this worker, or choose one of "
            f"{', '.join(known)}"
        )
    return value


def unknown(what: str, name: str, known: Iterable[str], also: str = "") -> str:
    """A sentence about an unknown name, with the nearest known ones; `also` says what else is allowed."""
    names = list(known)
    lowered = {candidate.lower(): candidate for candidate in names}
    near = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names[:12])}"
    return f"unknown {what} {name!r}: {hint}" + (f" ({also})" if also and not near else "")
