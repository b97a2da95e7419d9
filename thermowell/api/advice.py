"""The document that answers a context: a distribution over T and settings, its sources, and what they do not cover."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from thermowell.api.document import Document

_SETTING = "kd_weight, or the optimizer's: {optimizer}.learning_rate, {last_optimizer}.weight_decay, ..."

Mode = Literal["none", "literature", "history", "both"]


class AdvisedTemperature(Document):
    """One temperature and the share of the evidence's weight that lies at it; all of them sum to 1."""

    temperature: float
    weight: float


class AdvisedQuantile(Document):
    """The temperature below which this share of the weight lies."""

    share: float
    temperature: float


class AdvisedOptimizer(Document):
    """An optimizer and its share of the weight of those sources that name one."""

    name: str
    weight: float


class AdvisedSetting(Document):
    """A setting's weighted 10%, 50% and 90% quantiles among the sources that tell it."""

    setting: str = Field(description=_SETTING)
    low: float
    middle: float
    high: float
    told: float = Field(description="the share of the weight whose sources tell it")


class AdviceApart(Document):
    """One feature in which a source's context differs, or is not known to be the same."""

    feature: str
    distance: float
    yours: str | None = Field(description="None where it is unknown")
    theirs: str | None = Field(description="None where it is unknown, or not yours to know")


class AdviceSource(Document):
    """One source, how far its context is and how much it weighs; all weights sum to 1."""

    origin: Literal["literature", "history"]
    source: str
    reference: str | None = Field(description="where to read it")
    job_id: str | None = Field(description="the job, where it is yours to read")
    how: Literal["read", "reported", "measured"]
    temperature: float
    low: float = Field(description="the lowest temperature that it found as good")
    high: float = Field(description="the highest")
    settings: dict[str, float | str]
    distance: float
    weight: float
    apart: list[AdviceApart] = Field(description="the largest differences first")


class AdvisedDefault(Document):
    """T = 4, which most take without searching, against what the sources found."""

    temperature: float
    as_good: float = Field(description="the share of the weight whose sources found it as good as their best")
    gain: float | None = Field(description="what another T gained over it, weighted; null where no source measured it")
    keep: bool
    words: str


class Advice(Document):
    """What is known before the first trial of a job in this context."""

    context: dict[str, Any]
    mode: Mode
    temperatures: list[AdvisedTemperature] = Field(description="rising; empty where there is no source at all")
    quantiles: list[AdvisedQuantile]
    optimizers: list[AdvisedOptimizer]
    settings: list[AdvisedSetting]
    sources: list[AdviceSource] = Field(description="the heaviest first, as many as were asked for")
    sources_known: int = Field(description="how many there are, shown or not")
    effective_sources: float = Field(description="of how many equally heavy sources the weights are worth (Kish)")
    default: AdvisedDefault | None = Field(None, description="null where there is no source at all")
    gaps: list[str] = Field(description="what the evidence does not cover")
    method: str
