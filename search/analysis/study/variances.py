"""How runs scatter in the recorded tables, for the power of a study before anything of it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Scatter:
    """Deviations in points of accuracy: what all runs of a seed share (`luck`), what those at neighbouring T share
    beyond it (`along`), and what is left (`noise`). `table` is where it was measured, `data` the data set's name.
    """

    table: str
    data: str
    luck: float
    along: float
    noise: float


SCATTERS = (
    Scatter("digits-cnn-20", "digits", 0.43, 1.31, 1.27),
    Scatter("digits-mlp-15", "digits", 0.79, 1.52, 1.58),
    Scatter("digits-mlp-60", "digits", 0.19, 0.51, 0.60),
    Scatter("digits-weights-30", "digits", 0.39, 0.57, 0.76),
    Scatter("fashion-cnn-15", "FashionMNIST", 0.79, 1.02, 0.73),
    Scatter("fashion-mlp-30", "FashionMNIST", 0.17, 0.27, 0.39),
    Scatter("fashion-whole-16", "FashionMNIST", 0.05, 0.01, 0.20),
    Scatter("mnist-mlp-30", "MNIST", 0.32, 0.46, 0.54),
)
"""As `python -m benchmarks.table.variances` prints them: of the better third of the cells, at the last epoch."""


def scatter_of(data: str) -> tuple[Scatter, Sequence[str]]:
    """The middle of the tables of a data set, of all where it has none; and which tables these are."""
    near = [scatter for scatter in SCATTERS if scatter.data == data] or list(SCATTERS)
    luck, course, noise = (
        float(np.median([getattr(scatter, name) for scatter in near])) for name in ("luck", "along", "noise")
    )
    return Scatter("", data, luck, course, noise), [scatter.table for scatter in near]
