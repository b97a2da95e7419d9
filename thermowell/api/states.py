"""States, stages and arms, by the words that the API uses for them."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    from enum import StrEnum
else:
    from enum import Enum

    class StrEnum(str, Enum):
        """Names that are text, as Python 3.11 brings it."""

        __str__ = str.__str__


class JobState(StrEnum):
    """queued -> running (search and tuned baselines) -> confirming (fresh seeds) -> analysing -> completed."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CONFIRMING = "confirming"
    ANALYSING = "analysing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class TrialState(StrEnum):
    """waiting: planned, or given back by a worker that was lost; the other names are Optuna's."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Stage(StrEnum):
    """Why a trial is trained.

    search: T and the optimizer's settings are searched jointly; only these count against the budget.
    baseline: T is fixed by its arm and the other settings are searched with a share of the budget.
    select: finalists of every arm on fresh seeds; the mean decides each arm's winner.
    estimate: the winners, and the baselines at the winner's settings, on seeds that chose nothing.
    """

    SEARCH = "search"
    BASELINE = "baseline"
    SELECT = "select"
    ESTIMATE = "estimate"


class Arm(StrEnum):
    """Whom a trial speaks for: the joint search, or what one would have done without it."""

    JOINT = "joint"
    LABEL_ONLY = "label_only"
    T1 = "t1"
    T4 = "t4"
