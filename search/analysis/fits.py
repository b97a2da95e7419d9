"""What do the trials of each optimizer say of its settings? One surface for each, and the profile along T on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis import profile
from search.records import Trial
from search.spec import JobSpec
from search.states import Arm, Stage, TrialState
from search.surfaces.axes import Axis, axes, temperature_axis
from search.surfaces.surface import Array, Surface
from search.surfaces.threads import one_thread

ENOUGH = 8
"""Different configurations below which an optimizer gets no curve: repeats on other seeds tell of one point alone."""
ENOUGH_TEMPERATURES = 4
"""And different temperatures."""
AT_MOST = 600
"""Trials of one optimizer that enter its curve: confirmation first, then the latest."""
DIVERGED = "diverged"
"""The reason's type of a trial whose loss was no longer finite."""

GRID = 40
"""Temperatures of a profile."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A trial as the fit sees it: oriented so that more is better."""

    trial: Trial
    optimizer: str
    temperature: float
    value: float


@dataclass(frozen=True, slots=True)
class Fit:
    """One optimizer's surface over (T, `others`), each in 0..1, and its profile: points [GRID, 1 + d] and draws."""

    temperature: Axis
    others: list[Axis]
    seen: list[Seen]
    surface: Surface
    profile: Array
    draws: Array


def fit_each(spec: JobSpec, trials: Sequence[Trial]) -> dict[str, Fit]:
    """By optimizer, those that were tried enough; none where T is fixed. The same trials give the same fits.

    label_only trials have no temperature and are left out, and so are trials at temperatures outside the searched
    range.
    """
    temperature = temperature_axis(spec.space)
    if temperature is None:
        return {}
    sign = 1 if spec.objective.direction == "maximize" else -1
    seen = _fitted(spec, trials, temperature, sign)
    fits: dict[str, Fit] = {}
    for index, optimizer in enumerate(spec.space.optimizer.choices()):
        own = [one for one in seen if one.optimizer == optimizer]
        if _enough(own):
            rng = np.random.default_rng([spec.seed, index])
            fits[optimizer] = _fit(own, temperature, axes(spec.space, optimizer), rng)
    return fits


def _fitted(spec: JobSpec, trials: Sequence[Trial], temperature: Axis, sign: int) -> list[Seen]:
    """The trials that are fitted. Diverged ones get the worst value of those that completed."""
    choices = spec.space.optimizer.choices()
    usable = [
        trial
        for trial in trials
        if trial.configuration is not None
        and trial.arm is not Arm.LABEL_ONLY
        and trial.configuration.get("method") is None  # a baseline's KL says nothing of another term's T
        and trial.configuration["optimizer"]["name"] in choices
        and temperature.low * (1 - 1e-9) <= trial.configuration["temperature"] <= temperature.high * (1 + 1e-9)
    ]
    values = {trial.number: sign * float(trial.value or 0.0) for trial in usable if _completed(trial)}
    if values:
        worst = min(values.values())
        values.update({trial.number: worst for trial in usable if _diverged(trial)})
    return [_seen(trial, values[trial.number]) for trial in usable if trial.number in values]


def _enough(seen: Sequence[Seen]) -> bool:
    configurations = {repr(sorted((one.trial.configuration or {}).items(), key=str)) for one in seen}
    return len(configurations) >= ENOUGH and len({one.temperature for one in seen}) >= ENOUGH_TEMPERATURES


def _completed(trial: Trial) -> bool:
    return trial.state is TrialState.COMPLETED and trial.value is not None and math.isfinite(trial.value)


def _diverged(trial: Trial) -> bool:
    return trial.state is TrialState.FAILED and trial.reason is not None and trial.reason.type == DIVERGED


def _seen(trial: Trial, value: float) -> Seen:
    configuration = trial.configuration or {}
    return Seen(trial, str(configuration["optimizer"]["name"]), float(configuration["temperature"]), value)


def _fit(seen: Sequence[Seen], temperature: Axis, others: list[Axis], rng: np.random.Generator) -> Fit:
    ranked = sorted(seen, key=lambda one: (one.trial.stage not in (Stage.SELECT, Stage.ESTIMATE), -one.trial.number))
    kept = ranked[:AT_MOST]  # never by value: that would fit luck
    settings = np.array(
        [[axis.unit(axis.value(one.trial.configuration or {})) for axis in others] for one in kept], dtype=float
    ).reshape(len(kept), len(others))
    at = np.array([temperature.unit(one.temperature) for one in kept])
    with one_thread():
        surface = Surface(np.column_stack([at, settings]), np.array([one.value for one in kept]), rng)
        chosen = profile.best_settings(surface, settings, GRID, rng)
        return Fit(temperature, others, kept, surface, chosen, profile.profile_draws(surface, chosen, rng))
