"""The winner's expected distance from the best configuration of the space, counted in joint posterior draws.

A search of some dozens of noisy trainings seldom meets the best configuration: an honest answer says how likely it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from search.analysis.job.joint_surface import distilled, joint_of, optimizer_of, points_of
from search.records import Trial
from search.spec.job import JobSpec, Ranged
from search.states import Arm
from search.surrogate.encoding import Encoding
from search.surrogate.surface import Array, Surface
from search.surrogate.threads import one_thread
from thermowell.api.answers import Shortfall

DRAWS = 2000
DOUBT = 3
"""Independent draws that must agree: chance and bound are of the largest of so many draws' shortfalls. A single draw
is surer than it should be: the winner was chosen by the same runs that the surface is fitted to, and students' quality
is not as smooth as the process takes it to be. Of worlds drawn from such a process, bounds of 90 % held in 85 % without
it; on one table of real students nearly three times the chance was stated that held (the page of
benchmarks/calibration, "The stated regret of the winner").
"""
_GRID = 500  # configurations of an optimizer, up to which all are looked at
_EVEN = 256  # else settings of each optimizer spread evenly over its space,
_TRIED = 256  # those that were tried, the best means first,
_PROMISING = 24  # and of these the places that are best in most of some draws,
_SURVEY_DRAWS = 500
_NEAR = 8  # with so many settings near each
_STEPS = (0.03, 0.1)  # at about these distances

METHOD = (
    "A Gaussian process over T, the optimizer and its settings (as for the choice of finalists), fitted to every "
    "completed trial of the job that distils by its method, each training on a fresh seed included. The shortfall of a "
    "joint posterior draw is its maximum over the searched space (all configurations of lists; else some hundreds, "
    "spread evenly, tried, and near what may be best) less its value at the winner. Each draw's own maximum takes the "
    "unknown for good. The expected shortfall is the draws' mean. A single draw is surer than it should be: the chance "
    "to be within delta and the bound are those of the largest shortfall of three independent draws."
)


def shortfall(
    spec: JobSpec, trials: Sequence[Trial], winner: Mapping[str, Any], surface: Surface | None
) -> Shortfall | None:
    """What the job's trials say of the configuration `winner`; None where there is no surface.

    `trials` are all of the job's, `surface` is the one over them (answer_surface). The same ones give the same answer.
    """
    if surface is None:
        return None
    rng = np.random.default_rng([spec.seed, 0, 3])
    with one_thread():
        places, winner_place = _places(spec, surface, distilled(trials), winner, rng)
        draws = surface.draws(places, DRAWS, rng)
    behind = draws.max(axis=1) - draws[:, winner_place]
    confirmation = spec.confirmation
    return Shortfall(
        delta=confirmation.delta,
        chance_within_delta=float((behind <= confirmation.delta).mean() ** DOUBT),
        expected=float(behind.mean()),
        upper=float(np.quantile(behind, confirmation.confidence ** (1 / DOUBT))),
        confidence=confirmation.confidence,
        method=METHOD,
    )


def _places(
    spec: JobSpec, surface: Surface, trials: Sequence[Trial], winner: Mapping[str, Any], rng: np.random.Generator
) -> tuple[Array, int]:
    """Points [n, d] of the searched space that stand for it, no two the same; and which of them is the winner's."""
    joint = joint_of(spec, False)
    searched = Encoding.of(spec.space)
    tried = [trial.configuration for trial in trials if trial.arm is Arm.JOINT and trial.configuration]
    tried = [configuration for configuration in tried if optimizer_of(configuration) in joint.settings]
    optimizers = np.array([optimizer_of(configuration) for configuration in tried])
    points = np.round(points_of(joint, tried), 9)  # of the same configuration to the bit
    points, first = np.unique(points, axis=0, return_index=True)
    best = np.argsort(-surface.mean(points), kind="stable")[:_TRIED]
    names, parts = [optimizers[first[best]]], [points[best]]
    wide: list[str] = []  # optimizers not all of whose configurations can be looked at
    for name in joint.settings:
        units = searched.grid(name, _GRID)
        if units is None:
            wide.append(name)
            units = searched.snapped(name, qmc.Sobol(len(searched.settings[name]), rng=rng).random(_EVEN))
        parts.append(_to_joint(spec, joint, name, units))
        names.append(np.full(len(units), name))
    if wide:
        parts.append(_near(spec, joint, searched, surface, np.concatenate(parts), np.concatenate(names), wide, rng))
    winner_point = np.round(points_of(joint, [winner]), 9)
    every = np.unique(np.round(np.concatenate([winner_point, *parts]), 9), axis=0)
    return every, int(np.abs(every - winner_point).sum(axis=1).argmin())


def _near(
    spec: JobSpec,
    joint: Encoding,
    searched: Encoding,
    surface: Surface,
    points: Array,
    names: NDArray[np.str_],
    wide: Sequence[str],
    rng: np.random.Generator,
) -> Array:
    """Points [n, d] near those of `wide` optimizers that are best in most draws."""
    candidates = surface.draws(points, _SURVEY_DRAWS, rng)
    often = np.bincount(candidates.argmax(axis=1), minlength=len(points))
    parts = [np.zeros((0, joint.dimensions))]
    for place in np.argsort(-often, kind="stable")[:_PROMISING]:
        name = str(names[place])
        if often[place] and name in wide:
            free = len(searched.settings[name])
            steps = np.resize(_STEPS, (_NEAR, 1)) * rng.standard_normal((_NEAR, free))
            units = joint.units(name, points[[place]])[0][len(joint.settings[name]) - free :] + steps
            units = searched.snapped(name, searched.near(name, units, rng))
            parts.append(_to_joint(spec, joint, name, units))
    return np.concatenate(parts)


def _to_joint(spec: JobSpec, joint: Encoding, name: str, units: Array) -> Array:
    """Points of an optimizer's configurations whose searched settings lie at `units` [n, settings]."""
    temperature = spec.space.temperature
    if isinstance(temperature, Ranged):
        return joint.points(name, units)
    fixed = joint.settings[name][0].unit(temperature)  # it is of the cube, since baselines have another one
    return joint.points(name, np.column_stack([np.full(len(units), fixed), units]))
