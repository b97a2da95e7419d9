"""The job's surface as each optimizer sees it: its trials, and its profile along T."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis import profile
from search.analysis.joint_surface import distilled, optimizer_of, values_of
from search.records import Trial
from search.spec import JobSpec
from search.surfaces.axes import Axis, temperature_axis
from search.surfaces.joint import Joint
from search.surfaces.surface import Array, Surface
from search.surfaces.threads import one_thread

ENOUGH = 8
"""Different configurations below which an optimizer gets no curve: repeats on other seeds tell of one point alone."""
ENOUGH_TEMPERATURES = 4
"""And different temperatures."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A trial within the searched range of T. `value` is oriented so that more is better."""

    trial: Trial
    temperature: float
    value: float


@dataclass(frozen=True, slots=True)
class Fit:
    """One optimizer's part of the job's surface, in points of (T, `others`), each in 0..1.

    `profile` [n, 1 + d] has the best settings at each of `temperatures` [n], and `draws` [DRAWS, n] the quality there,
    drawn jointly with the other optimizers'.
    """

    optimizer: str
    others: list[Axis]
    seen: list[Seen]
    surface: Surface
    joint: Joint
    temperatures: Array
    profile: Array
    draws: Array

    def points(self, units: Array) -> Array:
        """Points [n, 1 + d] of this optimizer in the surface's cube [n, dimensions]."""
        return self.joint.points(self.optimizer, units)


def fit_each(spec: JobSpec, trials: Sequence[Trial], surface: Surface | None) -> dict[str, Fit]:
    """By optimizer, those that were tried enough; none where T is fixed or there is no surface.

    `surface` is the one over these trials (answer_surface). The same trials and surface give the same fits.
    """
    temperature = temperature_axis(spec.space)
    if temperature is None or surface is None:
        return {}
    joint = Joint.of(spec.space)
    tried = _seen(spec, trials, temperature)
    seen = {name: own for name in joint.settings if _enough(own := tried.get(name, []))}
    if not seen:
        return {}
    listed = next(iter(joint.settings.values()))[0].listed  # T is the first setting of each optimizer
    temperatures = np.unique(listed if listed else profile.grid(temperature.low, temperature.high))
    at = np.array([temperature.unit(float(one)) for one in temperatures])
    rng = np.random.default_rng([spec.seed, 0, 5])
    with one_thread():
        profiles = {name: _profile(surface, joint, name, own, at, rng) for name, own in seen.items()}
        every = np.concatenate([joint.points(name, units) for name, units in profiles.items()])
        draws = np.split(surface.draws(every, profile.DRAWS, rng), len(profiles), axis=1)
    return {
        name: Fit(
            optimizer=name,
            others=[setting.axis for setting in joint.settings[name][1:]],
            seen=seen[name],
            surface=surface,
            joint=joint,
            temperatures=temperatures,
            profile=profiles[name],
            draws=drawn,
        )
        for name, drawn in zip(seen, draws, strict=True)
    }


def _seen(spec: JobSpec, trials: Sequence[Trial], temperature: Axis) -> dict[str, list[Seen]]:
    """What a surface can be fitted to, by optimizer, in the order of their numbers."""
    own = distilled(trials)
    values = values_of(own, 1 if spec.objective.direction == "maximize" else -1)
    found: dict[str, list[Seen]] = {}
    for trial in sorted(own, key=lambda trial: trial.number):
        configuration = trial.configuration or {}
        at = float(configuration["temperature"])
        if trial.number in values and temperature.low * (1 - 1e-9) <= at <= temperature.high * (1 + 1e-9):
            found.setdefault(optimizer_of(configuration), []).append(Seen(trial, at, values[trial.number]))
    return found


def _enough(seen: Sequence[Seen]) -> bool:
    configurations = {repr(sorted((one.trial.configuration or {}).items(), key=str)) for one in seen}
    return len(configurations) >= ENOUGH and len({one.temperature for one in seen}) >= ENOUGH_TEMPERATURES


def _profile(
    surface: Surface, joint: Joint, optimizer: str, seen: Sequence[Seen], at: Array, rng: np.random.Generator
) -> Array:
    """The profile's points [n, 1 + d] at these places of T [n]."""
    axes = [setting.axis for setting in joint.settings[optimizer][1:]]
    tried = np.array([[axis.unit(axis.value(one.trial.configuration or {})) for axis in axes] for one in seen])

    def mean(units: Array) -> Array:
        return surface.mean(joint.points(optimizer, units))

    def allowed(settings: Array) -> Array:
        return joint.snapped(optimizer, np.column_stack([np.zeros(len(settings)), settings]))[:, 1:]

    return profile.best_settings(mean, allowed, tried.reshape(len(seen), len(axes)), at, rng)
