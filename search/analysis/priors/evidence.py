"""Evidence on T and settings in one form: a row of the literature, or a job that ended here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from search.analysis.priors.context import Context
from search.scales import log_ratio
from search.spec.fields import Part
from trainers.registry import optimizers
from trainers.spec import Configuration, Optimizer, Value

Origin = Literal["literature", "history", "given"]
How = Literal["read", "reported", "measured", "given"]
_POINTS = 7  # along an equivalent set: denser than its ends are known
_EVEN = 14  # temperatures that stand for a posterior
_AT_BEST = 0.5  # the share of a job's word that stays with its confirmed winner; the rest is its equivalent set's


@dataclass(frozen=True, slots=True)
class Numbers:
    """What goes with a temperature, where a source says so; bounds are for a table that is read."""

    __pydantic_config__ = Part.model_config

    kd_weight: Annotated[float, Field(ge=0, le=1e3)] | None = None
    label_weight: Annotated[float, Field(ge=0, le=1e3)] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1e3)] | None = None
    weight_decay: Annotated[float, Field(ge=0, le=1)] | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None


@dataclass(frozen=True, slots=True)
class Settings(Numbers):
    """The same and the optimizer that they belong to; None where a source does not say."""

    optimizer: str | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """One source's word.

    `temperature` is the one that it names; `spread` are temperatures that it found as good, it among them, each with
    its share, rising and summing to 1. `strength` is how much it would weigh in its own setting: 1 for what was
    confirmed here. `job_id` only where who asks may read that job. `censored`: its best lay at an end of its range.
    """

    origin: Origin
    source: str
    how: How
    context: Context
    temperature: float
    spread: tuple[tuple[float, float], ...]
    settings: Settings
    strength: float = 1.0
    reference: str | None = None
    job_id: str | None = None
    censored: bool = False
    gain: float | None = None
    """Of its temperature over T = 4, in the objective's unit, as far as it was measured; 0 where T = 4 is as good."""
    parameters: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    """Named parameters of its space, as they went with the temperature."""


def from_posterior(
    winner: Evidence, shares: Sequence[tuple[float, float]], *, temperature: float, gain: float | None
) -> Evidence:
    """The same job's word where its answer keeps the posterior of its best T: (T, share), as wide as that is.

    Nothing is added for one temperature that the job settled on: a flat response stays flat.
    """
    total = math.fsum(share for _, share in shares)
    pooled: dict[float, float] = {}
    groups = _pooled(sorted(shares))
    for group in groups:
        weight = math.fsum(share for _, share in group)
        if weight > 0:
            middle = math.exp(math.fsum(share * math.log(value) for value, share in group) / weight)
            pooled[middle] = weight / total
    return dataclasses.replace(winner, temperature=temperature, spread=tuple(sorted(pooled.items())), gain=gain)


def evenly(low: float, high: float) -> list[tuple[float, float]]:
    """Any temperature from low to high: evenly over their logarithm."""
    whole = log_ratio(high, low)
    if whole <= 0:
        return [(low, 1.0)]
    return [(low * math.exp(whole * (point + 0.5) / _EVEN), 1.0 / _EVEN) for point in range(_EVEN)]


def _pooled(shares: Sequence[tuple[float, float]]) -> list[Sequence[tuple[float, float]]]:
    """A curve's grid in at most _EVEN groups of neighbours."""
    size = max(1, math.ceil(len(shares) / _EVEN))
    return [shares[start : start + size] for start in range(0, len(shares), size)]


def from_winner(
    context: Context,
    configuration: Configuration,
    equivalent: Sequence[tuple[float, float]],
    *,
    source: str,
    job_id: str | None = None,
    censored: bool = False,
) -> Evidence:
    """What a finished job says: its confirmed winner, and the temperatures shown to be as good (intervals).

    Half of its word is the winner's T, half lies evenly over the logarithm of the intervals: where the response is
    flat, a job has not found one temperature but many.
    """
    optimizer = configuration.optimizer
    return Evidence(
        origin="history",
        source=source,
        how="measured",
        context=dataclasses.replace(context, optimizers=() if optimizer is None else (optimizer.name,)),
        temperature=configuration.temperature,
        spread=_spread(configuration.temperature, equivalent),
        settings=Settings(
            kd_weight=configuration.kd_weight,
            label_weight=configuration.label_weight,
            **({} if optimizer is None else _of_optimizer(optimizer)),
        ),
        job_id=job_id,
        censored=censored,
        parameters=dict(configuration.parameters),
    )


def _of_optimizer(optimizer: Optimizer) -> dict[str, Any]:
    momentum = optimizer.momentum if optimizers.has(optimizer.name, "momentum") else None
    return {
        "optimizer": optimizer.name,
        "learning_rate": optimizer.learning_rate,
        "weight_decay": optimizer.weight_decay,
        "momentum": momentum,
    }


def _spread(best: float, intervals: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    lengths = [log_ratio(high, low) for low, high in intervals]
    total = sum(lengths)
    if total <= 0:
        return ((best, 1.0),)
    shares = {best: _AT_BEST}
    for point in range(_POINTS):
        remaining = total * (point + 0.5) / _POINTS  # the middle of each of so many equal pieces
        for (low, _), length in zip(intervals, lengths, strict=True):
            if remaining <= length:
                temperature = low * math.exp(remaining)
                shares[temperature] = shares.get(temperature, 0.0) + (1 - _AT_BEST) / _POINTS
                break
            remaining -= length
    return tuple(sorted(shares.items()))
