"""Preparation of problems that are trained: data, teacher and logits."""

from __future__ import annotations

from trainers import run
from trainers.spec import Problem
from trainers.teaching.prepared import Prepared


def prepare(problem: Problem, roots: run.Roots, device: str = "auto") -> Prepared:
    """Data, teacher and logits of a problem that is trained, not replayed.

    Raises:
        TypeError: The problem replays recorded runs.
    """
    prepared = run.prepare(problem, roots, device)
    if not isinstance(prepared, Prepared):
        raise TypeError(f"{problem.data.name} is replayed; it has nothing to train on")
    return prepared
