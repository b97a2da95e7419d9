"""The marginal response: quality of each temperature, averaged over the other settings."""

from __future__ import annotations

import numpy as np
from scipy.stats import qmc

from search.analysis.job.fits import Fit
from search.surrogate.surface import Array

TEMPERATURES = 20
_SETTINGS = 32  # spread evenly over the searched space of the others
_DRAWS = 500


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
