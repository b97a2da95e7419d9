"""Python's side of Thermowell: the documents of its API and, as they are added, a client and what a trial reports with.

Importing this package needs nothing but the standard library of Python 3.9: each name below is loaded when it is first
used, with what it needs (Python 3.10, pydantic, httpx).
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thermowell import huggingface as huggingface
    from thermowell import keras as keras
    from thermowell import lightning as lightning
    from thermowell.aio.client import AsyncClient as AsyncClient
    from thermowell.drawing import Drawing as Drawing
    from thermowell.errors import Forbidden as Forbidden
    from thermowell.errors import IllegalMove as IllegalMove
    from thermowell.errors import Invalid as Invalid
    from thermowell.errors import NotFound as NotFound
    from thermowell.errors import NotReady as NotReady
    from thermowell.errors import QuotaExceeded as QuotaExceeded
    from thermowell.errors import Refused as Refused
    from thermowell.errors import ThermowellError as ThermowellError
    from thermowell.errors import TooOften as TooOften
    from thermowell.errors import Unauthenticated as Unauthenticated
    from thermowell.errors import Unreachable as Unreachable
    from thermowell.frames import to_frame as to_frame
    from thermowell.spec import Spec as Spec
    from thermowell.study import StudySpec as StudySpec
    from thermowell.sync.client import Client as Client
    from thermowell.trial.documents import Configuration as Configuration
    from thermowell.trial.handle import Diverged as Diverged
    from thermowell.trial.handle import Infeasible as Infeasible
    from thermowell.trial.handle import Pruned as Pruned
    from thermowell.trial.handle import Trial as Trial
    from thermowell.trial.handle import Unfinished as Unfinished
    from thermowell.trial.loop import optimize as optimize
    from thermowell.trial.loop import trials as trials

_ERRORS = (
    *("Forbidden", "IllegalMove", "Invalid", "NotFound", "NotReady", "QuotaExceeded", "Refused", "ThermowellError"),
    *("TooOften", "Unauthenticated", "Unreachable"),
)
_TRIAL = {
    "Configuration": "thermowell.trial.documents",
    **dict.fromkeys(("Diverged", "Infeasible", "Pruned", "Trial", "Unfinished"), "thermowell.trial.handle"),
    **dict.fromkeys(("optimize", "trials"), "thermowell.trial.loop"),
}
_CALLBACKS = ("huggingface", "keras", "lightning")
_MODULES = {
    "AsyncClient": "thermowell.aio.client",
    "Client": "thermowell.sync.client",
    "Drawing": "thermowell.drawing",
    "Spec": "thermowell.spec",
    "StudySpec": "thermowell.study",
    "to_frame": "thermowell.frames",
    **_TRIAL,
    **dict.fromkeys(_ERRORS, "thermowell.errors"),
}
"""By public name the module that declares it."""


def __getattr__(name: str) -> Any:
    """Loads a public name from its module (PEP 562)."""
    if name in _CALLBACKS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if sys.version_info < (3, 10) and name not in _TRIAL and name not in _ERRORS:
        raise ImportError(f"thermowell.{name} needs Python 3.10 or newer; this is {sys.version.split()[0]}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES, *_CALLBACKS])
