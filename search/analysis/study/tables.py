"""The runs of all jobs of a grid as tables of the same form, one a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.analysis.study.gibbs import Array
from search.analysis.study.runs import Runs
from search.surrogate.squeeze import Squeeze

WHOLE = 2 / 3
"""Of a job's runs, those that must be of whole rounds; the others, a confirmation's among them, are left out."""
_WORTH = 10.0
"""Degrees of freedom: how much the noise of all jobs counts in that of one."""


@dataclass(frozen=True, slots=True)
class Tables:
    """Of each job the mean over its seeds at q places [jobs, q], squeezed, in units of what they spread in that job.

    The places have `octaves` [q] of T, NaN of labels alone, which come last, and squared distances of `settings` [q, q]
    in prior lengths. Of n orthonormal contrasts of seeds `scatter` [q, q] is the sum of products; `noise` [jobs] is
    each job's part of the noise of a run, and `seeds` [jobs] how many it has. `along` [m] are the log2 T.
    """

    values: Array
    octaves: Array
    settings: Array
    scatter: Array
    contrasts: int
    noise: Array
    seeds: Array
    along: Array
    units: Sequence[tuple[Squeeze, float, float]]

    def undo(self, values: Array) -> Array:
        """Qualities [draws, jobs, q] that stand so in these tables."""
        parts = [
            squeeze.undo(values[:, job] * spread + centre) for job, (squeeze, centre, spread) in enumerate(self.units)
        ]
        return np.stack(parts, axis=1)


def tables_of(jobs: Sequence[Runs]) -> Tables | None:
    """The tables of these jobs; None where they are not of one form: each place once in every round, and the same
    temperatures and numbers of settings everywhere.
    """
    orders = [_order(runs) for runs in jobs]
    clean = [order for order in orders if order is not None]
    if len(clean) < len(orders) or not _alike(jobs, clean):
        return None
    squeezes = [Squeeze.of(runs.values, widths=3.0, farthest=20.0) for runs in jobs]
    raw = [squeeze(runs.values)[order] for squeeze, runs, order in zip(squeezes, jobs, clean, strict=True)]
    centres = [float(values.mean()) for values in raw]
    means = [values.mean(axis=0) - centre for values, centre in zip(raw, centres, strict=True)]
    spreads = [float(np.std(mean)) for mean in means]
    if not min(spreads) > 1e-12 * max(1.0, *map(abs, centres)):
        return None
    contrasts = [_contrasts(values) / spread for values, spread in zip(raw, spreads, strict=True)]
    noise = _noise(contrasts)
    scaled = np.concatenate([part / np.sqrt(share) for part, share in zip(contrasts, noise, strict=True)])
    first = clean[0][0]
    return Tables(
        values=np.array([mean / spread for mean, spread in zip(means, spreads, strict=True)]),
        octaves=jobs[0].octaves[first],
        settings=np.mean([_apart(runs, order[0]) for runs, order in zip(jobs, clean, strict=True)], axis=0),
        scatter=scaled.T @ scaled,
        contrasts=len(scaled),
        noise=noise,
        seeds=np.array([float(len(order)) for order in clean]),
        along=jobs[0].along,
        units=list(zip(squeezes, centres, spreads, strict=True)),
    )


def _order(runs: Runs) -> NDArray[np.int64] | None:
    """Of each whole round the places of its runs [seeds, q], alike in all; None where none is, or too much beside.

    A round is whole that has as many runs as any seed.
    """
    keys = np.column_stack([np.nan_to_num(runs.octaves, nan=np.inf), runs.settings.round(9)])
    parts = [np.flatnonzero(runs.seeds == seed) for seed in np.unique(runs.seeds)]
    size = max(len(part) for part in parts)
    rows = [part[np.lexsort(keys[part].T[::-1])] for part in parts if len(part) == size]
    if not runs.paired or len(rows) * size < WHOLE * len(runs.seeds):
        return None
    alike = all(np.array_equal(keys[row], keys[rows[0]]) for row in rows)
    return np.array(rows) if alike and len(np.unique(keys[rows[0]], axis=0)) == size else None


def _alike(jobs: Sequence[Runs], orders: Sequence[NDArray[np.int64]]) -> bool:
    """Whether all have the same temperatures at as many places, as many settings at each, and the same axes."""
    if len(jobs) < 2:
        return False
    first = jobs[0].octaves[orders[0][0]]
    distilled = first[~np.isnan(first)]
    even = len({int((distilled == octave).sum()) for octave in jobs[0].along}) == 1
    complete = set(distilled.round(9).tolist()) == set(jobs[0].along.round(9).tolist())
    same = all(
        np.array_equal(runs.octaves[order[0]], first, equal_nan=True) and np.array_equal(runs.along, jobs[0].along)
        for runs, order in zip(jobs, orders, strict=True)
    )
    return even and complete and same


def _apart(runs: Runs, row: NDArray[np.int64]) -> Array:
    """Squared distances of the settings of a row's places [q, q], in prior lengths."""
    points = runs.settings[row] / np.exp(runs.lengths[:, 0])
    return np.asarray(((points[:, None, :] - points[None, :, :]) ** 2).sum(axis=-1))


def _contrasts(values: Array) -> Array:
    """Orthonormal contrasts [seeds - 1, q] of values [seeds, q]: what seeds do, free of what they share."""
    seeds = len(values)
    basis = np.linalg.qr(np.column_stack([np.ones(seeds), np.eye(seeds)[:, : seeds - 1]]))[0][:, 1:]
    return np.asarray(basis.T @ values)


def _noise(contrasts: Sequence[Array]) -> Array:
    """Of each job how many times the noise of all it has, drawn towards once."""
    off = [part - part.mean(axis=1, keepdims=True) for part in contrasts]
    freedom = np.array([part.shape[0] * (part.shape[1] - 1.0) for part in off])
    squares = np.array([float((part**2).sum()) for part in off])
    pooled = squares.sum() / max(float(freedom.sum()), 1.0)
    if not pooled > 0:
        return np.ones(len(off))
    return np.asarray((squares / pooled + _WORTH) / (freedom + _WORTH))
