"""Statistics of repeated measurements: medians with their spread for times, paired means with a t
interval for qualities.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean of paired differences and its two-sided interval; `deviation` is that of a single difference."""

    mean: float
    low: float
    high: float
    deviation: float
    pairs: int


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> float:
    """(largest - smallest) / median: how far turns of one run lie apart."""
    return (max(values) - min(values)) / statistics.median(values)


def paired(left: Sequence[float], right: Sequence[float], confidence: float = 0.95) -> Interval:
    """left - right, pair by pair: the mean and its Student t interval. Needs two pairs or more."""
    differences = [a - b for a, b in zip(left, right, strict=True)]
    mean, deviation = statistics.fmean(differences), statistics.stdev(differences)
    half = float(stats.t.ppf((1 + confidence) / 2, len(differences) - 1)) * deviation / math.sqrt(len(differences))
    return Interval(mean, mean - half, mean + half, deviation, len(differences))
