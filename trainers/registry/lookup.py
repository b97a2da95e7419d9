"""Finds what belongs to a name; an unknown name is an error that lists the known ones."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from trainers.errors import NameUnknown

Value = TypeVar("Value")


def find(kind: str, name: str, candidates: Mapping[str, Value]) -> Value:
    """The value of a name. NameUnknown, with the nearest names, where there is none."""
    value = candidates.get(name)
    if value is None:
        raise NameUnknown(
            f"{unknown(kind, name, candidates)}. A newer version may know it: update this worker, or choose one of "
            f"{', '.join(candidates)}"
        )
    return value


def unknown(kind: str, name: str, candidates: Iterable[str], also: str = "") -> str:
    """A sentence about an unknown name, with the nearest known ones; `also` says what else is allowed."""
    names = list(candidates)
    lowered = {candidate.lower(): candidate for candidate in names}
    near = [lowered[match] for match in difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names[:12])}"
    return f"unknown {kind} {name!r}: {hint}" + (f" ({also})" if also and not near else "")
