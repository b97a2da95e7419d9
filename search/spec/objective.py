"""The objective part of a spec: the metric that is optimized, built in or one's own, its direction, bounds and unit."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, StringConstraints, model_serializer, model_validator

from search.spec.fields import Part
from thermowell.plugin import Targets

Direction = Literal["maximize", "minimize"]
MetricName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.@/-]{0,63}$")]
Unit = Annotated[str, StringConstraints(min_length=1, max_length=20, pattern=r"^[^\x00-\x1f\x7f]*$")]
FAR = 1e12
"""As bad as an unbounded metric is said to be: samplers and plots stumble over infinities."""


@dataclass(frozen=True, slots=True)
class BuiltInMetric:
    """A metric that the built-in training measures; `worst` is what a diverged student is told to have reached."""

    direction: Direction
    low: float
    high: float
    worst: float


METRICS: Mapping[str, BuiltInMetric] = {
    "accuracy": BuiltInMetric("maximize", 0.0, 1.0, 0.0),
    "nll": BuiltInMetric("minimize", 0.0, math.inf, 1e3),
    "ece": BuiltInMetric("minimize", 0.0, 1.0, 1.0),
}
OF_SEVERAL: Mapping[str, Mapping[str, Any]] = {
    "mean_average_precision": {"direction": "maximize", "low": 0.0, "high": 1.0, "unit": "%"},
}
"""Metrics that the built-in training measures where an example has several labels, each stated as one of one's own."""


def check_measured(objective: ObjectiveSpec, targets: Targets | None) -> None:
    """ValueError where the built-in training does not measure it, of labels of that kind; None is for one that nobody
    here knows.
    """
    metric = objective.metric
    if metric in OF_SEVERAL:
        if targets not in (None, "several"):
            raise ValueError(
                f"objective.metric must be accuracy, nll or ece: {metric} is of data with several labels for each "
                "example (dataset.targets, or a plugin's)"
            )
        if objective.direction != OF_SEVERAL[metric]["direction"]:
            raise ValueError(f"objective.direction must be {OF_SEVERAL[metric]['direction']} of {metric}, or left out")
    elif not objective.built_in:
        raise ValueError(
            f"objective.metric must be accuracy, nll or ece, got {metric!r}: other metrics are those of a training of "
            "your own (trainer)"
        )


class ObjectiveSpec(Part):
    """What is optimized on the validation part, at a trial's last epoch."""

    metric: MetricName = Field(
        "accuracy",
        description="accuracy, nll, ece; mean_average_precision of several labels; any name where the training is your "
        "own",
    )
    direction: Direction = Field("maximize", description="known of accuracy, nll and ece; needed of any other metric")
    low: float | None = Field(None, description="of your own metric: what it is never below, if anything")
    high: float | None = Field(None, description="of your own metric: what it is never above, if anything")
    unit: Unit | None = Field(None, description="of your own metric, for display; %: a share, shown in per cent")

    @model_validator(mode="before")
    @classmethod
    def _known_direction(cls, document: Any) -> Any:
        if not isinstance(document, Mapping):
            return document
        metric, direction = document.get("metric", "accuracy"), document.get("direction")
        record = METRICS.get(metric) if isinstance(metric, str) else None
        if record is None:
            if direction is None and isinstance(metric, str) and metric in OF_SEVERAL:
                return {**document, **OF_SEVERAL[metric]}
            if direction is None and isinstance(metric, str):
                near = difflib.get_close_matches(metric.lower(), METRICS, n=1, cutoff=0.6)
                hint = f"did you mean {near[0]}? " if near else ""
                raise ValueError(
                    f"metric must be accuracy, nll or ece, got {metric[:64]!r}; {hint}a metric of your own needs a "
                    "direction beside it: maximize or minimize"
                )
            return document
        if direction in ("maximize", "minimize") and direction != record.direction:
            raise ValueError(f"direction must be {record.direction} of {metric}, or left out")
        return {**document, "direction": record.direction if direction is None else direction}

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        for name in ("low", "high", "unit"):
            if self.built_in and getattr(self, name) is not None:
                raise ValueError(f"{name} must be left out: {self.metric} has its own")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"low must be below high (got {self.low:g} and {self.high:g})")
        return self

    @model_serializer(mode="wrap")
    def _as_ever(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Of a built-in metric its name alone, as it always was."""
        document: dict[str, Any] = handler(self)
        return {"metric": self.metric} if self.built_in else document

    @property
    def built_in(self) -> bool:
        """Whether the built-in training measures it."""
        return self.metric in METRICS

    @property
    def sign(self) -> Literal[1, -1]:
        """By what a value is multiplied for more to be better."""
        return 1 if self.direction == "maximize" else -1

    @property
    def bounds(self) -> tuple[float, float]:
        """What the metric can be, from the lowest to the highest; infinite where nothing bounds it."""
        if self.built_in:
            record = METRICS[self.metric]
            return record.low, record.high
        return -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high

    @property
    def best(self) -> float:
        """The end of the bounds that is best, infinite where there is none."""
        return self.bounds[1 if self.direction == "maximize" else 0]

    @property
    def worst(self) -> float:
        """What a diverged student is told to have reached: worse than any that trained, and finite."""
        if self.built_in:
            return METRICS[self.metric].worst
        end = self.bounds[0 if self.direction == "maximize" else 1]
        return end if math.isfinite(end) else -self.sign * FAR

    def check(self, value: float) -> None:
        """ValueError where the metric cannot be this."""
        low, high = self.bounds
        if not low <= value <= high:
            span = f"at least {low:g}" if high == math.inf else f"at most {high:g}"
            span = f"from {low:g} to {high:g}" if math.isfinite(low) and math.isfinite(high) else span
            raise ValueError(f"{self.metric} must be {span if math.isfinite(value) else 'finite'}, got {value:g}")
