"""Measurements of programs of others: what they report of an epoch, and what of it cannot be."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search.errors import ReportRefused
from search.spec.job import JobSpec

COLUMNS = ("train_loss", "learning_rate", "accuracy", "nll", "ece", "teacher_agreement", "teacher_entropy")
"""Metrics that have a column of their own."""


@dataclass(frozen=True, slots=True)
class OwnReport:
    """An epoch of a trial: whatever was measured, by name, and how long it took."""

    epoch: int
    metrics: Mapping[str, float]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Resume:
    """From where a later attempt goes on: so many epochs are behind it, and where its program finds the rest."""

    epoch: int
    at: str


def value_of(spec: JobSpec, metrics: Mapping[str, float]) -> float:
    """The objective among what was measured. ReportRefused says what was measured instead, and what is near."""
    metric = spec.objective.metric
    if metric not in metrics:
        names = ", ".join(sorted(metrics)) or "nothing"
        near = difflib.get_close_matches(metric, metrics, n=1, cutoff=0.5)
        hint = f": did you mean {near[0]}? Report it as {metric}" if near else ""
        raise ReportRefused(f"the job's objective is {metric}, but there is {names}{hint}")
    value = float(metrics[metric])
    try:
        spec.objective.check(value)
    except ValueError as error:
        raise ReportRefused(
            f"{error}: give a fraction where it was a percentage, or report the metric of the job"
        ) from None
    return value


def check_reports(spec: JobSpec, entries: Sequence[OwnReport]) -> None:
    """ReportRefused for an epoch that the job does not have, and for an objective that cannot be."""
    for entry in entries:
        if not 1 <= entry.epoch <= spec.training.epochs:
            raise ReportRefused(f"epochs of this job go from 1 to {spec.training.epochs}, got {entry.epoch}")
        if spec.objective.metric in entry.metrics:
            value_of(spec, entry.metrics)
