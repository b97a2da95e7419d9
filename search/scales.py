"""Places on a scale: a number's share of the way between two ends, and the number at a share; linear or logarithmic.

By differences of logarithms where the quotient of the ends would overflow, or round to one.
"""

from __future__ import annotations

import math

FARTHEST = 1000.0
"""Shares of numbers beyond the ends are cut here: farther away nothing is another place any more."""
NEAR = 1e-6
"""Of a number: how near to it another is whose quotient with it has lost digits."""
SMALL, LARGE = 1e-150, 1e150
"""Numbers between these have quotients that do not overflow, nor come near to it."""
_MIDDLE = 0.5


def log_ratio(high: float, low: float) -> float:
    """The logarithm of how many times `low` positive `high` is: exact where the two are neighbours, and finite where
    their quotient is not.
    """
    if abs(high - low) <= NEAR * low:
        return math.log1p((high - low) / low)
    if SMALL < low < LARGE and SMALL < high < LARGE:
        return math.log(high / low)
    return math.log(high) - math.log(low)


def share_of(value: float, low: float, high: float, log: bool = False) -> float:
    """Where a value lies: 0 at the low end, 1 at the high one, outside of 0..1 beyond them; the middle where both are
    one.
    """
    whole = log_ratio(high, low) if log else high - low
    if whole == 0:
        return _MIDDLE
    part = log_ratio(value, low) if log else value - low
    return min(max(part / whole, -FARTHEST), FARTHEST)


def value_at(share: float, low: float, high: float, log: bool = False) -> float:
    """The value at a share of the way: the ends themselves at 0 and 1, and never beyond them, whatever is rounded."""
    share = min(max(share, 0.0), 1.0)
    if share in (0.0, 1.0):  # the sum below may round to another number
        return high if share else low
    if not log:
        value = low + share * (high - low)
    elif share <= _MIDDLE:  # from the nearer end, from where nothing overflows
        value = low * math.exp(share * log_ratio(high, low))
    else:
        value = high * math.exp((share - 1) * log_ratio(high, low))
    return min(max(value, low), high)
