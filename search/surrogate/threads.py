"""Thread limits for products of small matrices: one thread, which is faster and rounds alike everywhere."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager

import numpy  # noqa: F401 - so that its pool of threads is known
import scipy.linalg  # noqa: F401
from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """Within it, BLAS takes one thread. Finding the pools takes as long as a small fit: it is done once."""
    limited: AbstractContextManager[object] = _pools().limit(limits=1)
    return limited


@functools.cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()
