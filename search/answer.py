"""The documents that answer a job: stored with it, served as they are. Values are in the objective's own unit.

Fractions for accuracy and ECE (0.01 is one point), nats for NLL. Gains are oriented: positive is better.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Document(BaseModel):
    """Base of all documents: closed and unchanging."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Interval(Document):
    """From low to high, at the stated confidence."""

    low: float
    high: float
    confidence: float


class Estimate(Document):
    """A mean over training seeds for this teacher and this split, with its t interval and the raw values."""

    mean: float | None = Field(description="None where no seed ended")
    interval: Interval | None = Field(description="None where fewer than two seeds ended")
    standard_deviation: float | None
    values: list[float]
    seeds: list[int]


class Contestant(Document):
    """A configuration that was trained again on fresh seeds."""

    arm: Literal["joint", "label_only", "t1", "t4"]
    variant: Literal["winner", "tuned", "same_settings"]
    origin_trial: int | None
    configuration: dict[str, Any]
    validation: Estimate
    test: dict[str, Estimate] | None = Field(None, description="per metric; read once, after confirmation")
    failed_seeds: list[int] = Field(default_factory=list)


class Gain(Document):
    """What the winner gains over a baseline, paired by seed, on seeds that chose nothing."""

    over: Literal["label_only", "t1", "t4"]
    variant: Literal["tuned", "same_settings"]
    mean: float | None
    interval: Interval | None
    pairs: int
    headline: bool = Field(description="true for tuned: the baseline at its own best settings")
    test_mean: float | None = None
    test_interval: Interval | None = None


class Result(Document):
    """The answer: which temperature and settings, how good, how much better than what one would have done."""

    job_id: str
    metric: Literal["accuracy", "nll", "ece"]
    direction: Literal["maximize", "minimize"]
    winner: Contestant
    baselines: list[Contestant]
    gains: list[Gain]
    summary: str = Field(description="the answer in one or two sentences")
    estimand: str = Field(description="what the intervals speak of")
    conventions: str = Field(description="reduction and T squared convention of the loss")
    cautions: list[str] = Field(description="what to distrust")
    test_seen_before: bool = Field(description="true where the job was extended after its test part had been read")
    search_trials: int
    trials: int
    epochs: int
    wall_seconds: float
    computed_at: str


class ResponsePoint(Document):
    """Profiled quality at one temperature: the other settings at their best for it."""

    temperature: float
    mean: float
    low: float
    high: float


class TemperatureSet(Document):
    """A set of temperatures, possibly disconnected; censored where it touches an end of the searched range."""

    intervals: list[tuple[float, float]]
    confidence: float
    censored_low: bool
    censored_high: bool


class ResponseCurve(Document):
    """The temperature response of one optimizer, or of the best of all where optimizer is None."""

    optimizer: str | None
    points: list[ResponsePoint]
    best_temperature: float
    confidence_set: TemperatureSet
    equivalent_set: TemperatureSet


class Observation(Document):
    """One trial as seen by the response: its temperature, its value and how it was trained."""

    trial: int
    temperature: float
    optimizer: str
    value: float
    stage: str
    state: str


class TemperatureResponse(Document):
    """Quality as a function of T with the other settings profiled out."""

    job_id: str
    metric: Literal["accuracy", "nll", "ece"]
    direction: Literal["maximize", "minimize"]
    overall: ResponseCurve | None = Field(description="None where the temperature was fixed or trials were too few")
    per_optimizer: list[ResponseCurve]
    observations: list[Observation]
    softness: list[tuple[float, float]] = Field(description="(T, mean entropy of the teacher's softmax in nats)")
    method: str
    delta: float
    computed_at: str


class Importances(Document):
    """How much each setting moved the objective, summing to one; and by which evaluator."""

    job_id: str
    evaluator: str
    importances: dict[str, float]
    computed_at: str
