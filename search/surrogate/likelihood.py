"""The marginal likelihood of a Gaussian process's hyperparameters: Matern 5/2, a length scale for each setting.

The same numbers as scikit-learn's `log_marginal_likelihood`, whose checks and clones take twenty times as long for the
few hundred points that a job has; fitting calls this some hundred times.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

Array = NDArray[np.float64]

JITTER = 1e-10
"""On the diagonal, as scikit-learn has it."""


class Likelihood:
    """Of `targets` [n] at `points` [n, d] under log hyperparameters: variance, d length scales, noise."""

    def __init__(self, points: Array, targets: Array) -> None:
        self._targets = targets
        self._pairs = np.tril_indices(len(targets), -1)  # of the symmetric matrices one half is enough
        first, second = self._pairs
        self._squares = np.square(points[first] - points[second]).T  # [d, pairs]

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """The log marginal likelihood and its gradient [2 + d]: minus infinity and zeros where the matrix is singular.

        Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, equations 2.30 and 5.9.
        """
        count, (first, second) = len(self._targets), self._pairs
        variance, noise = math.exp(theta[0]), math.exp(theta[-1])
        scaled = 5 * np.exp(-2 * theta[1:-1])
        squared = scaled @ self._squares
        distance = np.sqrt(squared)
        decay = variance * np.exp(-distance)
        signal = decay * (1 + distance + squared / 3)
        covariance = np.zeros((count, count), order="F")
        covariance[first, second] = signal
        covariance.flat[:: count + 1] = variance + noise + JITTER
        root, failed = lapack.dpotrf(covariance, lower=1, overwrite_a=1)
        if failed:
            return -math.inf, np.zeros_like(theta)
        weights, _ = lapack.dpotrs(root, self._targets, lower=1)
        half_log_determinant = float(np.log(root.diagonal()).sum())
        value = -0.5 * float(self._targets @ weights) - half_log_determinant - 0.5 * count * math.log(2 * math.pi)
        inverse, _ = lapack.dpotri(root, lower=1, overwrite_c=1)
        alone = 0.5 * float((weights**2 - inverse.diagonal()).sum())
        pull = weights[first] * weights[second] - inverse[first, second]
        lengths = scaled / 3 * (self._squares @ (pull * decay * (1 + distance)))
        return value, np.array([float(pull @ signal) + variance * alone, *lengths, noise * alone])
