"""Moves of a job between its states, and which of them are legal."""

from __future__ import annotations

from search.errors import IllegalMove
from thermowell.api.states import Arm as Arm
from thermowell.api.states import JobState as JobState
from thermowell.api.states import Stage as Stage
from thermowell.api.states import TrialState as TrialState

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
    # its budget was extended; its test part, which was sealed, is asked for
    JobState.COMPLETED: frozenset({JobState.RUNNING, JobState.ANALYSING}),
    JobState.CANCELLED: frozenset(),
    JobState.FAILED: frozenset(LOST.values()),  # by `resume_job` alone, and by the slug of its reason
}


def check_job_move(before: JobState, after: JobState) -> None:
    """Raises IllegalMove unless a job may go from `before` to `after`."""
    if after not in JOB_MOVES[before]:
        allowed = ", ".join(sorted(JOB_MOVES[before])) or "nothing: it has ended"
        raise IllegalMove(f"a {before} job cannot become {after}; from here it can become: {allowed}")
