"""The further settings of the built-in training that a space may search beside T and the optimizer: a record each.

Each trial has its own value, in a lane of a bank as in the loop. Where a space does not name one, the job's `training`
and `distillation` say what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParameterRecord:
    """A setting by name: from where to where it may go, and with which `methods` alone it says anything, if not all."""

    name: str
    summary: str
    low: float
    high: float
    methods: tuple[str, ...] = ()


PARAMETERS: Mapping[str, ParameterRecord] = {}
