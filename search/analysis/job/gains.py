"""Means of the winner and its gains over each baseline, with t intervals over fresh seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from scipy import stats

from search.analysis.job.images import Right, accuracy_interval, gain_interval
from search.analysis.job.options import option_of
from search.analysis.job.verdict import alike, spent
from search.configurations import FIXED_TEMPERATURE
from search.records import Trial
from search.spec.job import JobSpec, Ranged
from search.spec.objective import ObjectiveSpec
from search.states import BASELINE_ARMS, TERMINAL_TRIALS, Arm, Stage, TrialState
from thermowell.api.answers import Contestant, Estimate, Gain, Interval
from trainers.registry import losses

Variant = Literal["winner", "tuned", "same_settings"]
Range = tuple[float, float]
ANYTHING: Range = (-math.inf, math.inf)
# What a metric can be; entropies and likelihoods in nats have no upper end.
RANGES: Mapping[str, Range] = {
    **dict.fromkeys(("accuracy", "ece", "teacher_agreement"), (0.0, 1.0)),
    **dict.fromkeys(("nll", "teacher_entropy"), (0.0, math.inf)),
}
BASELINE_VARIANTS: tuple[Variant, ...] = ("tuned", "same_settings")


def estimate(values: Mapping[int, float], confidence: float, limits: Range = ANYTHING) -> Estimate:
    """Mean over seeds with Student's t interval, which takes the seeds' values for independent and about normal.

    What lies outside of `limits` the mean cannot be, so the interval ends there; it holds the truth no less often.
    """
    seeds = sorted(values)
    numbers = [values[seed] for seed in seeds]
    count = len(numbers)
    if count == 0:
        return Estimate(mean=None, interval=None, standard_deviation=None, values=[], seeds=[])
    mean = statistics.fmean(numbers)
    if count == 1:
        return Estimate(mean=mean, interval=None, standard_deviation=None, values=numbers, seeds=seeds)
    deviation = statistics.stdev(numbers)
    reach = float(stats.t.ppf(0.5 + confidence / 2, count - 1)) * deviation / math.sqrt(count)
    low, high = limits
    interval = Interval(low=max(low, mean - reach), high=min(high, mean + reach), confidence=confidence)
    return Estimate(mean=mean, interval=interval, standard_deviation=deviation, values=numbers, seeds=seeds)


class Finals:
    """The estimate trials of the newest confirmation, by contestant.

    `right`, by a trial's number, says which test images its student got right; where it is given, and the metric is
    accuracy, there is a second interval that also resamples the images. `objective` says what one's own metric can be.
    """

    def __init__(
        self, trials: Sequence[Trial], right: Right | None = None, objective: ObjectiveSpec | None = None
    ) -> None:
        self.right = right or {}
        self.ranges = RANGES if objective is None else {**RANGES, objective.metric: objective.bounds}
        all_rounds = [trial for trial in trials if trial.stage is Stage.ESTIMATE]
        newest = max((trial.round for trial in all_rounds), default=0)
        self.look = 1 + newest
        self.groups: dict[tuple[Arm, str], list[Trial]] = {}
        for trial in all_rounds:
            if trial.round == newest:
                self.groups.setdefault((trial.arm, trial.variant or ""), []).append(trial)
        if (Arm.JOINT, "winner") not in self.groups:
            raise ValueError("there is no estimate trial of the winner: the confirmation has not ended")

    def values(self, arm: Arm, variant: str) -> dict[int, float]:
        """The objective by seed, of the trials that ended well."""
        completed = [trial for trial in self.groups.get((arm, variant), []) if _has_ended_well(trial)]
        return {trial.seed: cast(float, trial.value) for trial in completed}

    def test_values(self, arm: Arm, variant: str) -> dict[str, dict[int, float]]:
        """Every test metric by seed, of the trials that ended well; empty where the test part was not read."""
        by_metric: dict[str, dict[int, float]] = {}
        for trial in self.groups.get((arm, variant), []):
            for metric, value in (trial.test_metrics or {}).items() if _has_ended_well(trial) else ():
                by_metric.setdefault(metric, {})[trial.seed] = value
        return by_metric

    def test_right(self, arm: Arm, variant: str) -> Right:
        """By seed, which test images the student got right, where that is known."""
        completed = [trial for trial in self.groups.get((arm, variant), []) if _has_ended_well(trial)]
        return {trial.seed: self.right[trial.number] for trial in completed if trial.number in self.right}

    def contestant(self, arm: Arm, variant: Variant, objective: str, confidence: float) -> Contestant | None:
        """The contestant with its estimates, None where it was not trained (no share for tuned baselines)."""
        group = self.groups.get((arm, variant))
        if not group:
            return None
        test = self.test_values(arm, variant)
        return Contestant(
            arm=arm.value,
            variant=variant,
            origin_trial=group[0].origin,
            configuration=_configuration(group[0]),
            validation=estimate(self.values(arm, variant), confidence, self.ranges[objective]),
            test={
                metric: estimate(values, confidence, self.ranges.get(metric, ANYTHING))
                for metric, values in test.items()
            }
            or None,
            test_interval_images=accuracy_interval(self.test_right(arm, variant), confidence),
            failed_seeds=sorted(
                trial.seed for trial in group if trial.state in TERMINAL_TRIALS and not _has_ended_well(trial)
            ),
        )

    def baselines(self, objective: str, confidence: float) -> list[Contestant]:
        """All baselines that were trained, tuned ones first."""
        contestants = [
            self.contestant(arm, variant, objective, confidence)
            for variant in BASELINE_VARIANTS
            for arm in BASELINE_ARMS
        ]
        return [contestant for contestant in contestants if contestant is not None]

    def gains(self, spec: JobSpec) -> list[Gain]:
        """What the winner gains over each baseline that is another choice, paired by seed.

        A job whose T is fixed is not compared with the baseline of that T; one whose winner has a baseline's T is, but
        that gain is no headline: it is one of settings, and of how long each was searched.
        """
        rivals = [arm for arm in BASELINE_ARMS if not self._fixed_at(spec, arm)]
        headlines = [arm for arm in rivals if (arm, "tuned") in self.groups and not self._alike(spec, arm)]
        return [
            self._gain(spec, arm, variant, len(headlines) if variant == "tuned" and arm in headlines else 0)
            for variant in BASELINE_VARIANTS
            for arm in rivals
            if (arm, variant) in self.groups
        ]

    def _fixed_at(self, spec: JobSpec, arm: Arm) -> bool:
        return not isinstance(spec.space.temperature, Ranged) and self._alike(spec, arm)

    def _alike(self, spec: JobSpec, arm: Arm) -> bool:
        """Whether the winner distils as this baseline does: at its temperature, by the same term."""
        winner = option_of(spec, Arm.JOINT, _configuration(self.groups[Arm.JOINT, "winner"][0]))
        if arm is Arm.LABEL_ONLY or winner.temperature is None or spec.distillation.method != losses.PLAIN:
            return False
        return alike(winner.temperature, FIXED_TEMPERATURE[arm])

    def _gain(self, spec: JobSpec, arm: Arm, variant: Variant, headlines: int) -> Gain:
        """One gain; a headline's also has an interval that holds together with those of all `headlines`, at every look
        at the job: an extension looks again.
        """
        metric, confidence = spec.objective.metric, spec.confirmation.confidence
        sign = 1 if spec.objective.direction == "maximize" else -1
        winner, baseline = self.values(Arm.JOINT, "winner"), self.values(arm, variant)
        differences = _paired(winner, baseline, sign)
        validation = estimate(differences, confidence)
        level = spent(confidence, self.look)
        together = estimate(differences, 1 - (1 - level) / headlines).interval if headlines else None
        winner_test = self.test_values(Arm.JOINT, "winner").get(metric, {})
        test = estimate(_paired(winner_test, self.test_values(arm, variant).get(metric, {}), sign), confidence)
        return Gain(
            over=cast(Literal["label_only", "t1", "t4"], arm.value),
            variant=cast(Literal["tuned", "same_settings"], variant),
            mean=validation.mean,
            interval=validation.interval,
            pairs=len(validation.values),
            headline=headlines > 0,
            together=together and together.model_copy(update={"confidence": confidence}),
            test_mean=test.mean,
            test_interval=test.interval,
            test_interval_images=gain_interval(
                self.test_right(Arm.JOINT, "winner"), self.test_right(arm, variant), confidence
            )
            if metric == "accuracy"
            else None,
        )


def _paired(winner: Mapping[int, float], baseline: Mapping[int, float], sign: int) -> dict[int, float]:
    return {seed: sign * (winner[seed] - baseline[seed]) for seed in winner.keys() & baseline.keys()}


def _has_ended_well(trial: Trial) -> bool:
    return trial.state is TrialState.COMPLETED and trial.value is not None and math.isfinite(trial.value)


def _configuration(trial: Trial) -> dict[str, Any]:
    return dict(trial.configuration or {})
