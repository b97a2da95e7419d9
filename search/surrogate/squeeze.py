"""Values whose worse end is squeezed: students that failed must not set the scale by which good ones are told apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SAME = 1e-12
"""Of their size: values that differ by no more are one value, rounded."""


@dataclass(frozen=True, slots=True)
class Squeeze:
    """v stays v above `knee`; below, the distance is taken logarithmically. Monotone and smooth, so invertible: `undo`
    follows it for `farthest` squeezed widths below the knee.
    """

    knee: float
    width: float
    farthest: float = math.inf

    @classmethod
    def of(cls, values: Array, widths: float = 2.0, farthest: float = math.inf) -> Squeeze:
        """The knee lies below the median by so many `widths`; a width is the spread of the better half."""
        middle, top = np.quantile(values, [0.5, 0.9])
        whole = float(np.ptp(values))
        width = float(top - middle)
        if width <= SAME * whole:  # the better half is as good as one value
            width = whole or 1.0
        return cls(float(middle) - widths * width, width, farthest)

    def __call__(self, values: Array) -> Array:
        below = np.maximum(self.knee - values, 0.0)
        return np.where(values < self.knee, self.knee - self.width * np.log1p(below / self.width), values)

    def undo(self, squeezed: Array) -> Array:
        """The values that were squeezed to these."""
        below = np.minimum(np.maximum(self.knee - squeezed, 0.0) / self.width, self.farthest)
        return np.where(squeezed < self.knee, self.knee - self.width * np.expm1(below), squeezed)
