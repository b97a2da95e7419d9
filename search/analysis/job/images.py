"""Intervals of test figures over seeds and images, both resampled at once."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from thermowell.api.answers import Interval

REPLICATES = 4000
Right = Mapping[int, NDArray[np.bool_]]
"""By seed, or by trial, which test images a student got right: [images], in the test part's order."""


def accuracy_interval(right: Right, confidence: float) -> Interval | None:
    """Of the mean accuracy over seeds and images; None with fewer than two seeds."""
    seeds = sorted(right)
    return _interval(np.array([right[seed] for seed in seeds], dtype=float), confidence, (0.0, 1.0))


def gain_interval(winner: Right, baseline: Right, confidence: float) -> Interval | None:
    """Of the mean difference in accuracy, paired by seed and by image; None with fewer than two seeds of both."""
    seeds = sorted(winner.keys() & baseline.keys())
    differences = np.array([winner[seed].astype(float) - baseline[seed] for seed in seeds])
    return _interval(differences, confidence, (-1.0, 1.0))


def _interval(values: NDArray[np.float64], confidence: float, limits: tuple[float, float]) -> Interval | None:
    """From `values` [seeds, images], whose mean over both is asked for.

    A bootstrap of both factors (Owen 2007, Annals of Applied Statistics 1): images are drawn again with replacement,
    and so are the seeds' deviations, widened by sqrt(n / (n - 1)) for being measured from their own mean. The
    percentiles are stretched by how much wider Student's t is than the normal, at the degrees of freedom that few seeds
    and many images have together (Satterthwaite 1946).
    """
    if len(values) < 2:
        return None
    seeds, images = values.shape
    rng = np.random.default_rng([seeds, images])
    mean = float(values.mean())
    of_seed, of_image = values.mean(axis=1), values.mean(axis=0)
    levels, counts = np.unique(of_image, return_counts=True)  # images of one value are alike: draw how many of each
    drawn = rng.multinomial(images, counts / images, size=REPLICATES) @ levels / images
    deviations = (of_seed - mean) * math.sqrt(seeds / (seeds - 1))
    drawn += deviations[rng.integers(seeds, size=(REPLICATES, seeds))].mean(axis=1)
    by_seeds, by_images = float(of_seed.var(ddof=1)) / seeds, float(of_image.var()) / images
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    stretch = 1.0
    if by_seeds > 0:
        freedom = (seeds - 1) * ((by_seeds + by_images) / by_seeds) ** 2
        stretch = float(stats.t.ppf(tails[1], freedom) / stats.norm.ppf(tails[1]))
    low, high = mean + stretch * (np.quantile(drawn, tails) - mean)
    return Interval(low=max(limits[0], float(low)), high=min(limits[1], float(high)), confidence=confidence)
