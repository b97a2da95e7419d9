"""Sanity of a job: what is wrong with its teacher, its space or its training, each with what to do about it.

What stands here comes first on the page: an answer is worth no more than what it was searched with.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search import units
from search.analysis.job.joint_surface import optimizer_of
from search.analysis.job.options import Contest, Entry
from search.records import Report, Trial
from search.spec.job import JobSpec
from search.states import Arm, Stage, TrialState
from search.surrogate.axes import Axis, axes, temperature_axis
from thermowell.api.answers import Sanity
from trainers import quality

NEAR_STUDENT = 0.01
"""A teacher that is not further ahead of its student has little to teach it."""
OVERCONFIDENT, MISCALIBRATED = 1.5, 0.03
"""Of its own entropy, what an over-confident teacher's likelihood costs at the least; and its calibration error."""
END = 0.1
"""Of a searched range: what counts as its end."""
MOST_AT_END = 0.5
"""Of the better quarter of the search, that lies at an end where a setting is heaped there."""
ENOUGH = 8
"""Completed search trials below which nothing is heaped."""
WIDER = 4.0
"""How many times further a logarithmic range goes beyond the end where a setting is heaped."""
BETTER_CALIBRATED = 0.01
"""By how much less another contestant's calibration error must be to be named."""
LAST = 0.1
"""Of the epochs, over which a student may still be improving."""
APART = 3.0
"""How many times the training loss the validation loss is where a student has learned its images by heart."""
LEAST_GAP = 0.2  # nats: smaller losses are apart by little, whatever their quotient


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checks look at: `entry` is what is recommended, `curves` hold epochs by a trial's number."""

    spec: JobSpec
    trials: Sequence[Trial]
    teacher: Mapping[str, Any] | None
    contest: Contest | None
    entry: Entry | None
    curves: Mapping[int, Sequence[Report]]


def sanity(job: Checked) -> list[Sanity]:
    """What is wrong, gravest first; the same trials give the same."""
    return [*_teacher(job), *_heaped(job), *_training(job), *_parts(job), *_calibration(job)]


def _teacher(job: Checked) -> Iterator[Sanity]:
    facts = job.teacher or {}
    validation = facts.get("validation") or {}
    for fault in facts.get("faults", ()):
        yield Sanity(
            check="teacher_faults",
            finding=f"The teacher was accepted with a fault: {fault}.",
            action="Mend it and submit the job anew: what it teaches now is something else.",
        )
    accuracy, images = quality.level(validation), facts.get("validation_images")
    if accuracy is None or not images:
        return
    level, metric = units.level("accuracy", accuracy), quality.metric(validation)
    chance = facts.get("chance") or 1 / facts["classes"]
    if accuracy <= quality.least_accuracy(chance, images):
        measured = (
            f"is right on {level} of validation images"
            if metric == "accuracy"
            else f"has a mean average precision of {level} on validation"
        )
        yield Sanity(
            check="teacher_near_chance",
            finding=f"The teacher {measured}, which is near chance ({units.level('accuracy', chance)}).",
            action="Check that its labels, preprocessing and class order are the data set's before anything else.",
        )
        return
    student = _mean(job.entry, metric)
    if student is not None and accuracy < student + NEAR_STUDENT:
        word = "below" if accuracy < student else "hardly above"
        yield Sanity(
            check="teacher_near_student",
            finding=f"The teacher ({level}) is {word} its student ({units.level('accuracy', student)}).",
            action="Train it longer (teacher.training.epochs) or take a larger one: there is little to learn from it.",
        )
    entropy, likelihood, error = (validation.get(name) for name in ("teacher_entropy", "nll", "ece"))
    if entropy is None or likelihood is None or error is None:
        return
    if error > MISCALIBRATED and likelihood > OVERCONFIDENT * entropy:
        yield Sanity(
            check="teacher_overconfident",
            finding=f"The teacher is surer than it is right: its calibration error is {units.level('ece', error)}.",
            action="Search higher temperatures (space.temperature), or train it with teacher.label_smoothing: 0.1.",
        )


def _heaped(job: Checked) -> Iterator[Sanity]:
    """Settings whose better trials lie at an end of what was searched, with the wider range."""
    sign = 1 if job.spec.objective.direction == "maximize" else -1
    completed = [trial for trial in job.trials if trial.state is TrialState.COMPLETED and trial.configuration]
    searched = [trial for trial in completed if trial.stage is Stage.SEARCH]
    if len(searched) < ENOUGH or job.entry is None or job.entry.arm is Arm.LABEL_ONLY:
        return
    best = sorted(searched, key=lambda trial: -sign * (trial.value or 0.0))[: max(4, len(searched) // 4)]
    name = optimizer_of(job.entry.configuration)
    alike = [trial for trial in best if optimizer_of(trial.configuration or {}) == name]
    temperature = temperature_axis(job.spec.space)
    ordered = (axis for axis in axes(job.spec.space, name) if not axis.choices)
    for axis in [*([temperature] if temperature else []), *ordered]:
        places = [axis.unit(axis.value(trial.configuration or {})) for trial in alike]
        recommended = axis.unit(axis.value(job.entry.configuration))
        for low in (True, False):
            at_end = [place <= END if low else place >= 1 - END for place in [recommended, *places]]
            if at_end[0] and sum(at_end[1:]) >= max(2, MOST_AT_END * len(places)):
                yield from _wider(axis, name, low)


def _wider(axis: Axis, optimizer: str, low: bool) -> Iterator[Sanity]:
    setting = axis.name.rpartition(".")[2]
    end, value = ("lower", axis.low) if low else ("upper", axis.high)
    finding = f"The better trials are heaped at the {end} end of {setting} ({units.number(value)})."
    bounds = _widened(axis, setting, low)
    if axis.parameter:
        yield Sanity(
            check="heaped_at_bound", finding=finding, action=f"Search further: widen space.parameters.{setting}."
        )
        return
    if bounds is None:
        if setting == "kd_weight" and low:
            yield Sanity(
                check="heaped_at_bound",
                finding=finding,
                action="The best is hardly distilled: compare with no distillation before anything else.",
            )
        return
    part: dict[str, Any] = {"low": bounds[0], "high": bounds[1], "log": axis.log}
    if axis.listed:
        part = {"values": sorted({*map(float, axis.listed), bounds[0] if low else bounds[1]})}
    space = {"optimizer": {optimizer: {setting: part}}} if "." in axis.name else {setting: part}
    yield Sanity(
        check="heaped_at_bound",
        finding=finding,
        action="Search further: the wider range is ready for your spec, beside what else it says.",
        spec={"space": space},
    )


def _widened(axis: Axis, setting: str, low: bool) -> tuple[float, float] | None:
    """The range that goes further at this end; None where the end is the setting's own."""
    least, most = {
        "kd_weight": (0.0, 1.0),
        "momentum": (0.0, 0.9999),
        "temperature": (0.1, 1e4),
        "weight_decay": (1e-8, 1.0),
    }.get(setting, (1e-8, 1e3))
    if axis.log:
        bounds = (axis.low / WIDER, axis.high) if low else (axis.low, axis.high * WIDER)
    else:
        reach = (axis.high - axis.low) / 2
        bounds = (axis.low - reach, axis.high) if low else (axis.low, axis.high + reach)
    bounds = float(f"{max(bounds[0], min(least, axis.low)):.6g}"), float(f"{min(bounds[1], max(most, axis.high)):.6g}")
    return None if bounds == (axis.low, axis.high) else bounds


def _training(job: Checked) -> Iterator[Sanity]:
    """Students that had not finished learning, or that have learned their images by heart."""
    metric, epochs = job.spec.objective.metric, job.spec.training.epochs
    sign = 1 if job.spec.objective.direction == "maximize" else -1
    back = max(1, round(LAST * epochs))
    curves = [job.curves[trial.number] for trial in (job.entry.runs if job.entry else ()) if trial.number in job.curves]
    measured = job.spec.objective.built_in
    rises = [
        sign * (getattr(epochs_of[-1], metric) - getattr(epochs_of[-1 - back], metric))
        for epochs_of in curves
        if measured and len(epochs_of) > back
    ]
    if rises and statistics.fmean(rises) > job.spec.confirmation.delta and epochs > back:
        rise = units.difference(metric, statistics.fmean(rises), units.decimals(metric, job.spec.confirmation.delta))
        yield Sanity(
            check="still_improving",
            finding=f"Students still gained {rise} over the last {back} of {epochs} epochs.",
            action="Train longer: which T is best may change with the length of training.",
            spec={"training": {"epochs": 2 * epochs}},
        )
    alone = [trial for trial in job.trials if trial.arm is Arm.LABEL_ONLY and trial.stage is Stage.ESTIMATE]
    ends = [job.curves[trial.number][-1] for trial in alone if job.curves.get(trial.number)]
    if not ends:
        return
    trained, likelihood = (statistics.fmean(getattr(end, name) for end in ends) for name in ("train_loss", "nll"))
    if likelihood > APART * max(trained, 0.0) and likelihood - trained > LEAST_GAP:
        yield Sanity(
            check="train_and_validation_apart",
            finding=(
                f"Trained on labels alone, students lose {units.level('nll', trained)} on training images and "
                f"{units.level('nll', likelihood)} on validation images."
            ),
            action="They learn images by heart: use dataset.augmentation, more images or fewer epochs.",
        )


def _parts(job: Checked) -> Iterator[Sanity]:
    images = (job.teacher or {}).get("validation_images")
    delta, metric = job.spec.confirmation.delta, job.spec.objective.metric
    if metric == "accuracy" and images and 1 / images > delta:
        yield Sanity(
            check="validation_too_small",
            finding=(
                f"The validation part has {images} images: one of them is {units.difference(metric, 1 / images, 2)}, "
                f"more than the difference that was said not to matter ({units.difference(metric, delta)})."
            ),
            action=f"Take a larger part (dataset.validation_fraction), or say confirmation.delta: {1 / images:.2g}.",
        )


def _calibration(job: Checked) -> Iterator[Sanity]:
    """Which contestant states its chances best, where that is another than is recommended."""
    error = _mean(job.entry, "ece")
    if job.contest is None or error is None or job.entry is None:
        return
    measured = [calibration(entry) for entry in job.contest.entries]
    place = min(range(len(measured)), key=lambda place: measured[place].get("ece", math.inf))
    best, entry = measured[place], job.contest.entries[place]
    if error - best["ece"] <= BETTER_CALIBRATED:
        return
    labels = entry.arm is Arm.LABEL_ONLY
    name = "no distillation" if labels else units.at_temperature(entry.configuration["temperature"])
    yield Sanity(
        check="better_calibrated",
        finding=(
            f"Best calibrated is another, {name}: a calibration error of {units.level('ece', best['ece'])} against "
            f"{units.level('ece', error)}, at an accuracy of {units.level('accuracy', best.get('accuracy', math.nan))}."
        ),
        action="Where stated chances matter, use that one, search with objective.metric: nll, or calibrate afterwards.",
    )


def _mean(entry: Entry | None, metric: str) -> float | None:
    """Of an entry's runs on validation; None where none says."""
    runs = entry.runs if entry is not None else ()
    values = [float(trial.metrics[metric]) for trial in runs if trial.metrics is not None and metric in trial.metrics]
    finite = [value for value in values if math.isfinite(value)]
    return statistics.fmean(finite) if finite else None


def calibration(entry: Entry) -> dict[str, float]:
    """What an entry's runs reach on validation and how well they state their chances, as far as that is known."""
    values = {metric: _mean(entry, metric) for metric in (*units.NAMES, quality.OF_SEVERAL)}
    return {metric: value for metric, value in values.items() if value is not None}
