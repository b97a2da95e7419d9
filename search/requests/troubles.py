"""What keeps a job from being drawn, or from being logged elsewhere: how often it was tried, why not, and when again.

A row of `analyses` for each, of kind "undrawn" or "untracked", until it succeeds or the job is closed. Pauses grow, and
attempts are bounded. They begin anew when the job changes: one that stands still with its next event, one that is under
way, which always changes, with its next state. There, once nobody tries any more, a change is one more attempt.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from search.records import Trouble
from search.states import TERMINAL_JOBS, JobState
from search.storage.db import now_sql
from search.storage.rows import moment
from search.storage.tables import analyses, jobs
from thermowell.api.document import Document

UNDRAWN, UNTRACKED = "undrawn", "untracked"
LONGEST_PAUSE = 3600.0
NEVER = 1e9  # seconds from now on
STILL = TERMINAL_JOBS | {JobState.PAUSED}


class Noted(Document):
    """A trouble as it is stored: `again` until the attempts are used up; nothing is tried before `rests_until`."""

    event: int
    state: JobState
    attempts: int
    detail: str
    again: bool
    noted_at: float
    rests_until: float

    def record(self) -> Trouble:
        """As a job's record has it."""
        again_at = moment(self.rests_until) if self.again else None
        return Trouble(self.detail, self.attempts, moment(self.noted_at), again_at)


def note(
    connection: Connection, job_id: str, kind: str, event: int, detail: str, *, first_pause: float, most: int
) -> Noted | None:
    """Writes down that it failed again, for a job as it stood at an event; None where there is no such job any more."""
    state = connection.execute(select(jobs.c.state).where(jobs.c.id == job_id)).scalar_one_or_none()
    if state is None:
        return None
    before, state = read(connection, job_id, kind), JobState(state)
    goes_on = before is not None and before.state is state and (state not in STILL or before.event == event)
    attempts = before.attempts + 1 if before is not None and goes_on else 1
    pause = min(first_pause * 2.0 ** min(attempts - 1, 30), max(first_pause, LONGEST_PAUSE))
    time = float(connection.execute(select(now_sql())).scalar_one())
    again = attempts < most
    noted = Noted(
        event=event,
        state=state,
        attempts=attempts,
        detail=detail,
        again=again,
        noted_at=time,
        rests_until=time if state in STILL and not again else time + pause,
    )
    forget(connection, job_id, kind)
    again_at = noted.rests_until if again else time + NEVER
    values = {"job_id": job_id, "kind": kind, "document": noted.model_dump_json(), "computed_at": again_at}
    connection.execute(insert(analyses).values(**values))
    return noted


def read(connection: Connection, job_id: str, kind: str) -> Noted | None:
    """What was noted; None where all is well."""
    of_kind = (analyses.c.job_id == job_id) & (analyses.c.kind == kind)
    document = connection.execute(select(analyses.c.document).where(of_kind)).scalar_one_or_none()
    return None if document is None else Noted.model_validate_json(document)


def records(connection: Connection, job_id: str) -> dict[str, Trouble]:
    """A job's troubles as its record has them, by kind."""
    of_job = (analyses.c.job_id == job_id) & analyses.c.kind.in_((UNDRAWN, UNTRACKED))
    by_name = connection.execute(select(analyses.c.kind, analyses.c.document).where(of_job))
    return {row.kind: Noted.model_validate_json(row.document).record() for row in by_name}


def forget(connection: Connection, job_id: str, kind: str) -> None:
    """It has succeeded."""
    connection.execute(delete(analyses).where(analyses.c.job_id == job_id, analyses.c.kind == kind))
