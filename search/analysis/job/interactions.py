"""Interactions of T with each other setting: a map of both, for each optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np

from search import units
from search.analysis.job.anova import METHOD as SHARES
from search.analysis.job.anova import interaction_shares
from search.analysis.job.fits import Fit
from search.spec.job import JobSpec
from search.surrogate.axes import Axis
from search.surrogate.threads import one_thread
from thermowell.api.answers import InteractionMap, Interactions

ROWS, COLUMNS = 20, 28
"""Points of a map: values of the setting, and temperatures; of lists their own numbers."""
HARDLY = 0.7
"""Deviation, as a share of how much all trials vary, from which on nothing is said of a point."""

METHOD = (
    "Each map is read off the response's Gaussian process: the median of the mean quality over T "
    "and one setting, the other settings being at each T those that the response has there. Left blank where the "
    "deviation is more than 0.7 of how much the trials vary at all: too few trials are near. " + SHARES
)


def interactions(job_id: str, spec: JobSpec, fits: Mapping[str, Fit], now: datetime) -> Interactions:
    """A map and a share for each other searched setting of each optimizer with a fit; the same fits give the same."""
    sign = 1 if spec.objective.direction == "maximize" else -1
    with one_thread():
        maps = [_map(fit, place, axis, sign) for fit in fits.values() for place, axis in enumerate(fit.others)]
        rng = np.random.default_rng([spec.seed, 1, 3])
        shares = interaction_shares(list(fits.values()), spec.confirmation.confidence, rng)
    return Interactions(
        job_id=job_id,
        metric=spec.objective.metric,
        unit=spec.objective.unit,
        direction=spec.objective.direction,
        maps=maps,
        shares=shares,
        method=METHOD,
        computed_at=now.isoformat(),
    )


def _map(fit: Fit, place: int, axis: Axis, sign: int) -> InteractionMap:
    """The map of the setting at `place` among the fit's others."""
    last = len(fit.profile) - 1
    columns = np.unique(np.linspace(0, last, COLUMNS).round().astype(int))  # the profile's own temperatures
    temperatures = fit.temperatures[columns]
    listed = fit.joint.settings[fit.optimizer][1 + place].listed
    rows = np.array([axis.unit(value) for value in listed]) if listed else np.linspace(0, 1, ROWS)
    points = np.repeat(fit.profile[columns][None], len(rows), axis=0)  # [rows, columns, 1 + d]
    points[:, :, 1 + place] = rows[:, None]
    shape = points.shape[:2]
    levels, deviation = fit.surface.levels(fit.points(points.reshape(-1, points.shape[2])))
    return InteractionMap(
        optimizer=fit.optimizer,
        setting=axis.name,
        log=axis.log,
        temperatures=temperatures.tolist(),
        values=_numbers(axis) or [float(axis.at(float(row))) for row in rows],
        choices=[units.value(choice) for choice in axis.choices] or None,
        means=(sign * levels).reshape(shape).tolist(),
        known=(deviation <= HARDLY).reshape(shape).tolist(),
        trials=[
            (observation.temperature, axis.number(observation.trial.configuration or {}), sign * observation.value)
            for observation in fit.seen
        ],
    )


def _numbers(axis: Axis) -> list[float]:
    """The numbers of a list, or the places of choices that have no order; none of a range."""
    return [float(place) for place in range(len(axis.choices))] or [float(value) for value in axis.listed]
