"""What the winner is expected to gain over the best configuration of a baseline's slice, tuned to or not.

A tuned baseline is the best of a few trials: what is measured against it is a gain over these, and over the best
configuration with its T it is less. How much less nobody has trained: the surface says it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import qmc

from search.analysis.job.field import edged_points, point_of
from search.analysis.job.joint_surface import optimizer_of, values_of
from search.records import Trial
from search.spec.job import JobSpec
from search.states import BASELINE_ARMS, Arm
from search.surrogate.slices import Slice, together
from search.surrogate.surface import Array, Surface
from search.surrogate.threads import one_thread
from thermowell.api.answers import Interval
from trainers.registry import losses

DRAWS = 1000
_GRID = 250  # configurations of an optimizer, up to which all are looked at,
_EVEN = 128  # else settings spread evenly over its space,
_TRIED = 256  # and those that were tried, the best means first


def gains_over_best(
    spec: JobSpec, trials: Sequence[Trial], winner: Mapping[str, Any], whole: Surface | None
) -> dict[Arm, tuple[float, Interval]]:
    """By baseline the expected gain of the configuration `winner` over the best of its slice, with its interval.

    `whole` is the surface over `trials` (edged_surface). In each joint posterior draw the best of the slice is the
    draw's own. Empty without a surface; baselines of which it says nothing, those of another term, are left out. The
    same trials give the same gains.
    """
    if whole is None:
        return {}
    rng = np.random.default_rng([spec.seed, 0, 9])
    shared = together(Arm.JOINT, spec.distillation.method == losses.PLAIN)
    mine = edged_points(spec, [(Arm.JOINT, winner)])
    with one_thread():
        return {
            arm: _expected(
                spec, whole.draws(np.concatenate([mine, _places(spec, trials, arm, whole, rng)]), DRAWS, rng)
            )
            for arm in BASELINE_ARMS
            if arm in shared
        }


def _expected(spec: JobSpec, draws: Array) -> tuple[float, Interval]:
    """Of draws [n, 1 + places] of the winner and of the places of a slice."""
    gain, confidence = draws[:, 0] - draws[:, 1:].max(axis=1), spec.confirmation.confidence
    low, high = np.quantile(gain, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(gain.mean()), Interval(low=float(low), high=float(high), confidence=confidence)


def _places(spec: JobSpec, trials: Sequence[Trial], arm: Arm, whole: Surface, rng: np.random.Generator) -> Array:
    """Points [n, d] that stand for an arm's configurations, no two the same."""
    cube, choices = Slice(spec.space, arm, spec.distillation.method), spec.space.optimizers()
    sign = 1 if spec.objective.direction == "maximize" else -1
    configured = [trial for trial in trials if trial.configuration and trial.arm in (arm, Arm.JOINT)]
    completed = values_of(configured, sign)
    tried = [
        point_of(spec, cube, trial, arm)[None]
        for trial in configured
        if trial.number in completed and optimizer_of(trial.configuration or {}) in choices
    ]
    parts: list[Array] = []
    if tried:
        points: Array = np.unique(np.round(np.concatenate(tried), 9), axis=0).astype(np.float64)
        parts.append(points[np.argsort(-whole.mean(points), kind="stable")[:_TRIED]])
    for name, settings in cube.settings.items():
        units = cube.grid(name, _GRID)
        if units is None:
            units = cube.snapped(name, qmc.Sobol(len(settings), rng=rng).random(_EVEN))
        parts.append(cube.points(name, units))
    return np.unique(np.round(np.concatenate(parts), 9), axis=0)
