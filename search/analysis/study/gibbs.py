"""A linear mixed model of uncertain, partly censored numbers, by Gibbs sampling.

Each number stands in the model with all that is known of it, a likelihood over a grid, and is drawn anew in each sweep.

numpy alone: the service asks, which is installed without scipy. Several chains go side by side in each array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CHAINS = 24
WARM, KEPT = 100, 300  # sweeps of each chain; every third of the kept ones is handed out
_THIN = 3


class Evidence(Protocol):
    """What is known of each of n numbers."""

    def likeliest(self) -> Array:
        """The most likely numbers [n]."""

    def draw(self, mean: Array, deviation: Array, rng: np.random.Generator) -> Array:
        """The numbers [chains, n] given what the model expects of them [chains, n], within `deviation` [chains, 1]."""


@dataclass(frozen=True, slots=True)
class Gridded:
    """Numbers of which a likelihood [n, m] is known over cells with these `centres` [m] and `widths` [m]."""

    centres: Array
    widths: Array
    likelihood: Array

    def likeliest(self) -> Array:
        """The centres [n] of the cells that hold the most."""
        return np.asarray(self.centres[(self.likelihood * self.widths).argmax(axis=1)])

    def draw(self, mean: Array, deviation: Array, rng: np.random.Generator) -> Array:
        """The numbers [chains, n] given what the model expects of them [chains, n], within `deviation` [chains, 1]."""
        off = (self.centres - mean[..., None]) / deviation[..., None]
        weight = -0.5 * off**2
        weight -= weight.max(axis=-1, keepdims=True)
        heap = np.cumsum(np.exp(weight) * (self.likelihood * self.widths), axis=-1)
        indices = (heap < (rng.random(mean.shape) * heap[..., -1])[..., None]).sum(axis=-1)
        indices = np.minimum(indices, len(self.centres) - 1)
        return np.asarray(self.centres[indices] + (rng.random(mean.shape) - 0.5) * self.widths[indices])


@dataclass(frozen=True, slots=True)
class Between:
    """Numbers of which each lies between `first` and `last` [n] but for chance of this `deviation` [n].

    Where between them is not known, but alike for all: each chain has a place of its own, so that all chains together
    have looked at all of it.
    """

    first: Array
    last: Array
    deviation: Array

    def likeliest(self) -> Array:
        """The middles [n]."""
        return (self.first + self.last) / 2

    def draw(self, mean: Array, deviation: Array, rng: np.random.Generator) -> Array:
        """As Gridded."""
        place = np.linspace(0, 1, CHAINS)[:, None]
        measured = self.first + place * (self.last - self.first)
        weight = deviation**2 / (deviation**2 + self.deviation**2)
        spread = np.sqrt(weight) * self.deviation
        return np.asarray(mean + weight * (measured - mean) + spread * rng.standard_normal(mean.shape))


@dataclass(frozen=True, slots=True)
class Group:
    """Coefficients that come from one normal distribution around 0.

    Its deviation is `scale` where `doubt` is 0; otherwise it is found too, its square coming from a scaled inverse
    chi-square distribution around scale's with so many degrees of freedom.
    """

    first: int
    last: int
    scale: float
    doubt: float = 0.0


@dataclass(frozen=True, slots=True)
class Posterior:
    """Draws: of coefficients [draws, p], of the deviation that they leave [draws], of the groups' [draws, groups]."""

    coefficients: Array
    residual: Array
    deviations: Array


def sample(
    features: Array,
    groups: Sequence[Group],
    evidence: Evidence,
    residual: tuple[float, float],
    rng: np.random.Generator,
) -> Posterior:
    """The posterior of number = features [n, p] @ coefficients + noise.

    `groups` cover all coefficients. `residual` is the scale and the doubt of the noise's deviation, as in a Group.
    The same arguments and rng give the same draws.
    """
    count, columns = features.shape
    gram = features.T @ features
    scale, doubt = residual
    beta: Array = np.tile(np.linalg.lstsq(features, evidence.likeliest(), rcond=None)[0], (CHAINS, 1))
    noise: Array = scale * np.linspace(0.5, 2, CHAINS)[:, None]  # chains begin apart
    spread = np.tile(np.array([group.scale for group in groups]), (CHAINS, 1))
    member = np.concatenate([np.full(group.last - group.first, place) for place, group in enumerate(groups)])
    diagonal = np.arange(columns)
    samples: list[tuple[Array, Array, Array]] = []
    for sweep in range(WARM + KEPT):
        numbers = evidence.draw(beta @ features.T, noise, rng)
        precision = gram / noise[..., None] ** 2
        precision[:, diagonal, diagonal] += spread[:, member] ** -2.0
        root = np.linalg.cholesky(precision)
        toward = np.linalg.solve(root, (numbers @ features / noise**2)[..., None])
        shaken = toward + rng.standard_normal((CHAINS, columns, 1))
        beta = np.asarray(np.linalg.solve(root.transpose(0, 2, 1), shaken)[..., 0], np.float64)
        off = ((numbers - beta @ features.T) ** 2).sum(axis=1, keepdims=True)
        noise = np.asarray(np.sqrt((doubt * scale**2 + off) / rng.chisquare(doubt + count, (CHAINS, 1))), np.float64)
        for place, group in enumerate(groups):
            if group.doubt:
                block = (beta[:, group.first : group.last] ** 2).sum(axis=1)
                chi = rng.chisquare(group.doubt + group.last - group.first, CHAINS)
                spread[:, place] = np.sqrt((group.doubt * group.scale**2 + block) / chi)
        if sweep >= WARM and sweep % _THIN == 0:
            samples.append((beta, noise[:, 0], spread.copy()))
    coefficients, rest, deviations = (np.concatenate(part) for part in zip(*samples, strict=True))
    return Posterior(coefficients, rest, deviations)
