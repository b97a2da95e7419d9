"""Ends of trials on this worker: finished, failed or given back, in our tables first, then in Optuna's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import sqlalchemy
import structlog

from search.claims import leases, reporting
from search.claims.claiming import Claim
from search.claims.reporting import Unmirrored
from search.errors import LeaseLost, StoreUnavailable
from search.optuna_bridge import study
from search.records import Reason
from search.states import TERMINAL_TRIALS, TrialState
from search.storage import tables
from search.worker import faults
from search.worker.checkpoint_store import CheckpointStore
from search.worker.context import Context
from search.worker.engine_cache import RunningTrial
from search.worker.heartbeat import Heartbeat
from search.worker.spans import TrialSpans
from trainers.engines.processes import ChildDied
from trainers.spec import EpochReport, Metrics

CRASHES = 3  # so many trials of a job in a row, and the job is what crashes
_log = structlog.get_logger(__name__)


class TrialFinisher:
    """Ends trials. `any_ended` turns true with each end: its job may have moved on, and there may be more to claim."""

    def __init__(self, context: Context, heartbeat: Heartbeat, checkpoint_store: CheckpointStore) -> None:
        self.context, self.heartbeat, self.checkpoint_store = context, heartbeat, checkpoint_store
        self.traces = TrialSpans(context.worker_id)
        self.any_ended = False

    def end(
        self,
        running_trial: RunningTrial,
        state: TrialState,
        *,
        epoch: int,
        value: float | None = None,
        metrics: Metrics | None = None,
        reason: Reason | None = None,
        epoch_reports: Sequence[EpochReport] = (),
    ) -> None:
        """Ends a trial that was trained, here and in Optuna's tables; `epoch_reports` are not yet written down."""
        claim, tell = running_trial.claim, None
        trial_end = None
        if running_trial.optuna_number is not None:
            identity = (claim.trial_id, claim.job_id, claim.arm, running_trial.optuna_number)
            trial_end = Unmirrored(*identity, state, value, epoch, reason, claim.spec.objective.worst)
            tell = self.context.patiently(partial(study.mirror_writer, self.context.storage, trial_end))
        recorded = self._finish(
            claim,
            state,
            running_trial.seconds,
            reason=reason,
            value=value,
            metrics=metrics,
            epoch_reports=epoch_reports,
            tell=tell,
        )
        if not recorded:
            self.traces.leave(claim, "lost")
            return
        detail = reason and reason.detail
        _log.info(
            "trial ended", job=claim.job_id, trial=claim.number, state=state, epoch=epoch, value=value, reason=detail
        )
        if trial_end is not None and tell is None:
            self._mirror(trial_end)
        self.traces.end(claim, state, reason=reason, epoch=epoch, value=value)

    def crash(self, claim: Claim, error: Exception, seconds: float) -> None:
        """Fails a trial whose training raised what nobody expected, or its job, where that happens again and again.

        One whose training process died is tried again first, as often as one whose worker died: by memory, perhaps.
        Where the disk or the store failed, nothing is counted: it is put off.
        """
        away = self.context.store_fault(error)
        if away is not None:
            self.put_off([claim], away)
            return
        _log.error("trial crashed", job=claim.job_id, trial=claim.number, exc_info=error)
        if isinstance(error, ChildDied):
            self._lose(claim, str(error))
            self.traces.end(claim, TrialState.FAILED, error=error)
            return
        detail = f"{type(error).__name__}: {error}"[:500]
        if self._crashed_before(claim.job_id) >= CRASHES - 1:
            reason = Reason("crashed", f"{CRASHES} trials in a row crashed; the last one by {detail}")
            self.fail_job(claim, reason, error, of_machine=faults.of_machine(error))
            return
        reason = Reason("crashed", detail)
        self._finish(claim, TrialState.FAILED, seconds, reason=reason)  # a repair tells Optuna
        self.traces.end(claim, TrialState.FAILED, reason=reason, error=error)

    def put_off(self, claims: Sequence[Claim], away: StoreUnavailable) -> None:
        """Gives trials back that the disk or the store lets nobody train; they are taken up again after a while."""
        for claim in claims:
            _log.warning("trial waits for the artifact store", job=claim.job_id, trial=claim.number, error=str(away))
        self.give_back(claims)
        self.context.rests.training.fail(away, self.context.store_seconds)
        self.heartbeat.try_to_tell()

    def _lose(self, claim: Claim, cause: str) -> None:
        self.any_ended = True
        try:
            self.context.patiently(partial(leases.lose, self.context.database, claim.token, cause))
        except LeaseLost:
            _log.info("lease lost at the end", job=claim.job_id, trial=claim.number)
        finally:
            self.heartbeat.drop(claim.token)

    def fail_job(
        self, claim: Claim, reason: Reason, error: Exception | None = None, *, of_machine: bool = False
    ) -> None:
        """Fails a trial's whole job; pauses it where the fault is of this machine and trials of it were trained."""
        self.any_ended = True
        self.context.fail_job(claim.job_id, claim.token, reason, of_machine=of_machine)
        self.heartbeat.drop(claim.token)
        self.traces.end(claim, TrialState.FAILED, reason=reason, error=error)

    def refuse(self, claim: Claim, reason: Reason) -> None:
        """Forgets a trial whose job was ended before it began."""
        _log.error("job failed", job=claim.job_id, reason=reason.type, detail=reason.detail)
        self.any_ended = True
        self.heartbeat.drop(claim.token)
        self.traces.end(claim, TrialState.FAILED, reason=reason)

    def not_ready(self, claim: Claim, error: Exception) -> None:
        """A trial's job could not be made ready here, by no fault of the trial: it waits for the next attempt."""
        _log.error("job cannot be made ready", job=claim.job_id, exc_info=error)
        self.any_ended = True
        self.context.fail_attempt(claim.job_id, claim.token, faults.failure(error))
        self.heartbeat.drop(claim.token)
        self.traces.leave(claim, "returned")

    def give_back(self, claims: Iterable[Claim]) -> None:
        """Gives trials back, for others to train; once the database does not answer, the leases are left to expire."""
        answers = True
        for claim in claims:
            self.heartbeat.drop(claim.token)
            answers = answers and self.context.give_back(claim.job_id, claim.token)
            self.traces.leave(claim, "returned")

    def drop(self, claim: Claim) -> None:
        """Forgets a trial whose lease is gone; what it saved may be what its next worker goes on from."""
        self.any_ended = True
        self.heartbeat.drop(claim.token)
        _log.info("lease lost", job=claim.job_id, trial=claim.number)
        self.traces.leave(claim, "lost")

    def _finish(
        self,
        claim: Claim,
        state: TrialState,
        seconds: float,
        *,
        reason: Reason | None,
        value: float | None = None,
        metrics: Metrics | None = None,
        epoch_reports: Sequence[EpochReport] = (),
        tell: Callable[[sqlalchemy.Connection], object] | None = None,
    ) -> bool:
        """Writes the end down and holds the lease no longer; False where it was lost."""
        finish = partial(
            reporting.finish,
            self.context.database,
            claim.token,
            claim.trial_id,
            state,
            value=value,
            metrics=metrics,
            reason=reason,
            train_seconds=seconds,
            epoch_reports=epoch_reports,
            tell=tell,
        )
        self.any_ended = True
        try:
            self.context.patiently(finish)
        except LeaseLost:
            _log.info("lease lost at the end", job=claim.job_id, trial=claim.number)
            return False
        finally:
            self.heartbeat.drop(claim.token)
        self.checkpoint_store.forget(claim)
        return True

    def _mirror(self, trial_end: Unmirrored) -> None:
        """Tells Optuna behind its proxy; where that fails, the next repair does it."""
        try:
            study.mirror_end(self.context.storage, trial_end)
            reporting.mark_mirrored(self.context.database, trial_end.trial_id)
        except Exception as error:
            _log.warning(
                "Optuna could not be told", job=trial_end.job_id, optuna=trial_end.optuna_number, error=str(error)
            )

    def _crashed_before(self, job_id: str) -> int:
        """How many of the job's last CRASHES - 1 ended trials have crashed."""
        trials = tables.trials.c
        query_reasons = sqlalchemy.select(trials.reason).where(
            trials.job_id == job_id, trials.state.in_(TERMINAL_TRIALS)
        )
        query = query_reasons.order_by(trials.ended_at.desc(), trials.id.desc()).limit(CRASHES - 1)

        def read() -> int:
            with self.context.database.read() as connection:
                reasons = connection.scalars(query).all()
            return sum(reason is not None and reason["type"] == "crashed" for reason in reasons)

        return self.context.patiently(read)
