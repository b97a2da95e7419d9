"""The quick likelihood is scikit-learn's, and a singular matrix counts as impossible."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from search.surrogate.likelihood import Likelihood


@pytest.mark.parametrize(("count", "dimensions"), [(1, 1), (6, 3), (40, 5)])
def test_it_is_that_of_scikit_learn(count: int, dimensions: int) -> None:
    rng = np.random.default_rng(count)
    points, targets = rng.random((count, dimensions)), rng.standard_normal(count)
    kernel = ConstantKernel(1.0) * Matern(np.ones(dimensions), nu=2.5) + WhiteKernel(0.05)
    theirs = GaussianProcessRegressor(kernel, optimizer=None).fit(points, targets)
    for _ in range(3):
        theta = rng.standard_normal(dimensions + 2)
        value, gradient = Likelihood(points, targets)(theta)
        wanted, slope = theirs.log_marginal_likelihood(theta, eval_gradient=True)
        assert value == pytest.approx(wanted, rel=1e-9)
        assert gradient == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_points_that_cannot_be_told_apart_are_impossible_without_noise() -> None:
    value, gradient = Likelihood(np.zeros((3, 1)), np.array([0.0, 1.0, 2.0]))(np.array([30.0, 0.0, -60.0]))
    assert value == -math.inf
    assert not gradient.any()
