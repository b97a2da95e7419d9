"""The Gaussian process is scikit-learn's to 1e-8, in likelihood, gradient, predictions and draws."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from search.surrogate.gp import GaussianProcess, Likelihood, _square_root

SIZES = pytest.mark.parametrize(("count", "dimensions"), [(1, 1), (6, 3), (40, 5)])


@SIZES
def test_the_likelihood_is_that_of_scikit_learn(count: int, dimensions: int) -> None:
    rng = np.random.default_rng(count)
    points, targets = rng.random((count, dimensions)), rng.standard_normal(count)
    kernel = ConstantKernel(1.0) * Matern(np.ones(dimensions), nu=2.5) + WhiteKernel(0.05)
    theirs = GaussianProcessRegressor(kernel, optimizer=None).fit(points, targets)
    for _ in range(3):
        theta = rng.standard_normal(dimensions + 2)
        value, gradient = Likelihood(points, targets)(theta)
        wanted, slope = theirs.log_marginal_likelihood(theta, eval_gradient=True)
        assert value == pytest.approx(wanted, rel=1e-9)
        assert gradient == pytest.approx(slope, rel=1e-8, abs=1e-8)


@SIZES
def test_predictions_and_draws_are_those_of_scikit_learn(count: int, dimensions: int) -> None:
    rng = np.random.default_rng(count)
    points, targets, asked = rng.random((count, dimensions)), rng.standard_normal(count), rng.random((20, dimensions))
    for _ in range(3):
        theta = np.array([*rng.normal(0, 0.7, dimensions + 1), rng.normal(-3, 1)])
        ours, theirs = GaussianProcess(theta, points, targets), scikit(theta).fit(points, targets)
        mean, covariance = theirs.predict(asked, return_cov=True)
        deviation = theirs.predict(asked, return_std=True)[1]
        close = {"rel": 1e-8, "abs": 1e-8}
        assert ours.mean(asked) == pytest.approx(mean, **close)
        assert ours.posterior(asked)[0] == pytest.approx(mean, **close)
        assert ours.posterior(asked)[1] == pytest.approx(covariance, **close)
        assert ours.standard(asked)[0] == pytest.approx(mean, **close)
        assert ours.standard(asked)[1] == pytest.approx(deviation, **close)
        root = _square_root(covariance, 1e-7 * covariance.trace() / 20 + 1e-9)
        drawn = mean + np.random.default_rng(7).standard_normal((50, 20)) @ root.T
        assert ours.draws(asked, 50, np.random.default_rng(7)) == pytest.approx(drawn, **close)


def test_values_that_are_believed_are_those_that_were_expected() -> None:
    rng = np.random.default_rng(0)
    points, targets, under_way = rng.random((12, 2)), rng.standard_normal(12), rng.random((3, 2))
    theta = np.array([0.0, -0.5, -0.5, -3.0])
    before = GaussianProcess(theta, points, targets)
    after = before.believing(under_way)
    theirs = scikit(theta).fit(np.concatenate([points, under_way]), np.concatenate([targets, before.mean(under_way)]))
    assert after.posterior(points)[1] == pytest.approx(theirs.predict(points, return_cov=True)[1], abs=1e-8)
    assert before.believing(under_way[:0]) is before


def test_points_that_cannot_be_told_apart_are_impossible_without_noise() -> None:
    theta = np.array([30.0, 0.0, -60.0])
    value, gradient = Likelihood(np.zeros((3, 1)), np.array([0.0, 1.0, 2.0]))(theta)
    assert value == -math.inf
    assert not gradient.any()
    with pytest.raises(np.linalg.LinAlgError):
        GaussianProcess(theta, np.zeros((3, 1)), np.array([0.0, 1.0, 2.0]))


def test_an_indefinite_covariance_has_a_square_root_of_its_positive_part() -> None:
    covariance = np.diag([1.0, -1.0])
    root = _square_root(covariance, 1e-9)
    assert root @ root.T == pytest.approx(np.diag([1.0, 0.0]), abs=1e-12)


def scikit(theta: np.ndarray) -> GaussianProcessRegressor:
    """Its process with these hyperparameters, the noise on the diagonal of the data alone."""
    kernel = ConstantKernel(math.exp(theta[0])) * Matern(np.exp(theta[1:-1]), nu=2.5)
    return GaussianProcessRegressor(kernel, alpha=math.exp(theta[-1]), optimizer=None)
