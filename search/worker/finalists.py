"""The choice of finalists between a job's search and its confirmation.

It takes a second or less, between two epochs, and is done again, to the same end, where the worker is lost over it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import structlog

from search import tracing
from search.analysis.job.finalists import by_value, choose_finalists
from search.claims import finalist_choice
from search.claims.finalist_choice import ChoosingClaim
from search.errors import DatabaseUnavailable, LeaseLost
from search.worker import faults
from search.worker.context import Context
from search.worker.heartbeat import Heartbeat
from search.worker.spans import confirmation
from thermowell.api.answers import Finalists

_log = structlog.get_logger(__name__)


class FinalistSelector:
    """Chooses finalists, of one job at a time."""

    def __init__(self, context: Context, heartbeat: Heartbeat) -> None:
        self.context, self.heartbeat = context, heartbeat

    def choose_one(self) -> bool:
        """Chooses for the job that has waited longest; False where none waits."""
        context = self.context
        claim = context.patiently(
            partial(finalist_choice.claim_choosing, context.database, context.worker_id, context.settings.lease_seconds)
        )
        if claim is None:
            return False
        log = _log.bind(job=claim.job_id)
        span = tracing.begin(
            "choose finalists",
            {"thermowell.job.id": claim.job_id, "thermowell.trial.round": claim.round},
            kind="consumer",
            below=claim.traceparent,
            traceparent=confirmation(claim.traceparent, claim.job_id, claim.round),
        )
        with self.heartbeat.holding(claim.token), span.current():
            try:
                finalists = self._choose(claim)
                store = partial(finalist_choice.store_finalists, context.database, claim.token, finalists)
                current = context.patiently(store)
                log.info("finalists chosen" if current else "the job searches on; its finalists are past")
                if current:  # else whoever chooses in its place ends the span of this name
                    span.end()
            except LeaseLost:
                log.info("lease lost while choosing finalists")
            except DatabaseUnavailable:
                raise
            except Exception as error:  # it is tried again after a while, here or elsewhere
                log.error("choosing finalists failed", exc_info=error)
                context.fail_attempt(claim.job_id, claim.token, faults.failure(error))
        return True

    def _choose(self, claim: ChoosingClaim) -> Finalists:
        trials, now = [trial for _, trial in self.context.trials(claim.job_id)], datetime.now(UTC)
        try:
            return choose_finalists(claim.job_id, claim.spec, trials, claim.round, now)
        except Exception as error:  # an answer is owed in any case
            if not faults.failure(error).lasting:
                raise
            _log.error("finalists are ranked by value", job=claim.job_id, exc_info=error)
            return by_value(claim.job_id, claim.spec, trials, claim.round, now)
