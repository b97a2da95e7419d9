"""The job's surface as each optimizer sees it: its trials, and its profile along T."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from search.analysis.job import profile
from search.analysis.job.joint_surface import distilled, optimizer_of, values_of
from search.records import Trial
from search.spec.job import JobSpec
from search.surrogate.axes import Axis, temperature_axis
from search.surrogate.encoding import Encoding
from search.surrogate.surface import Array, Surface
from search.surrogate.threads import one_thread

ENOUGH = 8
"""Different configurations below which an optimizer gets no curve: repeats on other seeds tell of one point alone."""
ENOUGH_TEMPERATURES = 4
"""And different temperatures."""


@dataclass(frozen=True, slots=True)
class Observed:
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
    seen: list[Observed]
    surface: Surface
    joint: Encoding
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
    joint = Encoding.of(spec.space)
    tried = _observed(spec, trials, temperature)
    observed = {name: observations for name in joint.settings if _enough(observations := tried.get(name, []))}
    if not observed:
        return {}
    listed = next(iter(joint.settings.values()))[0].listed  # T is the first setting of each optimizer
    temperatures = np.unique(listed if listed else profile.grid(temperature.low, temperature.high))
    positions = np.array([temperature.unit(float(value)) for value in temperatures])
    rng = np.random.default_rng([spec.seed, 0, 5])
    with one_thread():
        profiles = {
            name: _profile(surface, joint, name, observations, positions, rng)
            for name, observations in observed.items()
        }
        every = np.concatenate([joint.points(name, units) for name, units in profiles.items()])
        draws = np.split(surface.draws(every, profile.DRAWS, rng), len(profiles), axis=1)
    return {
        name: Fit(
            optimizer=name,
            others=list(joint.settings[name][1:]),
            seen=observed[name],
            surface=surface,
            joint=joint,
            temperatures=temperatures,
            profile=profiles[name],
            draws=drawn,
        )
        for name, drawn in zip(observed, draws, strict=True)
    }


def _observed(spec: JobSpec, trials: Sequence[Trial], temperature: Axis) -> dict[str, list[Observed]]:
    """What a surface can be fitted to, by optimizer, in the order of their numbers."""
    trained = distilled(trials)
    values = values_of(trained, 1 if spec.objective.direction == "maximize" else -1)
    by_optimizer: dict[str, list[Observed]] = {}
    for trial in sorted(trained, key=lambda trial: trial.number):
        configuration = trial.configuration or {}
        value = float(configuration["temperature"])
        if trial.number in values and temperature.low * (1 - 1e-9) <= value <= temperature.high * (1 + 1e-9):
            by_optimizer.setdefault(optimizer_of(configuration), []).append(
                Observed(trial, value, values[trial.number])
            )
    return by_optimizer


def _enough(observations: Sequence[Observed]) -> bool:
    configurations = {
        repr(sorted((observation.trial.configuration or {}).items(), key=str)) for observation in observations
    }
    return (
        len(configurations) >= ENOUGH
        and len({observation.temperature for observation in observations}) >= ENOUGH_TEMPERATURES
    )


def _profile(
    surface: Surface,
    joint: Encoding,
    optimizer: str,
    observations: Sequence[Observed],
    temperatures: Array,
    rng: np.random.Generator,
) -> Array:
    """The profile's points [n, 1 + d] at these places of T [n]."""
    axes = joint.settings[optimizer][1:]
    tried = np.array(
        [
            [axis.unit(axis.value(observation.trial.configuration or {})) for axis in axes]
            for observation in observations
        ]
    )

    def mean(units: Array) -> Array:
        return surface.mean(joint.points(optimizer, units))

    def allowed(settings: Array) -> Array:
        return joint.snapped(optimizer, np.column_stack([np.zeros(len(settings)), settings]))[:, 1:]

    return profile.best_settings(mean, allowed, tried.reshape(len(observations), len(axes)), temperatures, rng)
