"""Advice as it is sent: what is known of a setting before anything is trained in it, as frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class AdvisedTemperature:
    """One temperature and the share of the evidence's weight that lies at it."""

    temperature: float
    weight: float


@dataclass(frozen=True, slots=True)
class AdvisedQuantile:
    """The temperature below which this share of the weight lies."""

    share: float
    temperature: float


@dataclass(frozen=True, slots=True)
class AdvisedOptimizer:
    """An optimizer and its share of the weight of those sources that name one."""

    name: str
    weight: float


@dataclass(frozen=True, slots=True)
class AdvisedSetting:
    """A setting's weighted 10%, 50% and 90% quantiles; `told` is the share of the weight whose sources tell it."""

    setting: str
    low: float
    middle: float
    high: float
    told: float


@dataclass(frozen=True, slots=True)
class AdviceApart:
    """One feature in which a source's setting differs; None where it is unknown."""

    feature: str
    distance: float
    yours: str | None
    theirs: str | None


@dataclass(frozen=True, slots=True)
class AdviceSource:
    """One source, how far its setting is and how much it weighs; it found `low` to `high` as good as `temperature`."""

    origin: Literal["literature", "history"]
    source: str
    reference: str | None
    job_id: str | None
    how: Literal["read", "reported", "measured"]
    temperature: float
    low: float
    high: float
    settings: dict[str, float | str]
    distance: float
    weight: float
    apart: list[AdviceApart]


@dataclass(frozen=True, slots=True)
class AdvisedDefault:
    """T = 4 against what the sources found."""

    temperature: float
    as_good: float
    gain: float | None
    keep: bool
    words: str


@dataclass(frozen=True, slots=True)
class Advice:
    """A distribution over T and settings, its sources, and what they do not cover."""

    context: dict[str, Any]
    mode: Literal["none", "literature", "history", "both"]
    temperatures: list[AdvisedTemperature]
    quantiles: list[AdvisedQuantile]
    optimizers: list[AdvisedOptimizer]
    settings: list[AdvisedSetting]
    sources: list[AdviceSource]
    sources_known: int
    effective_sources: float
    gaps: list[str]
    method: str
    default: AdvisedDefault | None = None
