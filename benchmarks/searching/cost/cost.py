"""The cost of a good answer: expected running time with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Ert:
    """Expected running time: all epochs spent, those of failed runs included, by the number of runs that succeeded
    (Hansen et al. 2009, Real-parameter black-box optimization benchmarking, section 4).

    Where none succeeded, `value` is what has been spent, a lower bound, and `bound` says so. `draws` are bootstrapped
    over runs.
    """

    value: float
    low: float
    high: float
    bound: bool
    runs: int
    hits: int
    epochs: float
    draws: NDArray[np.float64]


def ert(epochs: Sequence[float], hits: Sequence[bool], seed: int = 0) -> Ert:
    """From one pair for each run; at least one run."""
    spent, good = np.asarray(epochs, dtype=float), np.asarray(hits, dtype=float)
    if len(spent) == 0 or len(spent) != len(good):
        raise ValueError(f"as many epochs as hits are needed, and some: got {len(spent)} and {len(good)}")
    chosen = np.random.default_rng(seed).integers(len(spent), size=(DRAWS, len(spent)))
    draws = spent[chosen].sum(1) / np.maximum(good[chosen].sum(1), 1)
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    value = float(spent.sum() / max(good.sum(), 1))
    hit = int(good.sum())
    return Ert(value, float(low), float(high), hit == 0, len(spent), hit, float(spent.mean()), draws)


def ratio(ours: Sequence[Ert], theirs: Sequence[Ert]) -> dict[str, float]:
    """Median over contexts of ours by theirs, with its bootstrap interval, and the worst context's ratio."""
    each = [mine.value / other.value for mine, other in zip(ours, theirs, strict=True)]
    drawn = np.median([mine.draws / other.draws for mine, other in zip(ours, theirs, strict=True)], axis=0)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {"median": float(np.median(each)), "low": float(low), "high": float(high), "worst": float(max(each))}


def share(hits: Sequence[bool], groups: Sequence[int] | None = None) -> dict[str, float]:
    """A share with its Wilson interval (Wilson 1927). `groups` says which hits have chance in common: these count as
    so many fewer as their groups' means scatter more than they would if each hit were by itself.
    """
    count, z = float(len(hits)), 1.959964
    if count == 0:
        raise ValueError("a share of nothing")
    part = sum(hits) / count
    if groups is not None:
        count = min(count, _effective(np.asarray(hits, dtype=float), np.asarray(groups), part))
    centre = (part + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * float(np.sqrt(part * (1 - part) / count + z * z / (4 * count * count)))
    return {"share": part, "low": max(0.0, centre - half), "high": min(1.0, centre + half), "of": len(hits)}


def _effective(hits: NDArray[np.float64], groups: NDArray[np.int64], part: float) -> float:
    """How many independent hits would tell the share as well; the ratio estimator's variance (Cochran 1977, 6.13)."""
    each, place = np.unique(groups, return_inverse=True)
    if len(each) < 2 or part in (0.0, 1.0):
        return float(len(each))
    apart = np.bincount(place, hits - part)
    variance = len(each) / (len(each) - 1) * float((apart**2).sum()) / len(hits) ** 2
    return max(1.0, part * (1 - part) / variance) if variance > 0 else float(len(each))
