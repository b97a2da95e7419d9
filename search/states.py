"""Moves of a job between its states, and which of them are legal."""

from __future__ import annotations

from enum import StrEnum

from search.errors import IllegalMove
from thermowell.api.states import Arm as Arm
from thermowell.api.states import JobState as JobState
from thermowell.api.states import Stage as Stage
from thermowell.api.states import TrialState as TrialState


class Allotting(StrEnum):
    """Where a cell of an adaptive study stands that may be handed more trials: it has some to train, or waits."""

    OPEN = "open"
    DUE = "due"


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


WAYS_OUT: dict[JobState, str] = {
    JobState.QUEUED: "`thermowell pause` and `thermowell cancel` are possible",
    JobState.RUNNING: "`thermowell stop`, `thermowell pause` and `thermowell cancel` are possible",
    JobState.CONFIRMING: "its search is over; `thermowell pause` and `thermowell cancel` are possible",
    JobState.ANALYSING: "its trials are over; `thermowell pause` and `thermowell cancel` are possible",
    JobState.PAUSED: "`thermowell resume` lets it go on, and `thermowell cancel` ends it",
    JobState.COMPLETED: "it has ended; `thermowell extend` lets it search on",
    JobState.CANCELLED: "it has ended; submit its spec again for another job",
    JobState.FAILED: "it has ended; mend what `thermowell result` says, and submit its spec again",
}
"""What can be done with a job in each state, for who asked for something else."""
_PARTICIPLES = {JobState.RUNNING: "set running", JobState.CONFIRMING: "confirmed", JobState.ANALYSING: "analysed"}


def check_job_move(before: JobState, after: JobState) -> None:
    """Raises IllegalMove unless a job may go from `before` to `after`."""
    if after not in JOB_MOVES[before]:
        if before is after:
            raise IllegalMove(f"the job is {before} already: {WAYS_OUT[before]}")
        raise IllegalMove(f"a {before} job cannot be {_PARTICIPLES.get(after, after)}: {WAYS_OUT[before]}")
