"""The answer of a job as it is sent, as frozen dataclasses: result, response, importances, interactions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from service.remote.documents import Configuration, Metric

Direction = Literal["maximize", "minimize"]
Baseline = Literal["label_only", "t1", "t4"]


@dataclass(frozen=True, slots=True)
class Interval:
    """From low to high, at the stated confidence."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over training seeds with its t interval, and the raw values."""

    mean: float | None
    interval: Interval | None
    standard_deviation: float | None
    values: list[float]
    seeds: list[int]


@dataclass(frozen=True, slots=True)
class Contestant:
    """A configuration that was trained again on fresh seeds."""

    arm: Literal["joint", "label_only", "t1", "t4"]
    variant: Literal["winner", "tuned", "same_settings"]
    origin_trial: int | None
    configuration: Configuration
    validation: Estimate
    test: dict[str, Estimate] | None = None
    failed_seeds: list[int] = field(default_factory=list)
    test_interval_images: Interval | None = None


@dataclass(frozen=True, slots=True)
class Gain:
    """What the winner gains over a baseline, paired by seed; positive is better, `headline` is over the tuned one."""

    over: Baseline
    variant: Literal["tuned", "same_settings"]
    mean: float | None
    interval: Interval | None
    pairs: int
    headline: bool
    together: Interval | None = None
    test_mean: float | None = None
    test_interval: Interval | None = None
    test_interval_images: Interval | None = None


@dataclass(frozen=True, slots=True)
class SelectedFinalist:
    """A configuration that was raced on fresh seeds; `dropped_after` so many of them it was shown to be worse."""

    trial: int
    configuration: Configuration
    expected: float | None
    deviation: float | None
    seeds: int
    mean: float | None
    dropped_after: int | None
    winner: bool


@dataclass(frozen=True, slots=True)
class Selection:
    """How one arm's best configuration was chosen among those that it had completed."""

    arm: Literal["joint", "label_only", "t1", "t4"]
    candidates: int | None
    by: Literal["surface", "value"]
    finalists: list[SelectedFinalist]


@dataclass(frozen=True, slots=True)
class Shortfall:
    """How far the winner may be behind the best configuration of the space: `upper` at most, with this confidence."""

    delta: float
    chance_within_delta: float
    expected: float
    upper: float
    confidence: float
    method: str


@dataclass(frozen=True, slots=True)
class VerdictGain:
    """What the recommended configuration gains over another choice; intervals hold for all gains at once."""

    over: Literal["joint", "label_only", "t1", "t4"]
    temperature: float | None
    mean: float
    interval: Interval
    chance: float


@dataclass(frozen=True, slots=True)
class Alternative:
    """A configuration that could have been recommended, and how much less it is expected to reach."""

    arm: Literal["joint", "label_only", "t1", "t4"]
    temperature: float | None
    configuration: Configuration
    origin_trial: int | None
    seeds: int
    mean: float
    deviation: float
    behind: float
    recommended: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """About how much more would decide, as likely as not."""

    seeds: int
    trials: int


@dataclass(frozen=True, slots=True)
class Sanity:
    """Something that makes the answer worth less, what to do about it, and the part of a spec that mends it."""

    check: str
    finding: str
    action: str
    spec: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, by expected loss over all configurations of all groups."""

    kind: Literal["use", "keep", "labels", "undecided"]
    shown: bool
    headline: str
    action: str
    temperature: float | None
    arm: Literal["joint", "label_only", "t1", "t4"]
    origin_trial: int | None
    configuration: Configuration
    default_temperature: float
    delta: float
    confidence: float
    method: str
    between: tuple[float, float] | None = None
    validation: Estimate | None = None
    quality: dict[str, float] = field(default_factory=dict)
    gain: VerdictGain | None = None
    gains: list[VerdictGain] = field(default_factory=list)
    alternatives: list[Alternative] = field(default_factory=list)
    missing: Missing | None = None
    reasons: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Result:
    """The answer: what to do (`verdict`), and what the search found: its best candidate (`winner`), with its gains."""

    job_id: str
    metric: Metric
    direction: Direction
    winner: Contestant
    baselines: list[Contestant]
    gains: list[Gain]
    summary: str
    estimand: str
    conventions: str
    cautions: list[str]
    test_seen_before: bool
    search_trials: int
    trials: int
    epochs: int
    wall_seconds: float
    computed_at: str
    selection: list[Selection] = field(default_factory=list)
    shortfall: Shortfall | None = None
    verdict: Verdict | None = None
    sanity: list[Sanity] = field(default_factory=list)
    teacher: dict[str, Any] | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class ResponsePoint:
    """Profiled quality at one temperature: the other settings at their best for it."""

    temperature: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TemperatureSet:
    """A set of temperatures, possibly disconnected; censored where it touches an end of the searched range."""

    intervals: list[tuple[float, float]]
    confidence: float
    censored_low: bool
    censored_high: bool


@dataclass(frozen=True, slots=True)
class ResponseCurve:
    """The temperature response of one optimizer, or of the best of all where optimizer is None."""

    optimizer: str | None
    points: list[ResponsePoint]
    best_temperature: float
    confidence_set: TemperatureSet
    equivalent_set: TemperatureSet
    marginal: list[ResponsePoint] = field(default_factory=list)
    best_shares: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Observation:
    """One trial as seen by the response."""

    trial: int
    temperature: float
    optimizer: str
    value: float
    stage: str
    state: str


@dataclass(frozen=True, slots=True)
class TemperatureResponse:
    """Quality as a function of T with the other settings profiled out; `softness` is (T, the teacher's entropy)."""

    job_id: str
    metric: Metric
    direction: Direction
    overall: ResponseCurve | None
    per_optimizer: list[ResponseCurve]
    observations: list[Observation]
    softness: list[tuple[float, float]]
    method: str
    delta: float
    computed_at: str
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Importances:
    """How much each setting moved the objective, summing to one; and by which evaluator."""

    job_id: str
    evaluator: str
    importances: dict[str, float]
    computed_at: str


@dataclass(frozen=True, slots=True)
class InteractionMap:
    """Quality over T and one other setting: `means[row][column]` is of `values[row]` and `temperatures[column]`."""

    optimizer: str
    setting: str
    log: bool
    temperatures: list[float]
    values: list[float]
    means: list[list[float]]
    known: list[list[bool]]
    trials: list[tuple[float, float, float]]
    choices: list[str] | None = None


@dataclass(frozen=True, slots=True)
class InteractionShare:
    """How much of the variance over the searched space T and one other setting explain: together, and each alone."""

    optimizer: str
    setting: str
    share: float
    interval: Interval
    temperature_alone: float
    setting_alone: float


@dataclass(frozen=True, slots=True)
class Interactions:
    """How the best T moves with each other setting of each optimizer."""

    job_id: str
    metric: Metric
    direction: Direction
    maps: list[InteractionMap]
    method: str
    computed_at: str
    shares: list[InteractionShare] = field(default_factory=list)
    unit: str | None = None
