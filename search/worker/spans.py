"""Open spans of the trials on this worker, each from admission until it leaves the worker.

Many are trained at once by one thread, so that none of them is ever the current one.
"""

from __future__ import annotations

from typing import Any

from search import tracing
from search.claims.claiming import Claim
from search.claims.lifecycle import CONFIRMING
from search.records import Reason
from search.states import TrialState
from search.tracing import Span
from trainers.spec import Configuration


def confirmation(traceparent: str | None, job_id: str, number: int) -> str | None:
    """The span that began a round of a job's confirmation: its trials are below it, whichever worker trains them."""
    return tracing.span_parent(traceparent, job_id, "confirmation", number)


class TrialSpans:
    """The spans of one worker's trials; nothing where tracing is off."""

    def __init__(self, worker_id: str) -> None:
        self._worker_id = worker_id
        self._open: dict[str, Span] = {}  # by token

    def begin(self, claim: Claim) -> None:
        """The trial is about to be asked for and admitted. An attempt knows the span of the one before it by name."""
        if not tracing.enabled():
            return
        identity = (claim.traceparent, claim.job_id, "trial", claim.number)
        self._open[claim.token] = tracing.begin(
            "train trial",
            {
                "thermowell.job.id": claim.job_id,
                "thermowell.request.id": claim.request_id,
                "thermowell.worker.id": self._worker_id,
                "thermowell.trial.number": claim.number,
                "thermowell.trial.attempt": claim.attempt,
                "thermowell.trial.stage": claim.stage,
                "thermowell.trial.arm": claim.arm,
                "thermowell.trial.variant": claim.variant,
                "thermowell.trial.round": claim.round if claim.stage in CONFIRMING else None,
                "thermowell.trial.seed": claim.seed,
            },
            kind="consumer",
            below=confirmation(claim.traceparent, claim.job_id, claim.round)
            if claim.stage in CONFIRMING
            else claim.traceparent,
            traceparent=tracing.span_parent(*identity, claim.attempt),
            after=tracing.span_parent(*identity, claim.attempt - 1) if claim.attempt > 1 else None,
            trial=(claim.job_id, claim.number),
        )

    def admitted(self, claim: Claim, configuration: Configuration, epoch: int) -> None:
        """It is on its lane, with this configuration, and `epoch` epochs are behind it."""
        if (span := self._open.get(claim.token)) is not None:
            span.note(
                {
                    "thermowell.temperature": configuration.temperature,
                    "thermowell.kd_weight": configuration.kd_weight,
                }
                | (
                    {}
                    if (optimizer := configuration.optimizer) is None
                    else {
                        "thermowell.optimizer.name": optimizer.name,
                        "thermowell.optimizer.learning_rate": optimizer.learning_rate,
                    }
                )
            )
            if epoch:
                span.event("resumed", {"thermowell.trial.epoch": epoch})

    def end(
        self,
        claim: Claim,
        state: TrialState,
        *,
        reason: Reason | None = None,
        error: Exception | None = None,
        **attributes: Any,
    ) -> None:
        """The trial has ended: an event says why, where it was pruned or failed; `attributes` are epoch and value."""
        span = self._left(claim, state, attributes)
        if state is TrialState.COMPLETED:
            span.end()
            return
        why = None if reason is None else reason.type
        span.event(state, {"thermowell.reason": why})
        if state is TrialState.FAILED:
            span.fail(why or "failed" if error is None else type(error).__name__)
        span.end()

    def leave(self, claim: Claim, outcome: str) -> None:
        """The trial is no longer this worker's, though it has not ended: given back, or its lease is lost."""
        self._left(claim, outcome, {}).end()

    def _left(self, claim: Claim, state: str, attributes: dict[str, Any]) -> Span:
        span = self._open.pop(claim.token, None) or Span()
        span.note({"thermowell.trial.state": state, **_of_trial(attributes)})
        return span


def _of_trial(attributes: dict[str, Any]) -> dict[str, Any]:
    return {f"thermowell.trial.{name}": value for name, value in attributes.items()}
