"""The sentence that answers a job, and what it speaks of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search import units
from search.spec.job import JobSpec
from search.spec.optimizers import OWN
from thermowell.api.answers import Contestant, Gain, Shortfall, TemperatureResponse, Verdict
from trainers.registry import losses, optimizers

CONVENTIONS = (
    "loss = kd_weight * T^2 * KL(softmax(teacher / T) || softmax(student / T)) + label_weight * cross-entropy, both "
    "averaged over the batch (`batchmean`: summed over classes). Under `mean`, which also divides by the number of "
    "classes, the best temperature and weight come out higher."
)


def conventions(spec: JobSpec) -> str:
    """Which loss the numbers belong to."""
    method = spec.distillation.method
    if method == losses.PLAIN:
        return CONVENTIONS
    return f"{CONVENTIONS} That is the baselines' loss; the search's own has {method} in the place of KL: " + (
        f"{losses.summary(method)}."
    )


def estimand(spec: JobSpec, seeds: int) -> str:
    """What the intervals speak of, and what they leave out."""
    data = "the data" if spec.dataset is None else spec.dataset.name
    return (
        f"Means over training seeds (initial weights, order of the data, dropout), with {seeds} seeds that chose "
        f"nothing, for this teacher, this split of {data} and this configuration; Student's t intervals, "
        f"{units.percent(spec.confirmation.confidence)} each, not jointly. Gains are paired by seed. Another teacher "
        "or split is outside of them, and so is another draw of images, but for the second interval of the test "
        "accuracy, which resamples images and seeds at once; the configurations were chosen on the validation part "
        "that measures them, so that the test part, where it was read, is the fairer judge of the level."
    )


def settings(configuration: Mapping[str, Any], *, weight: bool = True) -> str:
    """A configuration's optimizer, and the `weight` of its loss: NAME (learning rate 0.012, ...), kd_weight 0.9."""
    optimizer = configuration["optimizer"]
    parameters = [f"{name} {units.value(value)}" for name, value in (configuration.get("parameters") or {}).items()]
    weights = ", ".join([f"kd_weight {units.number(configuration['kd_weight'])}", *parameters])
    if optimizer is None:
        return weights if weight else ", ".join(parameters) or units.OPTIMIZERS[OWN]
    parts = [f"learning rate {units.number(optimizer['learning_rate'])}"]
    if optimizers.has(optimizer["name"], "momentum"):
        parts.append(f"momentum {units.number(optimizer['momentum'])}")
    parts.append(f"weight decay {units.number(optimizer['weight_decay'])}")
    name = units.OPTIMIZERS.get(optimizer["name"], optimizer["name"])
    words = f"{name} ({', '.join(parts)})"
    return f"{words}, {weights}" if weight else ", ".join([words, *parameters])


def configured(spec: JobSpec, configuration: Mapping[str, Any]) -> str:
    """A configuration of the job in words: T = 4 with NAME (...), or T from 4 to 1 with ..., and how T is meant."""
    rule = spec.distillation
    record = losses.get(rule.method)
    if record.temperature == "none":
        return f"{record.phrase}, which has no temperature, with {settings(configuration)}"
    temperature = units.at_temperature(configuration["temperature"], configuration.get("final_temperature"))
    words = [record.phrase] if record.phrase else []
    if rule.schedule != "constant":
        words.append("in one step" if rule.schedule == "step" else f"along a {rule.schedule} schedule")
    student = configuration.get("student_temperature")
    if student is not None:
        words.append(f"and {units.number(student)} for the student")
    return f"{' '.join([temperature, *words])} with {settings(configuration)}"


def rival(gains: Sequence[Gain]) -> Gain | None:
    """The gain over the best tuned baseline of another temperature: the smallest of the headline gains.

    Its interval is the one that holds together with those of the other headline gains, since it was chosen among them.
    None without tuned baselines.
    """
    tuned = [gain for gain in gains if gain.headline and gain.mean is not None]
    least = min(tuned, key=lambda gain: gain.mean or 0.0, default=None)
    return least and least.model_copy(update={"interval": least.together or least.interval})


def summary(
    spec: JobSpec,
    winner: Contestant,
    gains: Sequence[Gain],
    behind: Shortfall | None,
    response: TemperatureResponse,
    verdict: Verdict | None,
) -> str:
    """The answer in a few sentences, the verdict first."""
    metric = units.measure_of(spec.objective)
    words = configured(spec, winner.configuration.stored())
    first = [] if verdict is None else units.first_lines(verdict, "")
    if winner.validation.mean is None:
        return " ".join(
            [*first, f"No answer: the configuration that was chosen, {words}, failed on all of its fresh seeds."]
        )
    level = units.level_within(metric, winner.validation.mean, winner.validation.interval)
    agree = verdict is not None and verdict.configuration == winner.configuration
    candidate = "That is the search's best candidate" if agree else f"The search's best candidate is {words}"
    parts = [*first, f"{candidate}: validation {metric.label} {level}{_gain_words(metric, rival(gains))}."]
    if behind is not None:
        parts.append(_missed(metric, behind))
    return " ".join([*parts, *_temperatures(response)])


def _missed(metric: units.Metric, behind: Shortfall) -> str:
    """A sentence on how likely the search has missed something better."""
    limit, chance = units.within_delta(metric, behind), units.chance(behind.chance_within_delta)
    sentence = f"It is {limit} of the searched space with a chance of {chance}"
    if chance == units.NOT_SHOWN:
        sentence = f"That it is {limit} of the searched space is {chance}"
    return f"{sentence}; expected shortfall {units.shortfall(metric, behind)}."


def _gain_words(metric: units.Metric, best: Gain | None) -> str:
    if best is None or best.mean is None:
        return ""
    gain = units.difference_within(metric, best.mean, best.interval)
    words = f", a gain of {gain} over the strongest tuned baseline, {units.ARMS[best.over]}"
    if best.over_best is None:
        return words
    expected = units.difference_within(metric, best.over_best, best.over_best_interval)
    return f"{words}, and of {expected} expected over the best settings of {units.ARMS[best.over]}"


def _temperatures(response: TemperatureResponse) -> list[str]:
    if response.overall is None:
        return []
    best = response.overall.confidence_set
    if not best.intervals:
        return []
    return [
        f"At {units.percent(best.confidence)} confidence the best temperature lies {units.ranges(best.intervals)}; "
        "within that the trials cannot tell temperatures apart."
    ]
