"""The temperature response: quality as a function of T, with the other settings profiled out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from scipy.stats import qmc

from search.analysis.job import profile
from search.analysis.job.fits import Fit
from search.analysis.job.observations import observations
from search.records import Trial
from search.spec.job import JobSpec
from search.surrogate.surface import Array
from search.surrogate.threads import one_thread
from thermowell.api.answers import ResponseCurve, TemperatureResponse

TEMPERATURES = 20
_SETTINGS = 32  # spread evenly over the searched space of the others
_DRAWS = 500

METHOD = (
    "Gaussian process over T, the optimizer and its settings (Matern 5/2, a length scale for each setting, "
    "hyperparameters averaged over Laplace's approximation of their posterior), fitted to the last epoch's value of "
    "completed search, baseline (T = 1, T = 4) and confirmation trials; seed noise is estimated and left out of the "
    "band. Trials that were stopped early are shown but not fitted: their value is of a shorter training, where other "
    "temperatures are best. Diverged trials count as the worst value seen. At each temperature (of a list: its own) an "
    "optimizer's settings are those with the best posterior mean; overall, each joint posterior draw has the optimizer "
    "that is best in it. Bands are pointwise; sets are read off the draws: the confidence set holds the draws' best T, "
    "missing it half as often as the stated confidence allows, since the process may be surer than it should be; it "
    "leaves out first what is least likely to be within delta of the best; the equivalent set is what is shown to be "
    "within delta of it. Marginal curves average over the searched ranges of the other settings, and over optimizers."
)


def temperature_response(
    job_id: str,
    spec: JobSpec,
    trials: Sequence[Trial],
    fits: Mapping[str, Fit],
    softness: Sequence[tuple[float, float]],
    now: datetime,
    *,
    marginal: bool = True,
    holds: Sequence[float] = (),
) -> TemperatureResponse:
    """The temperature response of each optimizer that `fits` has (see fit_each), and of the best of them all.

    Without `marginal`, the curves over averaged settings are left out, which saves time. The confidence set over all
    `holds` these temperatures, since something else chose them for the best. The same trials give the same document,
    but for `computed_at`.
    """
    sign = 1 if spec.objective.direction == "maximize" else -1
    curves: list[ResponseCurve] = []
    overall: ResponseCurve | None = None
    if fits:
        grid = next(iter(fits.values())).temperatures
        average = _marginals(spec, fits) if marginal else [None for _ in fits]
        curves = [
            _curve(name, grid, fit.draws, spec, sign, mean)
            for (name, fit), mean in zip(fits.items(), average, strict=True)
        ]
        over_all = np.mean([mean for mean in average if mean is not None], axis=0) if marginal else None
        best = np.max([fit.draws for fit in fits.values()], axis=0)
        overall = _curve(None, grid, best, spec, sign, over_all, holds)
    return TemperatureResponse(
        job_id=job_id,
        metric=spec.objective.metric,
        unit=spec.objective.unit,
        direction=spec.objective.direction,
        overall=overall,
        per_optimizer=curves,
        observations=observations(trials),
        softness=[pair for pair in softness if math.isfinite(pair[1])],  # at T near 0 logits no longer fit
        method=METHOD,
        delta=spec.confirmation.delta,
        computed_at=now.isoformat(),
    )


def _marginals(spec: JobSpec, fits: Mapping[str, Fit]) -> list[Array | None]:
    with one_thread():
        return [
            marginal_draws(fit, np.random.default_rng([spec.seed, index, 2])) for index, fit in enumerate(fits.values())
        ]


def _curve(
    optimizer: str | None,
    grid: Array,
    draws: Array,
    spec: JobSpec,
    sign: int,
    average: Array | None,
    holds: Sequence[float] = (),
) -> ResponseCurve:
    confidence, delta = spec.confirmation.confidence, spec.confirmation.delta
    coarse = profile.grid(float(grid[0]), float(grid[-1]), TEMPERATURES)
    return ResponseCurve(
        optimizer=optimizer,
        points=profile.points(grid, draws, confidence, sign),
        marginal=[] if average is None else profile.points(coarse, average, confidence, sign),
        best_temperature=float(grid[int(draws.mean(axis=0).argmax())]),
        confidence_set=profile.confidence_set(grid, draws, delta, confidence, holds),
        equivalent_set=profile.equivalent_set(grid, draws, delta, confidence),
        best_shares=[round(float(share), 4) for share in profile.best_shares(draws)],
    )


def marginal_draws(fit: Fit, rng: np.random.Generator) -> Array:
    """Draws [n, TEMPERATURES] of mean quality at temperatures evenly spread over 0..1, the other settings averaged out.

    The average is over their searched ranges, evenly on each one's scale. All of them are drawn together, so that the
    band is the average's own and not the average of bands.
    """
    temperatures = np.linspace(0, 1, TEMPERATURES)
    dimensions = len(fit.others)
    even = qmc.Sobol(dimensions, rng=rng).random(_SETTINGS) if dimensions else np.zeros((1, 0))
    points = np.column_stack([np.repeat(temperatures, len(even)), np.tile(even, (len(temperatures), 1))])
    drawn = fit.surface.draws(fit.points(points), _DRAWS, rng)
    return np.asarray(drawn.reshape(_DRAWS, len(temperatures), len(even)).mean(axis=2))
