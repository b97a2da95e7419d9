"""The field of a job: every configuration that fresh seeds were spent on, of all groups, and draws of their true means.

Configurations that cannot be told apart are one option, whichever group trained them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from search import configurations
from search.analysis.job.fits import Fit
from search.analysis.job.joint_surface import distilled, joint_of, joint_surface, optimizer_of, points_of
from search.analysis.job.verdict import Field, Option, Slice, alike
from search.records import Trial
from search.spec.job import Choices, JobSpec, Ranged
from search.states import Arm, Stage, TrialState
from search.surrogate.axes import temperature_axis
from search.surrogate.surface import MEMBERS, Array, Surface
from search.surrogate.threads import one_thread
from trainers.registry import losses, optimizers

DRAWS = 4000
NEAR = 0.02
"""Of each searched range: configurations that are nowhere farther apart cannot be told apart."""
FREEDOM = 4
"""Degrees of freedom of the noise below which the search, whose trials are more, tells what fresh runs do not: with two
or fewer Student's t has no variance, with one no mean.
"""
USUAL = 4.0
"""The temperature that one takes who does not search it (Hinton et al. 2015, and most recipes since)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One option and where it comes from: its group, the trial that found it, and its completed trials on fresh seeds.

    Without `runs` nobody has trained it: it is the default T with settings that were.
    """

    option: Option
    arm: Arm
    variant: str | None
    origin: int | None
    configuration: Mapping[str, Any]
    runs: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class Contest:
    """The entries of a job, in the order of the field's options."""

    entries: tuple[Entry, ...]
    field: Field


def default_temperature(spec: JobSpec) -> float:
    """What the verdict returns to: the spec's own, the job's T where that is fixed, else T = 4."""
    searched = spec.space.temperature
    if not isinstance(searched, Ranged):
        return float(searched)
    return spec.baselines.default_temperature or USUAL


def contest_of(
    spec: JobSpec, trials: Sequence[Trial], surface: Surface | None, fits: Mapping[str, Fit]
) -> Contest | None:
    """The field of the newest round of confirmation; None where no fresh seed has ended.

    `trials` are all of the job's, `surface` and `fits` those over them. The same ones give the same field.
    """
    entries = _merged(spec, _entries(spec, trials))
    if not entries:
        return None
    entries = [*entries, *_untrained(spec, trials, entries, surface)]
    rng = np.random.default_rng([spec.seed, 0, 6])
    deviation, freedom = _noise(entries, surface, trials)
    draws = np.empty((DRAWS, len(entries)))
    with one_thread():
        labels = _labels_surface(spec, trials, entries, rng)
        for alone, fitted in ((True, labels), (False, surface)):
            places = [place for place, entry in enumerate(entries) if _on_surface(entry, alone)]
            if fitted is not None and places:
                points = points_of(joint_of(spec, alone), [entries[place].configuration for place in places])
                draws[:, places] = fitted.draws(points, DRAWS, rng)
            else:
                _by_runs(spec, entries, places, draws, deviation, freedom, rng)
        elsewhere = [place for place, entry in enumerate(entries) if _of_another_term(entry)]
        _by_runs(spec, entries, elsewhere, draws, deviation, freedom, rng)
    field = Field(
        options=[entry.option for entry in entries],
        draws=draws,
        delta=spec.confirmation.delta,
        default_temperature=default_temperature(spec),
        confidence=spec.confirmation.confidence,
        noise=deviation,
        along=_slices(spec, entries, surface, fits),
        look=1 + _newest(trials),
    )
    return Contest(tuple(entries), field)


def _entries(spec: JobSpec, trials: Sequence[Trial]) -> list[Entry]:
    """Each configuration of the newest round that ended on a fresh seed, and failed on fewer than half of them."""
    fresh = [trial for trial in trials if trial.stage in (Stage.SELECT, Stage.ESTIMATE) and trial.configuration]
    newest = _newest(trials)
    groups: dict[tuple[bool, str], list[Trial]] = {}
    for trial in fresh:
        if trial.round == newest:
            key = trial.arm is Arm.LABEL_ONLY, repr(configurations.from_json(trial.configuration or {}))
            groups.setdefault(key, []).append(trial)
    entries = []
    for group in groups.values():
        runs = tuple(trial for trial in group if _ended_well(trial))
        failed = sum(trial.state is TrialState.FAILED for trial in group)
        if runs and 2 * failed < len(group):
            first = min(group, key=_rank)
            configuration = dict(first.configuration or {})
            option = option_of(spec, first.arm, configuration)
            entries.append(Entry(option, first.arm, first.variant, first.origin, configuration, runs))
    return entries


def _newest(trials: Sequence[Trial]) -> int:
    """The newest round of confirmation."""
    fresh = (Stage.SELECT, Stage.ESTIMATE)
    return max((trial.round for trial in trials if trial.stage in fresh and trial.configuration), default=0)


def _rank(trial: Trial) -> tuple[bool, int]:
    """Estimates before races: they have a variant, which says what the configuration is."""
    return trial.variant is None, trial.number


def option_of(spec: JobSpec, arm: Arm, configuration: Mapping[str, Any]) -> Option:
    """A stored configuration as an option of the verdict."""
    temperature: float | None = float(configuration["temperature"])
    student = configuration.get("student_temperature")
    method = configuration.get("method") or spec.distillation.method
    single = configuration.get("final_temperature") is None and student in (None, temperature)
    if arm is Arm.LABEL_ONLY or not single or losses.get(method).temperature == "none":
        temperature = None
    terms = float(configuration["kd_weight"]), float(configuration["label_weight"])
    share = terms[0] / math.fsum(terms) if math.fsum(terms) > 0 else 0.0
    return Option(arm.value, temperature, _departures(spec, configuration), share=share)


def _departures(spec: JobSpec, configuration: Mapping[str, Any]) -> int:
    """How many settings that have a usual value are off it; searched rates and decays have none, and of the named
    parameters those have one that the spec gives a default.
    """
    optimizer, name = configuration["optimizer"], optimizer_of(configuration)
    record = optimizers.OPTIMIZERS.get(name)  # of a training's own optimizer nothing is known
    usual = {} if record is None else {setting.name: setting.default for setting in record.settings}
    off = [key for key, value in usual.items() if isinstance(value, bool | float) and optimizer.get(key) != value]
    parameters = configuration.get("parameters") or {}
    defaults = {key: getattr(part, "default", None) for key, part in spec.space.parameters.items()}
    off += [key for key, value in defaults.items() if value is not None and parameters.get(key) != value]
    weights = not math.isclose(configuration["kd_weight"] + configuration["label_weight"], 1.0)
    apart = sum(configuration.get(key) is not None for key in ("student_temperature", "final_temperature", "method"))
    return len(off) + int(record is not None and name != optimizers.DEFAULT) + int(weights) + apart


def _merged(spec: JobSpec, entries: Sequence[Entry]) -> list[Entry]:
    """Those that cannot be told apart as one, the one of them that is named first: the default T, then a baseline's."""
    default = default_temperature(spec)

    def rank(entry: Entry) -> tuple[bool, bool, int, int]:
        usual = entry.option.temperature is not None and math.isclose(entry.option.temperature, default)
        return not usual, entry.arm is Arm.JOINT, entry.option.departures, -len(entry.runs)

    merged: list[Entry] = []
    for entry in sorted(entries, key=rank):
        place = next((place for place, representative in enumerate(merged) if _same(spec, entry, representative)), None)
        if place is None:
            merged.append(entry)
        else:
            merged[place] = replace(merged[place], runs=(*merged[place].runs, *entry.runs))
    return merged


def _same(spec: JobSpec, first: Entry, second: Entry) -> bool:
    labels = first.arm is Arm.LABEL_ONLY
    if labels is not (second.arm is Arm.LABEL_ONLY) or _of_another_term(first) != _of_another_term(second):
        return False
    if optimizer_of(first.configuration) != optimizer_of(second.configuration):
        return False
    points = points_of(joint_of(spec, labels), [first.configuration, second.configuration])
    return bool(np.abs(points[0] - points[1]).max(initial=0.0) <= NEAR)


def _untrained(
    spec: JobSpec, trials: Sequence[Trial], entries: Sequence[Entry], surface: Surface | None
) -> list[Entry]:
    """The default T with settings that nobody trained it with on a fresh seed: those that are best there, by the
    surface, of the options at another T, since what T itself gains is the difference to it; and of all that was tried,
    since another T does not gain what the default one lacks in tuning.
    """
    default, searched = default_temperature(spec), spec.space.temperature
    if surface is None or not isinstance(searched, Ranged) or not searched.low <= default <= searched.high:
        return []
    if isinstance(searched, Choices) and default not in searched.values:
        return []
    options = [(e.origin, e.configuration) for e in entries if e.arm is not Arm.LABEL_ONLY and not _of_another_term(e)]
    elsewhere = [option for option in options if not alike(option_of(spec, Arm.JOINT, option[1]).temperature, default)]
    choices = spec.space.optimizers()
    tried = [
        (trial.number, trial.configuration or {})
        for trial in distilled(trials)
        if trial.stage in (Stage.SEARCH, Stage.BASELINE) and _ended_well(trial)
    ]
    tried = [(number, configuration) for number, configuration in tried if optimizer_of(configuration) in choices]
    untrained: list[Entry] = []
    for group in (elsewhere, tried):
        entry = _moved(spec, group, default, surface)
        if entry is not None and not any(_same(spec, entry, option) for option in (*entries, *untrained)):
            untrained.append(entry)
    return untrained


def _moved(
    spec: JobSpec, group: Sequence[tuple[int | None, Mapping[str, Any]]], temperature: float, surface: Surface
) -> Entry | None:
    """Of these configurations, each with the trial that found it, the best one at this T; None without any."""
    single = [place for place in group if option_of(spec, Arm.JOINT, place[1]).temperature is not None]
    if not single:
        return None
    moved = [{**configuration, "temperature": temperature} for _, configuration in single]
    best = int(surface.mean(points_of(joint_of(spec, False), moved)).argmax())
    option = replace(option_of(spec, Arm.JOINT, moved[best]), trained=False)
    return Entry(option, Arm.JOINT, None, single[best][0], moved[best], ())


def _on_surface(entry: Entry, labels: bool) -> bool:
    return (entry.arm is Arm.LABEL_ONLY) == labels and not _of_another_term(entry)


def _of_another_term(entry: Entry) -> bool:
    """Whether it distils by another term than the job's, as baselines of a method do: the job's surface says nothing
    of it.
    """
    return entry.arm is not Arm.LABEL_ONLY and entry.configuration.get("method") is not None


def _labels_surface(
    spec: JobSpec, trials: Sequence[Trial], entries: Sequence[Entry], rng: np.random.Generator
) -> Surface | None:
    if all(entry.arm is not Arm.LABEL_ONLY for entry in entries):
        return None
    return joint_surface(spec, trials, True, rng, MEMBERS)


def _noise(entries: Sequence[Entry], surface: Surface | None, trials: Sequence[Trial]) -> tuple[float, int]:
    """The deviation of one run about its configuration's mean, from all that ran on several seeds, and its degrees of
    freedom, of which those that are missing to FREEDOM are the surface's; without a surface those of all values, which
    differ by their configurations too.
    """
    values = [np.array([trial.value for trial in entry.runs]) for entry in entries if len(entry.runs) > 1]
    squares = sum(float(((of_entry - of_entry.mean()) ** 2).sum()) for of_entry in values)
    freedom = sum(len(of_entry) - 1 for of_entry in values) if squares > 0 else 0
    if freedom < FREEDOM:
        all_values = [float(trial.value or 0.0) for trial in trials if _ended_well(trial)]
        noise = surface.noise if surface is not None else float(np.std(all_values))
        squares += (FREEDOM - freedom) * noise**2
        freedom = FREEDOM
    return math.sqrt(squares / freedom), freedom


def _by_runs(
    spec: JobSpec,
    entries: Sequence[Entry],
    places: Sequence[int],
    draws: Array,
    deviation: float,
    freedom: int,
    rng: np.random.Generator,
) -> None:
    """Fills in draws of what no surface speaks of: the mean of its own fresh seeds, with Student's t about it."""
    sign = 1.0 if spec.objective.direction == "maximize" else -1.0
    for place in places:
        values = [sign * float(trial.value or 0.0) for trial in entries[place].runs]
        reach = deviation / math.sqrt(len(values))
        draws[:, place] = np.mean(values) + reach * rng.standard_t(freedom, DRAWS)


def _slices(
    spec: JobSpec, entries: Sequence[Entry], surface: Surface | None, fits: Mapping[str, Fit]
) -> Callable[[int], Slice | None] | None:
    """What T does with the settings of an entry; None where T is not searched, or there is no response."""
    axis = temperature_axis(spec.space)
    apart = isinstance(spec.space.final_temperature, Ranged) or isinstance(spec.space.student_temperature, Ranged)
    if axis is None or surface is None or not fits or apart:
        return None
    temperatures = next(iter(fits.values())).temperatures
    profiles = np.stack([fit.points(fit.profile) for fit in fits.values()])  # [optimizers, temperatures, d]
    means = np.stack([surface.mean(points) for points in profiles])
    best = profiles[means.argmax(axis=0), np.arange(len(temperatures))]
    joint = joint_of(spec, False)

    def along(place: int) -> Slice | None:
        entry = entries[place]
        if entry.option.temperature is None or _of_another_term(entry):
            return None
        moved = points_of(joint, [{**entry.configuration, "temperature": float(t)} for t in temperatures])
        rng = np.random.default_rng([spec.seed, place, 7])
        with one_thread():
            draws = surface.draws(np.concatenate([best, moved]), DRAWS, rng)
        return Slice(temperatures, draws[:, : len(temperatures)], draws[:, len(temperatures) :])

    return along


def _ended_well(trial: Trial) -> bool:
    return trial.state is TrialState.COMPLETED and trial.value is not None and math.isfinite(trial.value)
