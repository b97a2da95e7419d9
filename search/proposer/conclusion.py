"""The choice of finalists and the closing of jobs that programs of others train, as workers do it for their own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import structlog
from sqlalchemy import and_, exists, or_, select

from search.analysis.job.build import answer_of
from search.analysis.job.finalists import by_value, choose_finalists
from search.analysis.job.observations import softness_seen
from search.claims import allotments, external, finalist_choice, finalization, leases
from search.claims.attempts import Failure
from search.claims.finalist_choice import ChoosingClaim
from search.claims.finalization import ClosingClaim
from search.errors import DatabaseUnavailable, LeaseLost
from search.optuna_bridge.repair import Repairer
from search.records import Trial
from search.storage.db import Database
from search.storage.rows import trial_of
from search.storage.tables import jobs, trials
from search.worker.allotting import hand_out_one
from search.worker.heartbeat import Heartbeat
from thermowell.api.answers import Finalists

OF_OTHERS = jobs.c.trainer.is_not(None)
"""Of jobs: programs of others train them."""
_WAITING = (finalist_choice.waits(), finalization.waits(), allotments.waits(allotments.LONG_PATIENCE))
_DUE = select(exists().where(OF_OTHERS, or_(*(and_(*conditions) for conditions in _WAITING))))
_log = structlog.get_logger(__name__)


class Concluder:
    """Works on jobs as wholes, one at a time, under the lease on the job."""

    def __init__(self, db: Database, name: str, lease_seconds: float, heartbeat: Heartbeat, repairer: Repairer) -> None:
        self.db, self.name, self.lease_seconds = db, name, lease_seconds
        self.heartbeat, self.repairer = heartbeat, repairer

    def run(self) -> int:
        """Concludes what is due; how many pieces of work were done."""
        count = 0
        while self._due() and (self.choose_one() or self.close_one() or self._hand_out()):
            count += 1
        return count

    def _hand_out(self) -> bool:
        return hand_out_one(self.db, OF_OTHERS, allotments.LONG_PATIENCE)

    def choose_one(self) -> bool:
        """Chooses finalists for the job that has waited longest; False where none waits."""
        claim = finalist_choice.claim_choosing(self.db, self.name, self.lease_seconds, OF_OTHERS)
        if claim is None:
            return False
        self._attempt(
            claim,
            lambda: finalist_choice.store_finalists(self.db, claim.token, self._choose(claim)),
            action="choosing finalists",
            result="finalists chosen",
        )
        return True

    def close_one(self) -> bool:
        """Answers the job that has waited longest; False where none waits."""
        claim = finalization.claim_closing(self.db, self.name, self.lease_seconds, OF_OTHERS)
        if claim is None:
            return False
        self._attempt(claim, lambda: self._close(claim), action="closing", result="job completed")
        return True

    def _attempt(
        self, claim: ChoosingClaim | ClosingClaim, work: Callable[[], object], *, action: str, result: str
    ) -> None:
        """Works on a job while its lease is prolonged; what fails is noted, but for a database that is away."""
        with self.heartbeat.holding(claim.token):
            try:
                work()
                _log.info(result, job=claim.job_id)
            except LeaseLost:
                _log.info(f"lease lost while {action}", job=claim.job_id)
            except DatabaseUnavailable:
                raise
            except Exception as error:
                self._failed(claim.job_id, claim.token, f"{action} failed", error)

    def _choose(self, claim: ChoosingClaim) -> Finalists:
        of_job, now = self._trials(claim.job_id), datetime.now(UTC)
        try:
            return choose_finalists(claim.job_id, claim.spec, of_job, claim.round, now)
        except Exception as error:  # an answer is owed in any case
            _log.error("finalists are ranked by value", job=claim.job_id, exc_info=error)
            return by_value(claim.job_id, claim.spec, of_job, claim.round, now)

    def _close(self, claim: ClosingClaim) -> None:
        self.repairer.settle(claim.job_id)
        answer = answer_of(
            job_id=claim.job_id,
            spec=claim.spec,
            trials=self._trials(claim.job_id),
            teacher=claim.teacher,
            search_stopped=claim.search_stopped,
            test_seen_before=claim.test_seen_before,
            wall_seconds=claim.wall_seconds,
            now=datetime.now(UTC),
            finalists=claim.finalists,
        )
        sealed = answer.undecided and not claim.test_open
        if not sealed:
            finalization.open_test(self.db, claim.token, claim.job_id)
            external.unseal(self.db, claim.token, claim.job_id, claim.round)
        of_job = self._trials(claim.job_id)
        documents = answer.documents(softness_seen(of_job), of_job, test_sealed=sealed)
        finalization.complete(self.db, claim.token, claim.job_id, documents)

    def _trials(self, job_id: str) -> list[Trial]:
        query = select(trials).where(trials.c.job_id == job_id).order_by(trials.c.number)
        with self.db.read() as connection:
            return [trial_of(row) for row in connection.execute(query)]

    def _failed(self, job_id: str, token: str, sentence: str, error: Exception) -> None:
        """It is tried again when the lease has expired; after a few times the job is paused, or fails."""
        _log.error(sentence, job=job_id, exc_info=error)
        computed = isinstance(error, (ArithmeticError, ValueError, TypeError, LookupError, AttributeError))
        with suppress(LeaseLost):
            leases.fail_attempt(self.db, token, Failure(f"{type(error).__name__}: {error}", lasting=computed))

    def _due(self) -> bool:
        with self.db.look() as connection:
            return bool(connection.execute(_DUE).scalar_one())
