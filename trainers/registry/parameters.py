"""The further settings of the built-in training that a space may search beside T and the optimizer: a record each.

Each trial has its own value, in a lane of a bank as in the loop. Where a space does not name one, the job's `training`
and `distillation` say what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trainers.registry.losses import LOSSES, WEIGHTS


@dataclass(frozen=True, slots=True)
class ParameterRecord:
    """A setting by name: from where to where it may go, and with which `methods`, or `schedules` of the learning rate,
    alone it says anything, if not with all.
    """

    name: str
    summary: str
    low: float
    high: float
    methods: tuple[str, ...] = ()
    schedules: tuple[str, ...] = ()


def _weight(name: str) -> ParameterRecord:
    owners = tuple(loss.name for loss in LOSSES.values() if name in loss.weights)
    return ParameterRecord(name, f"the method's weight {name}", 0.0, 1e3, methods=owners)


PARAMETERS: Mapping[str, ParameterRecord] = {
    record.name: record
    for record in (
        ParameterRecord("warmup_share", "share of all steps in which the learning rate rises from 0", 0.0, 0.9),
        ParameterRecord(
            "final_factor", "share of the learning rate towards which it falls", 0.0, 1.0, schedules=("cosine",)
        ),
        ParameterRecord("label_smoothing", "smoothing of the student's labels", 0.0, 0.999),
        *map(_weight, WEIGHTS),
    )
}
