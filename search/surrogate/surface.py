"""The surface: a Gaussian process over trials, whose mean is the value of a setting on average over seeds.

Values are oriented so that more is better, and squeezed at the bad end: a cliff of diverging learning rates would
otherwise set the scale by which the plateau, which alone matters here, is judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from search.surrogate.gp import GaussianProcess, Likelihood
from search.surrogate.squeeze import SAME, Squeeze

Array = NDArray[np.float64]

FIT_ON = 250
"""Trials that the hyperparameters are fitted on: the cost grows with the cube, the knowledge does not."""
MEMBERS = 12
"""Plausible hyperparameters over which the posterior is averaged."""

# Priors of the logarithms (mean, deviation): of variance and noise relative to the spread of the squeezed values,
# and of length scales relative to the searched range. Wide: they only keep few trials from absurd surfaces.
_VARIANCE = (0.0, 1.0)
_LENGTH = (math.log(0.8), 0.8)
_NOISE = (math.log(0.05), 1.5)


class Surface:
    """The posterior of mean quality over the unit cube, given trials at `points` [n, d] with `values` [n].

    `lengths` [d, 2] are priors of the logarithmic length scales, mean and deviation, where something is known of them;
    `fit_on` is the number of trials, at most, that the hyperparameters are fitted on.
    """

    def __init__(
        self,
        points: Array,
        values: Array,
        rng: np.random.Generator,
        members: int = MEMBERS,
        lengths: Array | None = None,
        fit_on: int = FIT_ON,
    ) -> None:
        self.squeeze = Squeeze.of(values)
        squeezed = self.squeeze(values)
        self.worst = float(squeezed.min())
        self.centre = float(squeezed.mean())
        spread = float(squeezed.std())
        self.spread = spread if spread > SAME * float(np.abs(squeezed).max()) else 1.0
        targets = (squeezed - self.centre) / self.spread
        subset = np.arange(len(targets)) if len(targets) <= fit_on else rng.choice(len(targets), fit_on, replace=False)
        length_priors = np.array([_LENGTH] * points.shape[1]).reshape(-1, 2) if lengths is None else lengths
        self.thetas = _plausible(points[subset], targets[subset], length_priors, rng, members)
        self.members = [GaussianProcess(theta, points, targets) for theta in self.thetas]

    @property
    def noise(self) -> float:
        """The deviation of a single run about its mean over seeds, away from the squeezed end."""
        return float(np.mean([math.exp(theta[-1] / 2) for theta in self.thetas])) * self.spread

    def noise_variance(self, member: int = 0) -> float:
        """Of a single run about its mean, under one set of plausible hyperparameters, in the units of `posterior`."""
        return self.members[member].noise

    def standard(self, points: Array) -> tuple[Array, Array]:
        """Mean and deviation [m] of the mean quality at `points` [m, d], in the units of `posterior`, averaged over the
        plausible hyperparameters.
        """
        predictions = [member.standard(points) for member in self.members]
        means, deviations = (np.array(part) for part in zip(*predictions, strict=True))
        return mixture_moments(means, deviations**2)

    def posterior(self, points: Array, assumed: Array, member: int = 0) -> tuple[Array, Array]:
        """Mean [m] and covariance [m, m] of the mean quality at `points` [m, d], under one set of plausible
        hyperparameters, the most plausible one unless asked; squeezed and in units of how much trials vary.

        Trials at `assumed` [k, d] are under way: they are taken to come out as expected, so that less remains to be
        learned near them.
        """
        return self.members[member].believing(assumed).posterior(points)

    def mean(self, points: Array) -> Array:
        """Posterior mean [m] at `points` [m, d], squeezed, under the most plausible hyperparameters."""
        return self.members[0].mean(points) * self.spread + self.centre

    def levels(self, points: Array) -> tuple[Array, Array]:
        """Median of the mean quality [m] at `points` [m, d], and its deviation [m] as a share of all that trials vary.

        Averaged over the plausible hyperparameters; the deviation is of the squeezed values, where it is even, and
        approaches the prior's (about one) where no trial is near.
        """
        mean, deviation = self.standard(points)
        return self.squeeze.undo(np.maximum(mean * self.spread + self.centre, self.worst)), deviation

    def draws(self, points: Array, count: int, rng: np.random.Generator) -> Array:
        """Joint posterior draws [count, m] of the mean quality at `points` [m, d]: seed noise is not in them.

        None is worse than the worst value seen: where nothing is known, undoing the squeeze would give absurd ones.
        """
        shares = np.full(len(self.members), count // len(self.members))
        shares[: count % len(self.members)] += 1
        parts = [member.draws(points, int(share), rng) for member, share in zip(self.members, shares, strict=True)]
        return self.squeeze.undo(np.maximum(np.concatenate(parts) * self.spread + self.centre, self.worst))


def mixture_moments(means: Array, variances: Array) -> tuple[Array, Array]:
    """Mean and deviation [m] over several sets of hyperparameters [k, m], each as likely as the others."""
    return means.mean(axis=0), np.sqrt(np.maximum(variances, 0.0).mean(axis=0) + means.var(axis=0))


def _plausible(points: Array, targets: Array, lengths: Array, rng: np.random.Generator, members: int) -> list[Array]:
    """Log hyperparameters: the most plausible ones first, then draws from Laplace's approximation around them."""
    likelihood = Likelihood(points, targets)
    prior = np.array([_VARIANCE, *lengths, _NOISE])
    low, high = prior[:, 0] - 4 * prior[:, 1], prior[:, 0] + 4 * prior[:, 1]

    def cost(theta: Array) -> tuple[float, Array]:
        value, gradient = likelihood(theta)
        off = (theta - prior[:, 0]) / prior[:, 1]
        return float(0.5 * off @ off - value), off / prior[:, 1] - gradient

    best = min(
        (
            optimize.minimize(cost, start, jac=True, method="L-BFGS-B", bounds=list(zip(low, high, strict=True)))
            for start in _starts(prior)
        ),
        key=lambda solution: float(solution.fun),
    )
    if members == 1:
        return [best.x]
    spread = _laplace(lambda theta: cost(theta)[1], best.x, prior[:, 1])
    draws = best.x + rng.standard_normal((members - 1, len(best.x))) @ spread.T
    return [best.x, *np.clip(draws, low, high)]


def _starts(prior: Array) -> list[Array]:
    """Two: all at their prior means, and much noise over a smooth surface (the other usual mode)."""
    smooth = prior[:, 0].copy()
    smooth[1:-1] += math.log(2)
    smooth[-1] = math.log(0.5)
    return [prior[:, 0].copy(), smooth]


def _laplace(gradient: Callable[[Array], Array], mode: Array, prior_deviation: Array) -> Array:
    """A square root [p, p] of the covariance whose inverse is the cost's curvature; never wider than the prior."""
    step = 1e-3
    columns = [(gradient(mode + step * axis) - gradient(mode - step * axis)) / (2 * step) for axis in np.eye(len(mode))]
    curvature = np.array(columns)
    eigenvalues, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    floor = 1.0 / float(np.max(prior_deviation)) ** 2
    return np.asarray(vectors / np.sqrt(np.maximum(eigenvalues, floor)))
