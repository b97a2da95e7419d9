"""The documents that answer a job: stored with it, served as they are. Values are in the objective's own unit.

Fractions for accuracy and ECE (0.01 is one point), nats for NLL. Gains are oriented: positive is better.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from thermowell.api.configurations import StoredConfiguration
from thermowell.api.document import Document
from thermowell.notebook import result_html


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


class Finalist(Document):
    """A completed configuration that is to be trained again, and what the search says of its true mean."""

    trial: int
    mean: float
    deviation: float | None = Field(description="of that mean; None where only the trial's own value is known")
    best: float | None = Field(description="the probability that it is the best of all candidates")


class ArmFinalists(Document):
    """Those of one arm, of so many distinct configurations that it completed, in the order of their being chosen."""

    arm: Literal["joint", "label_only", "t1", "t4"]
    candidates: int
    finalists: list[Finalist]


class FieldBeliefs(Document):
    """What the surface expects of all finalists, arm by arm in their order: a joint normal distribution of their true
    means, more being better, and the deviation of a single run.
    """

    means: list[float]
    covariance: list[list[float]]
    noise: float


class Finalists(Document):
    """Which configurations a round of confirmation trains again, chosen once, outside of any transaction."""

    job_id: str
    round: int
    arms: list[ArmFinalists]
    beliefs: FieldBeliefs | None = Field(
        None, description="where all arms race as one field; a finalist's trial may then be another arm's"
    )
    method: str
    computed_at: str


class Contestant(Document):
    """A configuration that was trained again on fresh seeds."""

    arm: Literal["joint", "label_only", "t1", "t4"]
    variant: Literal["winner", "tuned", "same_settings"]
    origin_trial: int | None
    configuration: StoredConfiguration
    validation: Estimate
    test: dict[str, Estimate] | None = Field(
        None, description="per metric; read once, after confirmation; null while it is sealed"
    )
    test_interval_images: Interval | None = Field(
        None, description="of the test accuracy, had the test images been drawn anew as well as the seeds"
    )
    failed_seeds: list[int] = Field(default_factory=list)


class Gain(Document):
    """What the winner gains over a baseline, paired by seed, on seeds that chose nothing."""

    over: Literal["label_only", "t1", "t4"]
    variant: Literal["tuned", "same_settings"]
    mean: float | None
    interval: Interval | None
    pairs: int
    headline: bool = Field(description="true for a tuned baseline (its own best settings) of another temperature")
    together: Interval | None = Field(
        None,
        description="of a headline: holds at once with those of the other headlines, and at every look (an "
        "extension looks again), as `interval` does by itself",
    )
    over_best: float | None = Field(None, description="of a tuned baseline: expected over its slice's best settings")
    over_best_interval: Interval | None = None
    test_mean: float | None = None
    test_interval: Interval | None = None
    test_interval_images: Interval | None = Field(
        None, description="of test_mean, had the test images been drawn anew as well as the seeds; accuracy alone"
    )


class SelectedFinalist(Document):
    """A configuration that was raced on fresh seeds."""

    trial: int
    configuration: StoredConfiguration
    expected: float | None = Field(description="its mean over seeds as the search's trials had it")
    deviation: float | None = Field(description="of that expectation")
    seeds: int = Field(description="fresh seeds that ended")
    mean: float | None = Field(description="over these; it chose, so that it flatters")
    dropped_after: int | None = Field(description="seeds after which it was shown to be worse, or failed")
    winner: bool


class Selection(Document):
    """How one arm's best configuration was chosen among those that it had completed."""

    arm: Literal["joint", "label_only", "t1", "t4"]
    candidates: int | None
    by: Literal["surface", "value"] = Field(
        description="what proposed the finalists: a fitted surface, or their values"
    )
    finalists: list[SelectedFinalist]


class Shortfall(Document):
    """How far the winner may be behind the best configuration of the searched space: 0 where it is that one.

    In the mean over seeds and in the objective's own unit, never negative.
    """

    delta: float = Field(description="confirmation.delta: a shortfall up to this does not matter")
    chance_within_delta: float = Field(description="the probability, at the least, that the shortfall is at most delta")
    expected: float
    upper: float = Field(description="at most this with probability `confidence`")
    confidence: float
    method: str


class VerdictGain(Document):
    """What the recommended configuration gains over another choice, by the posterior of everything that was trained."""

    over: Literal["joint", "label_only", "t1", "t4"]
    temperature: float | None = Field(description="of that choice; null where it has none, or no single one")
    mean: float
    interval: Interval = Field(
        description="simultaneous: all gains of the verdict lie in theirs at this confidence, extensions included"
    )
    chance: float = Field(description="the probability that it is positive")


class Alternative(Document):
    """A configuration that could have been recommended."""

    arm: Literal["joint", "label_only", "t1", "t4"]
    temperature: float | None
    configuration: StoredConfiguration
    origin_trial: int | None
    seeds: int = Field(description="fresh seeds that it was trained on; 0 where the surface alone speaks of it")
    mean: float = Field(description="its expected mean over seeds")
    deviation: float = Field(description="of that expectation")
    behind: float = Field(description="expected loss against the recommended one; below 0 where it is expected better")
    recommended: bool


class Missing(Document):
    """About how much more would decide: within a factor of 2 in most futures that what is known allows."""

    seeds: int = Field(description="fresh seeds of each of the configurations that cannot be told apart")
    trials: int = Field(description="by how many search trials to extend the job, whose confirmation then trains anew")


class Sanity(Document):
    """Something about teacher, space, data or training that makes the answer worth less, and what to do about it."""

    check: str = Field(description="what was checked, as a stable slug")
    finding: str
    action: str
    spec: dict[str, Any] | None = Field(None, description="a part of a spec that mends it, to be merged into yours")


class Verdict(Document):
    """What to do, by expected loss over all configurations of all groups.

    use: train with the configuration. keep: T makes no difference that matters; keep the default one. labels: do not
    distil. undecided: nobody can tell yet, and the configuration is what to use meanwhile.
    """

    kind: Literal["use", "keep", "labels", "undecided"]
    shown: bool = Field(description="shown at `confidence`; else the better bet")
    headline: str = Field(description="the verdict in a sentence")
    action: str = Field(description="what to do next, in a sentence or two")
    temperature: float | None = Field(description="null without distillation, and where there is no single one")
    between: tuple[float, float] | None = Field(
        None, description="temperatures between which T makes no difference that matters with this configuration"
    )
    arm: Literal["joint", "label_only", "t1", "t4"]
    origin_trial: int | None
    configuration: StoredConfiguration
    validation: Estimate | None = Field(
        None, description="over its fresh seeds, those that chose it included; null where it was not trained itself"
    )
    quality: dict[str, float] = Field(
        default_factory=dict,
        description="accuracy, nll and ece of those runs on validation, in the mean; of several labels also "
        "mean_average_precision",
    )
    gain: VerdictGain | None = Field(None, description="over what it is weighed against: the default T, where trained")
    gains: list[VerdictGain] = Field(default_factory=list, description="over all other choices, the strongest first")
    alternatives: list[Alternative] = Field(default_factory=list, description="the best first")
    missing: Missing | None = Field(None, description="undecided alone")
    reasons: list[str] = Field(default_factory=list)
    default_temperature: float
    delta: float
    confidence: float
    method: str


class Result(Document):
    """The answer: what to do (`verdict`), and what the search found: its best candidate (`winner`), with its gains."""

    job_id: str
    metric: str = Field(description="accuracy, nll, ece, or the name of a metric of one's own")
    direction: Literal["maximize", "minimize"]
    winner: Contestant
    baselines: list[Contestant]
    gains: list[Gain]
    selection: list[Selection] = Field(default_factory=list, description="how winner and tuned baselines were chosen")
    shortfall: Shortfall | None = Field(
        None,
        description="null where too few configurations have completed to say, and in answers of before it was said",
    )
    verdict: Verdict | None = Field(None, description="what to do; null in answers of before it was said")
    sanity: list[Sanity] = Field(
        default_factory=list, description="what makes the answer worth less, gravest first, each with what to do"
    )
    summary: str = Field(description="the answer in a few sentences, the verdict first")
    estimand: str = Field(description="what the intervals speak of")
    conventions: str = Field(description="reduction and T squared convention of the loss")
    cautions: list[str] = Field(description="limitations, in words")
    test_seen_before: bool = Field(description="true where the job was extended after its test part had been read")
    teacher: dict[str, Any] | None = Field(
        None, description="the teacher's quality, and how images were prepared for it; null in answers of before"
    )
    search_trials: int
    trials: int
    epochs: int
    wall_seconds: float
    computed_at: str
    unit: str | None = Field(None, description="in which a metric of one's own is shown")
    test_sealed: bool = Field(
        False, description="true where nothing is decided and nobody has asked for the test part: it has not been read"
    )

    def _repr_html_(self) -> str:
        return result_html(self)


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
    marginal: list[ResponsePoint] = Field(
        default_factory=list, description="the same with the other settings averaged over the space, not at their best"
    )
    best_temperature: float
    confidence_set: TemperatureSet
    equivalent_set: TemperatureSet
    best_shares: list[float] = Field(
        default_factory=list,
        description="for each point, the share of the posterior's draws that are best at its temperature",
    )


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
    metric: str = Field(description="accuracy, nll, ece, or the name of a metric of one's own")
    direction: Literal["maximize", "minimize"]
    overall: ResponseCurve | None = Field(description="None where the temperature was fixed or trials were too few")
    per_optimizer: list[ResponseCurve]
    observations: list[Observation]
    softness: list[tuple[float, float]] = Field(description="(T, mean entropy of the teacher's softmax in nats)")
    method: str
    delta: float
    computed_at: str
    unit: str | None = Field(None, description="in which a metric of one's own is shown")


class Importances(Document):
    """How much each setting moved the objective, summing to one; and by which evaluator."""

    job_id: str
    evaluator: str
    importances: dict[str, float]
    computed_at: str


class InteractionMap(Document):
    """Quality over T and one other setting of an optimizer; the rest of the settings as the response has them at T.

    `means[row][column]` belongs to `values[row]` and `temperatures[column]`; `known` is false where the trials say
    hardly more about that point than about any other.
    """

    optimizer: str
    setting: str = Field(description="the sampler's name of it: kd_weight, {optimizer}.learning_rate, ...")
    log: bool
    temperatures: list[float]
    values: list[float]
    means: list[list[float]]
    known: list[list[bool]]
    trials: list[tuple[float, float, float]] = Field(description="(T, setting, value) of the trials it was fitted on")
    choices: list[str] | None = Field(
        None, description="of a parameter without order: its choices, whose places stand in values and trials"
    )


class InteractionShare(Document):
    """How much of the quality's variance over the searched space T and one other setting explain.

    `share` is what they explain together and neither alone, with its bootstrap interval; the others by themselves.
    """

    optimizer: str
    setting: str = Field(description="the sampler's name of it: kd_weight, {optimizer}.learning_rate, ...")
    share: float
    interval: Interval
    temperature_alone: float
    setting_alone: float


class Interactions(Document):
    """How the best T moves with each other setting: a map for each searched setting of each optimizer tried enough."""

    job_id: str
    metric: str = Field(description="accuracy, nll, ece, or the name of a metric of one's own")
    direction: Literal["maximize", "minimize"]
    maps: list[InteractionMap]
    shares: list[InteractionShare] = Field(default_factory=list, description="one for each map")
    method: str
    computed_at: str
    unit: str | None = Field(None, description="in which a metric of one's own is shown")


class Interim(Document):
    """What an unfinished job's trials say so far; `result` once the winner has been trained on a fresh seed."""

    event: int = Field(description="the job's last event that it knows of")
    result: Result | None
    response: TemperatureResponse
    importances: Importances
    interactions: Interactions
