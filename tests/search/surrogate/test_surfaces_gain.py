"""The worth of one more run is what many imagined runs show."""

from __future__ import annotations

import numpy as np
import pytest

from search.surrogate.acquisition import knowledge_gradient


def beliefs(seed: int, count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((count, count))
    return 0.5 * rng.standard_normal(count), root @ root.T / count


@pytest.mark.parametrize("seed", range(4))
def test_it_is_what_imagined_runs_show(seed: int) -> None:
    mean, covariance = beliefs(seed)
    noise, rng = 0.3, np.random.default_rng(9)
    for asked, gain in enumerate(knowledge_gradient(mean, covariance, noise, np.arange(6))):
        seen = rng.standard_normal(200_000) * np.sqrt(covariance[asked, asked] + noise)
        after = mean[:, None] + covariance[:, [asked]] * seen / (covariance[asked, asked] + noise)
        imagined = after.max(axis=0).mean() - mean.max()
        assert gain == pytest.approx(imagined, abs=0.01 + 0.05 * imagined)


def test_where_nothing_is_to_be_learned_nothing_is_to_be_gained() -> None:
    mean = np.array([0.0, 1.0, 0.5])
    covariance = np.diag([0.0, 0.0, 1.0])
    gains = knowledge_gradient(mean, covariance, 0.1, np.arange(3))
    assert gains[:2] == pytest.approx([0, 0], abs=1e-12)
    assert gains[2] > 0.05


def test_a_noisy_run_is_worth_less_than_a_clean_one() -> None:
    mean, covariance = beliefs(5)
    clean, noisy = (knowledge_gradient(mean, covariance, noise, np.arange(6)) for noise in (0.0, 10.0))
    assert (noisy <= clean + 1e-9).all()
    assert noisy.sum() < 0.5 * clean.sum()
