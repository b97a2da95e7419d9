"""Which states jobs and trials have, and which moves of a job are legal."""

from __future__ import annotations

from enum import StrEnum

from search.errors import IllegalMove


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


BASELINE_ARMS = (Arm.LABEL_ONLY, Arm.T1, Arm.T4)
TERMINAL_JOBS = frozenset({JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED})
CLOSING = frozenset({JobState.CONFIRMING, JobState.ANALYSING})
"""In these a lease on the job itself may be held: its finalists are chosen, or it is closed."""
LOST: dict[str, JobState] = {
    "closing-lost": JobState.ANALYSING,
    "closing-failed": JobState.ANALYSING,
    "choosing-lost": JobState.CONFIRMING,
}
"""Why jobs failed that would be paused by now, for what their machines did, and where such a job goes on."""
TERMINAL_TRIALS = frozenset({TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED, TrialState.CANCELLED})

JOB_MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED}),
    JobState.RUNNING: frozenset({JobState.CONFIRMING, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED}),
    JobState.CONFIRMING: frozenset(
        {JobState.ANALYSING, JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED}
    ),
    JobState.ANALYSING: frozenset({JobState.COMPLETED, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED}),
    JobState.PAUSED: frozenset(
        {
            JobState.QUEUED,
            JobState.RUNNING,
            JobState.CONFIRMING,
            JobState.ANALYSING,
            JobState.CANCELLED,
            JobState.FAILED,
        }
    ),
    JobState.COMPLETED: frozenset({JobState.RUNNING}),  # its budget was extended
    JobState.CANCELLED: frozenset(),
    JobState.FAILED: frozenset(LOST.values()),  # by `resume_job` alone, and by the slug of its reason
}


def check_job_move(before: JobState, after: JobState) -> None:
    """Raises IllegalMove unless a job may go from `before` to `after`."""
    if after not in JOB_MOVES[before]:
        allowed = ", ".join(sorted(JOB_MOVES[before])) or "nothing: it has ended"
        raise IllegalMove(f"a {before} job cannot become {after}; from here it can become: {allowed}")
