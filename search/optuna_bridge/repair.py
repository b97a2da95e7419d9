"""Repair of Optuna's tables: trials of ours that they lack, and trials of theirs that belong to nobody."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import sqlalchemy
import structlog

from search.claims import reporting
from search.claims.reporting import Unmirrored
from search.errors import DatabaseUnavailable
from search.optuna_bridge import study
from search.states import TERMINAL_JOBS, Arm, JobState
from search.storage import tables
from search.storage.db import Database
from search.storage.rows import optuna_study_name

ATTEMPTS = 5
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Repairer:
    """Brings a lagging mirror up to our tables; a worker runs it once per lease period.

    `patience_seconds` is how long a RUNNING trial of Optuna's that no row of ours counts is left alone: its worker
    may be between asking and attaching. Counted on this worker's own clock from when it was first seen, because
    Optuna's times are local times of whichever machine wrote them.
    """

    database: Database
    storage: study.Storage
    patience_seconds: float
    clock: Callable[[], float] = time.monotonic
    _first_seen: dict[tuple[str, int], float] = field(default_factory=dict)
    _untold: dict[int, tuple[int, float]] = field(default_factory=dict)  # by trial: attempts, and until when it rests

    def run(self) -> tuple[int, int]:
        """How many ends were told, and how many RUNNING trials that belong to nobody were failed."""
        return self.tell(), self.fail_orphans()

    def tell(self, limit: int = 100) -> int:
        """Tells the ends that our tables hold and Optuna's do not, at most `limit` of them."""
        current, count = self.clock(), 0
        resting = {trial_id for trial_id, (_, until) in self._untold.items() if current < until}
        for row in reporting.unmirrored(self.database, limit + len(resting)):
            if row.trial_id in resting:
                continue
            try:
                study.mirror_end(self.storage, row)
                reporting.mark_mirrored(self.database, row.trial_id)
            except DatabaseUnavailable:
                raise
            except Exception as error:  # those behind it are told all the same
                self._rest(row, error)
            else:
                self._untold.pop(row.trial_id, None)
                count += 1
        return count

    def _rest(self, row: Unmirrored, error: Exception) -> None:
        """An end that cannot be told is tried again after a pause, which grows; after ATTEMPTS by another worker."""
        attempts = self._untold.get(row.trial_id, (0, 0.0))[0] + 1
        pause = self.patience_seconds * 2**attempts if attempts < ATTEMPTS else math.inf
        self._untold[row.trial_id] = attempts, self.clock() + pause
        _log.warning(
            "Optuna cannot be told how a trial ended",
            job=row.job_id,
            optuna=row.optuna_number,
            error=f"{type(error).__name__}: {error}",
            attempts=attempts,
        )

    def settle(self, job_id: str) -> None:
        """Fails what is RUNNING and counted by nobody, at once: for a job that nobody asks for any more."""
        for arm in Arm:
            for number in self._orphans(job_id, arm):
                study.fail_running(self.storage, optuna_study_name(job_id, arm), number)

    def fail_orphans(self) -> int:
        """Fails RUNNING trials that were asked for and never attached, once they have been seen for long enough."""
        current = self.clock()
        orphans = {
            (optuna_study_name(job_id, arm), number)
            for job_id in self._recent_jobs()
            for arm in Arm
            for number in self._orphans(job_id, arm)
        }
        self._first_seen = {orphan: self._first_seen.get(orphan, current) for orphan in orphans}
        expired = [orphan for orphan, since in self._first_seen.items() if current - since >= self.patience_seconds]
        return sum(self._fail(name, number) for name, number in expired)

    def _fail(self, name: str, number: int) -> bool:
        """Whether it could be failed; else it is looked at again when it has been seen for as long once more."""
        try:
            study.fail_running(self.storage, name, number)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            _log.warning("Optuna's trial cannot be failed", study=name, optuna=number, error=f"{error}")
            self._first_seen[name, number] = self.clock()
            return False
        return True

    def _recent_jobs(self) -> list[str]:
        """Jobs that a worker may have asked for: those under way, and those that ended a while ago at most."""
        with self.database.read() as connection:
            ended_after = self.database.now(connection) - 10 * self.patience_seconds
            under_way = tables.jobs.c.state.not_in([*TERMINAL_JOBS, JobState.QUEUED])
            query = sqlalchemy.select(tables.jobs.c.id).where(under_way | (tables.jobs.c.ended_at >= ended_after))
            return list(connection.scalars(query))

    def _orphans(self, job_id: str, arm: Arm) -> set[int]:
        running = study.running_numbers(self.storage, optuna_study_name(job_id, arm))
        return running - self._counted(job_id, arm) if running else running

    def _counted(self, job_id: str, arm: Arm) -> set[int]:
        trials = tables.trials.c
        query = sqlalchemy.select(trials.optuna_number).where(
            trials.job_id == job_id, trials.arm == arm, trials.optuna_number.is_not(None)
        )
        with self.database.read() as connection:
            return set(connection.scalars(query))
