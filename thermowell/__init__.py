"""Python's side of Thermowell: the documents of its API and, as they are added, a client and what a trial reports with.

Importing this package needs nothing but the standard library of Python 3.9: each name below is loaded when it is first
used, with what it needs.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULES: dict[str, str] = {}
"""By public name the module that declares it."""

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Loads a public name from its module (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
