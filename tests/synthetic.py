"""Jobs whose truth is known: trials drawn from a surface that a test wrote down, as a finished job would hold them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np

from search import configurations
from search.analysis.job.build import build_documents
from search.analysis.job.fits import Fit, fit_each
from search.analysis.job.joint_surface import answer_surface
from search.records import Job, Progress, Reason, Trial
from search.requests.job_view import Curve, JobView
from search.spec.job import JobSpec, Range
from search.states import BASELINE_ARMS, Arm, JobState, Stage, TrialState
from search.surrogate.axes import axes, temperature_axis
from trainers.spec import Configuration, Optimizer

Truth = Callable[[Configuration], float]
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def spec(**changes: Any) -> JobSpec:
    """A small valid spec on digits."""
    document: dict[str, Any] = {
        "name": "synthetic",
        "dataset": {"name": "digits"},
        "teacher": {"source": "logits", "artifact": "0" * 64},
        "student": {"name": "mlp"},
        "baselines": {"share": 0.25, "by": "arm"},
    }
    return JobSpec.model_validate(document | changes)


def ridge(configuration: Configuration) -> float:
    """Accuracy with one best T (6) at a learning rate that moves with T; AdamW is ahead by a point."""
    t, lr = math.log(configuration.temperature / 6), math.log10(configuration.optimizer.learning_rate)
    best_lr = (-1.0 if configuration.optimizer.name == "sgd" else -2.0) + 0.2 * t
    ahead = 0.0 if configuration.optimizer.name == "sgd" else 0.01
    return 0.91 + ahead - 0.008 * t**2 - 0.05 * (lr - best_lr) ** 2 - 0.02 * (configuration.kd_weight - 0.7) ** 2


def random_truth(rng: np.random.Generator) -> tuple[Truth, dict[str, tuple[float, float]]]:
    """A surface with a ridge along T and, half of the time, a cliff beside it.

    Also its truth: by optimizer the best temperature and the value there. SGD's ridge lies elsewhere than AdamW's.
    """
    best = float(np.exp(rng.uniform(0, math.log(40))))
    steep, width = float(rng.choice([0.001, 0.003, 0.01, 0.03])), float(rng.choice([0.02, 0.06, 0.15]))
    tilt, skew, cliff = rng.uniform(-0.3, 0.3), rng.uniform(0.3, 1.0), bool(rng.random() < 0.5)
    ahead, shift = float(rng.uniform(-0.02, 0.02)), float(np.exp(rng.uniform(-0.5, 0.5)))
    peaks = {"adamw": (best, 0.9), "sgd": (float(np.clip(best * shift, 1, 40)), 0.9 + ahead)}

    def truth(configuration: Configuration) -> float:
        optimizer = configuration.optimizer
        peak, level = peaks[optimizer.name]
        off, rate = math.log(configuration.temperature / peak), math.log10(optimizer.learning_rate)
        best_rate = (-2.3 if optimizer.name == "adamw" else -1.3) + tilt * math.log(configuration.temperature / 6)
        value = level - steep * off**2 * (1.0 if off < 0 else skew) - width * (rate - best_rate) ** 2
        fall = 0.5 / (1 + math.exp(-12 * (rate - best_rate - 0.8))) if cliff else 0.0
        return value - fall - 0.03 * (configuration.kd_weight - 0.6) ** 2

    return truth, peaks


@dataclass
class Builder:
    """Draws a job's trials: a random search that narrows in its second half, baselines, finalists, estimates."""

    spec: JobSpec
    truth: Truth
    noise: float
    rng: np.random.Generator
    number: int = 0

    def job(self) -> list[Trial]:
        """All trials of a finished job."""
        count = self.spec.budget.trials
        arms = {Arm.JOINT: self.search(Stage.SEARCH, Arm.JOINT, count)}
        for arm in BASELINE_ARMS:
            arms[arm] = self.search(Stage.BASELINE, arm, round(count * self.spec.baselines.share))
        trials = [trial for found in arms.values() for trial in found]
        confirmation = self.spec.confirmation
        winners = {}
        for arm, found in arms.items():
            finalists = sorted(found, key=lambda trial: -self.oriented(trial))[: confirmation.finalists]
            chosen = {f.number: self.repeat(f, Stage.SELECT, None, confirmation.select_seeds, 1000) for f in finalists}
            trials += [trial for repeats in chosen.values() for trial in repeats]
            if finalists:
                best = max(chosen, key=lambda n: sum(self.oriented(trial) for trial in chosen[n]))
                winners[arm] = next(f for f in finalists if f.number == best)
        seeds = confirmation.estimate_seeds
        for arm, winner in winners.items():
            variant = "winner" if arm is Arm.JOINT else "tuned"
            trials += self.repeat(winner, Stage.ESTIMATE, variant, seeds, 2000)
        joint = configurations.from_json(winners[Arm.JOINT].configuration or {})
        for arm in BASELINE_ARMS:
            same = replace(winners[Arm.JOINT], arm=arm, configuration=_json(configurations.in_arm(joint, arm)))
            trials += self.repeat(same, Stage.ESTIMATE, "same_settings", seeds, 2000)
        return trials

    def oriented(self, trial: Trial) -> float:
        """The trial's value, more being better."""
        assert trial.value is not None
        return trial.value if self.spec.objective.direction == "maximize" else -trial.value

    def search(self, stage: Stage, arm: Arm, count: int) -> list[Trial]:
        """Random configurations, of which the later half stay near the best so far: as a sampler would."""
        found: list[Trial] = []
        for index in range(count):
            near = None
            if index >= max(count / 2, 1) and self.rng.random() < 0.7:
                near = sorted(found, key=lambda trial: -self.oriented(trial))[int(self.rng.integers(min(5, index)))]
            configuration = configurations.in_arm(self.configuration(near), arm)
            found.append(self.trial(stage, arm, None, None, configuration, int(self.rng.integers(2**31))))
        return found

    def configuration(self, near: Trial | None) -> Configuration:
        """Drawn from the space, or within a tenth of each range around another trial's."""
        names = list(self.spec.space.optimizers())
        name = str(self.rng.choice(names)) if near is None else str((near.configuration or {})["optimizer"]["name"])
        temperature = temperature_axis(self.spec.space)
        drawn: dict[str, float] = {}
        for axis in [*([temperature] if temperature else []), *axes(self.spec.space, name)]:
            unit = float(self.rng.random())
            if near is not None:
                unit = float(np.clip(axis.unit(axis.value(near.configuration or {})) + self.rng.normal() * 0.1, 0, 1))
            drawn[axis.name] = (
                axis.low * (axis.high / axis.low) ** unit if axis.log else axis.low + (axis.high - axis.low) * unit
            )
        settings = {
            key: drawn.get(f"{name}.{key}", value)
            for key, value in self.spec.space.optimizers()[name].model_dump().items()  # type: ignore[index]
        }
        space = self.spec.space
        kd_weight = drawn.get("kd_weight", 0.0 if isinstance(space.kd_weight, Range) else space.kd_weight)
        fixed = 0.0 if isinstance(space.temperature, Range) else space.temperature
        return Configuration(
            temperature=drawn.get("temperature", fixed),
            kd_weight=kd_weight,
            label_weight=drawn.get("label_weight", 1 - kd_weight),
            optimizer=Optimizer(name, **settings),  # type: ignore[arg-type]
        )

    def repeat(self, trial: Trial, stage: Stage, variant: str | None, seeds: int, first: int) -> list[Trial]:
        """The same configuration on so many fresh seeds."""
        configuration = configurations.from_json(trial.configuration or {})
        return [
            self.trial(stage, trial.arm, variant, trial.number, configuration, first + seed) for seed in range(seeds)
        ]

    def trial(
        self, stage: Stage, arm: Arm, variant: str | None, origin: int | None, configuration: Configuration, seed: int
    ) -> Trial:
        """A completed trial whose value is the truth and its seed's luck."""
        value = self.truth(configuration) + self.noise * float(self.rng.standard_normal())
        self.number += 1
        return Trial(
            number=self.number - 1,
            stage=stage,
            arm=arm,
            variant=variant,
            round=0,
            origin=origin,
            state=TrialState.COMPLETED,
            configuration=_json(configuration),
            seed=seed,
            attempt=1,
            worker_id="w",
            optuna_number=self.number - 1 if origin is None else None,
            value=value,
            epoch=self.spec.training.epochs,
            metrics={
                "accuracy": value,
                "nll": 1 - value,
                "ece": 0.02,
                "teacher_agreement": 0.9,
                "teacher_entropy": 1.0,
            },
            test_metrics={"accuracy": value + 0.001, "nll": 1 - value, "ece": 0.02}
            if stage is Stage.ESTIMATE
            else None,
            reason=None,
            created_at=START,
            started_at=START,
            ended_at=START + timedelta(seconds=self.number),
            train_seconds=1.0,
        )


def pruned(trial: Trial) -> Trial:
    """The same trial, had it been stopped at its first rung with a poor value."""
    return replace(trial, state=TrialState.PRUNED, epoch=2, reason=Reason("pruned", "stopped at epoch 2"))


def diverged(trial: Trial) -> Trial:
    """The same trial, had its loss become infinite."""
    reason = Reason("diverged", "the loss was no longer finite at epoch 1")
    return replace(trial, state=TrialState.FAILED, value=None, metrics=None, epoch=1, reason=reason)


def _json(configuration: Configuration) -> dict[str, Any]:
    return configurations.to_json(configuration)


def job(job_spec: JobSpec, **changes: Any) -> Job:
    """The record of a completed job with this spec."""
    progress = Progress(64, 64, 183, 0, 0, 3660, 100.0, 0.0, 0.93, 12)
    values: dict[str, Any] = {
        "id": "j",
        "name": job_spec.name,
        "labels": job_spec.labels,
        "owner": "local",
        "state": JobState.COMPLETED,
        "spec": job_spec.model_dump(mode="json", exclude_none=True),
        "problem": None,
        "budget_trials": job_spec.budget.trials,
        "budget_epochs": None,
        "budget_seconds": None,
        "search_stopped": False,
        "priority": 10,
        "parallel": None,
        "request_id": None,
        "fixed": {"views": 1, "precision": "fp32", "device": "cpu"},
        "teacher": {"fingerprint": "f", "validation_images": 360, "validation": {"accuracy": 0.98}},
        "progress": progress,
        "study_name": "thermowell-j",
        "test_opened_at": NOW,
        "created_at": START,
        "started_at": START,
        "ended_at": NOW,
        "updated_at": NOW,
    }
    return Job(**(values | changes))


def fits(job_spec: JobSpec, trials: Sequence[Trial]) -> dict[str, Fit]:
    """By optimizer, of the surface over these trials."""
    return fit_each(job_spec, trials, answer_surface(job_spec, trials))


def documents(job_spec: JobSpec, trials: Sequence[Trial], **changes: Any) -> dict[str, Any]:
    """The documents of a finished job with these trials."""
    values: dict[str, Any] = {
        "softness": [(1.0, 0.3), (4.0, 0.9), (40.0, 2.2)],
        "teacher": {"validation_images": 360},
        "search_stopped": False,
        "test_seen_before": False,
        "wall_seconds": 95.0,
        "now": NOW,
    }
    return dict(build_documents(job_id="j", spec=job_spec, trials=trials, **(values | changes)))


def job_view(
    job_spec: JobSpec, trials: Sequence[Trial], found: dict[str, Any] | None = None, **changes: Any
) -> JobView:
    """How the finished job of these trials stands, with straight learning curves that end at the trials' values."""
    told = documents(job_spec, trials) if found is None else found
    epochs = job_spec.training.epochs
    curves = [
        Curve(
            trial=trial.number,
            temperature=float((trial.configuration or {})["temperature"]),
            optimizer=configurations.optimizer_name(trial.configuration or {}),
            state=trial.state,
            epochs=list(range(1, trial.epoch + 1)),
            values=[(trial.value or 0.0) * (0.5 + 0.5 * epoch / epochs) for epoch in range(1, trial.epoch + 1)],
        )
        for trial in trials
        if (trial.stage, trial.arm) == (Stage.SEARCH, Arm.JOINT)
    ]
    values: dict[str, Any] = {
        "job": job(job_spec),
        "event": 9,
        "final": True,
        **{name: told.get(name) for name in ("result", "response", "importances", "interactions")},
        "trials": trials,
        "curves": curves,
    }
    return JobView(**(values | changes))


@cache
def few() -> tuple[Trial, ...]:
    """The trials of the smallest job that has a response."""
    return tuple(Builder(spec(budget={"trials": 24}), ridge, 0.004, np.random.default_rng(0)).job())
