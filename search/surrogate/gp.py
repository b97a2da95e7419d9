"""The Gaussian process of the surrogate: one kernel, its likelihood, and what it says of points that nobody has tried.

Held in tests against scikit-learn's, whose checks and clones take twenty times as long for the few hundred points that
a job has: fitting asks for the likelihood some hundred times.
"""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.linalg import lapack
from scipy.spatial.distance import cdist

Array = NDArray[np.float64]

JITTER = 1e-10
"""On the diagonal, as scikit-learn has it."""
JITTERS = 4
"""Times that a covariance is tried, each with ten times the jitter, before its eigenvalues are cut."""
_ROOT_5 = math.sqrt(5)


class GaussianProcess:
    """A zero-mean Gaussian process with the Matern 5/2 kernel, given noisy values at some points.

    | symbol     | in code     | shape    | what it is                                                                |
    | ---------- | ----------- | -------- | ------------------------------------------------------------------------- |
    | n, d, m    |             |          | points with a value; dimensions of the cube; points that are asked about  |
    | X          | `points`    | [n, d]   | where values are known                                                    |
    | y          | `targets`   | [n]      | the values                                                                |
    | theta      | `theta`     | [2 + d]  | log of the variance s2, the length scales l_1 ... l_d and the noise v     |
    | r(x, x')   | `distance`  |          | sqrt(5 sum_i (x_i - x'_i)^2 / l_i^2)                                      |
    | k(x, x')   | `kernel`    |          | s2 (1 + r + r^2 / 3) exp(-r)                                              |
    | v          | `noise`     |          | variance of a single value about the function; on the diagonal of X alone |
    | L          | `_root`     | [n, n]   | lower triangular, L L' = k(X, X) + v I                                    |
    | alpha      | `_weights`  | [n]      | (k(X, X) + v I)^-1 y                                                      |
    | X*         | `points`    | [m, d]   | of a method: where the function is asked for                              |
    | mu*        | `mean`      | [m]      | k(X*, X) alpha                                                            |
    | Sigma*     | `posterior` | [m, m]   | k(X*, X*) - V' V, with L V = k(X, X*)                                     |

    Predictions are of the function, the mean over seeds: v is not in them. Rasmussen and Williams 2006, Gaussian
    Processes for Machine Learning, algorithm 2.1.

    Raises:
        numpy.linalg.LinAlgError: The covariance is not positive definite.
    """

    def __init__(self, theta: Array, points: Array, targets: Array) -> None:
        self.theta, self.points, self.targets = theta, points, targets
        self.noise = math.exp(theta[-1])
        self._variance, self._lengths = math.exp(theta[0]), np.exp(theta[1:-1])
        covariance = self.kernel(points, points)
        covariance.flat[:: len(points) + 1] += self.noise
        self._root = linalg.cholesky(covariance, lower=True, check_finite=False)
        self._weights = linalg.cho_solve((self._root, True), targets, check_finite=False)

    def kernel(self, first: Array, second: Array) -> Array:
        """k(x, x') [p, q] between points [p, d] and [q, d]."""
        distance = cdist(first / self._lengths, second / self._lengths)
        distance *= _ROOT_5
        return _matern(self._variance, distance, distance**2)[0]

    def mean(self, points: Array) -> Array:
        """mu* [m] at `points` [m, d]."""
        mean: Array = self.kernel(points, self.points) @ self._weights
        return mean

    def standard(self, points: Array) -> tuple[Array, Array]:
        """mu* and the root of Sigma*'s diagonal [m] at `points` [m, d]."""
        mean, reduction = self._given(points)
        return mean, np.sqrt(np.maximum(self._variance - (reduction**2).sum(axis=0), 0.0))

    def posterior(self, points: Array) -> tuple[Array, Array]:
        """mu* [m] and Sigma* [m, m] at `points` [m, d]."""
        mean, reduction = self._given(points)
        return mean, self.kernel(points, points) - reduction.T @ reduction

    def left_out(self) -> Array:
        """What is expected of each target [n] by all others, noise and theta as they are.

        Rasmussen and Williams 2006, equation 5.12.
        """
        inverse = linalg.cho_solve((self._root, True), np.eye(len(self.targets)), check_finite=False)
        expected: Array = self.targets - self._weights / inverse.diagonal()
        return expected

    def believing(self, points: Array) -> GaussianProcess:
        """The process to which values at `points` [k, d] came out as expected (the kriging believer of Ginsbourger et
        al. 2010): it doubts less near them, and its mean is the same.
        """
        if not len(points):
            return self
        targets = np.concatenate([self.targets, self.mean(points)])
        return GaussianProcess(self.theta, np.concatenate([self.points, points]), targets)

    def draws(self, points: Array, count: int, rng: np.random.Generator) -> Array:
        """Joint draws [count, m] of the function at `points` [m, d]."""
        mean, covariance = self.posterior(points)
        jitter = 1e-7 * float(np.trace(covariance)) / len(points) + 1e-9  # close points make it singular
        return np.asarray(mean + rng.standard_normal((count, len(points))) @ _square_root(covariance, jitter).T)

    def _given(self, points: Array) -> tuple[Array, Array]:
        """mu* [m] and V [n, m]."""
        across = self.kernel(points, self.points)
        return across @ self._weights, linalg.solve_triangular(self._root, across.T, lower=True, check_finite=False)


class Likelihood:
    """The marginal likelihood of `theta`, given `targets` [n] at `points` [n, d]; notation as in GaussianProcess."""

    def __init__(self, points: Array, targets: Array) -> None:
        self._targets = targets
        self._pairs = np.tril_indices(len(targets), -1)  # of the symmetric matrices one half is enough
        first, second = self._pairs
        self._squares = np.square(points[first] - points[second]).T  # [d, pairs]

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """The log marginal likelihood and its gradient [2 + d]: minus infinity and zeros where the matrix is singular.

        Rasmussen and Williams 2006, equations 2.30 and 5.9.
        """
        count, (first, second) = len(self._targets), self._pairs
        variance, noise = math.exp(theta[0]), math.exp(theta[-1])
        scaled = 5 * np.exp(-2 * theta[1:-1])
        squared = scaled @ self._squares
        distance = np.sqrt(squared)
        signal, decay = _matern(variance, distance, squared)
        covariance = np.zeros((count, count), order="F")
        covariance[first, second] = signal
        covariance.flat[:: count + 1] = variance + noise + JITTER
        solution = solve(covariance, self._targets)
        if solution is None:
            return -math.inf, np.zeros_like(theta)
        value, weights, inverse = solution
        alone = 0.5 * float((weights**2 - inverse.diagonal()).sum())
        pull = weights[first] * weights[second] - inverse[first, second]
        lengths = scaled / 3 * (self._squares @ (pull * decay * (1 + distance)))
        return value, np.array([float(pull @ signal) + variance * alone, *lengths, noise * alone])


def solve(covariance: Array, targets: Array) -> tuple[float, Array, Array] | None:
    """The log marginal likelihood of targets [n] by their covariance K [n, n], with K^-1 targets [n] and K^-1 [n, n];
    None where K has no root. Of K and of its inverse the lower half counts, and K may be overwritten.
    """
    root, failed = lapack.dpotrf(covariance, lower=1, overwrite_a=1)
    if failed:
        return None
    weights, _ = lapack.dpotrs(root, targets, lower=1)
    half_log_determinant = float(np.log(root.diagonal()).sum())
    value = -0.5 * float(targets @ weights) - half_log_determinant - 0.5 * len(targets) * math.log(2 * math.pi)
    inverse, _ = lapack.dpotri(root, lower=1, overwrite_c=1)
    return value, weights, inverse


def _matern(variance: float, distance: Array, squared: Array) -> tuple[Array, Array]:
    """k of distances r, whose squares are at hand, and s2 exp(-r), which its gradient has too."""
    decay: Array = variance * np.exp(-distance)
    value: Array = decay * (1 + distance + squared / 3)
    return value, decay


def _square_root(covariance: Array, jitter: float) -> Array:
    """A square root of a covariance that rounding may have made indefinite: with more jitter where it takes more."""
    for _ in range(JITTERS):
        with suppress(np.linalg.LinAlgError):
            return np.asarray(np.linalg.cholesky(covariance + jitter * np.eye(len(covariance))))
        jitter *= 10
    eigenvalues, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(eigenvalues, 0.0)))
