"""What happens to the trials on this worker's lanes, epoch by epoch: trained, reported, saved, stopped or finished.

Each step is written to our tables under the lease's token before Optuna hears of it; who finds the token gone drops
the trial and says nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from functools import partial

import structlog

from search.claims import reporting
from search.claims.claiming import Claim
from search.errors import DatabaseUnavailable, StoreUnavailable
from search.optuna_bridge import study
from search.pruners import pruner_factory
from search.records import Reason
from search.states import Stage, TrialState
from search.worker import students
from search.worker.admission import TrialAdmitter
from search.worker.checkpoint_store import CheckpointStore
from search.worker.context import Context
from search.worker.engine_cache import EngineCache, EngineSession, RunningTrial
from search.worker.heartbeat import Heartbeat
from search.worker.trial_finisher import TrialFinisher
from trainers.engines import memory
from trainers.engines.processes import ChildDied
from trainers.spec import EpochReport, LaneFailure, Metrics, to_jsonable

REPORT_SECONDS = 1.0  # epochs that take less are written down several at a time
_log = structlog.get_logger(__name__)


class TrainingLoop:
    """The trials of one worker."""

    def __init__(self, context: Context, sessions: EngineCache, heartbeat: Heartbeat) -> None:
        self.context, self.sessions, self.heartbeat = context, sessions, heartbeat
        self.checkpoint_store = CheckpointStore(context)
        self.finisher = TrialFinisher(context, heartbeat, self.checkpoint_store)
        self.admitter = TrialAdmitter(context, sessions, heartbeat, self.checkpoint_store, self.finisher)
        self._said: dict[tuple[str, int], list[EpochReport]] = {}  # by token and trial: not yet written down
        self._written_at = time.monotonic()

    def step(self) -> None:
        """One epoch of every admitted trial, and what follows from it."""
        self.drop_lost()
        for session in self.sessions.occupied():
            if self.context.interruption.asked.is_set():
                return
            reports, no_memory = None, False
            try:
                with self.context.interruption.patient():
                    reports = session.step()
            except Exception as error:
                no_memory = session.lanes > 1 and memory.ran_out(error)
                self._write()
                if not no_memory:
                    self._crashed(session, error)
            # the error is forgotten by now, and with it what its frames held
            if no_memory:
                self.admitter.halve(session)
            elif reports is not None:
                self._hear(session, reports)

    def drop_lost(self) -> None:
        """Takes trials off whose lease is gone: cancelled, or given to another worker."""
        self._drop(self.heartbeat.lost())

    def drain(self) -> None:
        """Saves every trial, as far as it stands between two epochs, and gives all back, for others to go on with."""
        self.drop_lost()
        try:
            self._write()
            for session in self.sessions.occupied():
                if session.settled:
                    self.checkpoint_store.save(session, session.trials)
        except DatabaseUnavailable as error:  # then they go on from an earlier one
            _log.warning("database does not answer", error=str(error))
        except Exception as error:  # whatever it is, their leases are not left to expire
            _log.error("not saved", exc_info=error)
        self.finisher.give_back([running_trial.claim for _, _, running_trial in self.sessions.running()])
        for session in self.sessions.occupied():
            session.clear()

    def _hear(self, session: EngineSession, results: Sequence[EpochReport | LaneFailure]) -> None:
        reports, failures = [], []
        for report in results:
            if isinstance(report, LaneFailure):
                failures.append((report.lane, report.epoch, report.reason))
            elif _finite(report):
                reports.append(report)
            else:
                failures.append((report.lane, report.epoch, "a metric is no longer finite"))
        for report in reports:
            claim = session.trials[report.lane].claim
            self._said.setdefault((claim.token, claim.trial_id), []).append(report)
        session.settled = True
        rung = any(_at_rung(session.trials[report.lane], report.epoch) for report in reports)
        if rung or time.monotonic() >= self._written_at + REPORT_SECONDS:
            self._write()
        for report in reports:
            if report.lane in session.trials:
                self._follow(session, report)
        for lane, epoch, why in failures:
            if lane in session.trials:
                reason = Reason("diverged", f"epoch {epoch}: {why}")
                self._end(session, lane, TrialState.FAILED, epoch=epoch, reason=reason)
        self._save(session)

    def _write(self) -> None:
        """Writes down what was trained since the last time, of all trials in one transaction, and drops those whose
        lease is gone.
        """
        entries = [(*identity, report) for identity, unwritten in self._said.items() for report in unwritten]
        lost_tokens = (
            self.context.patiently(lambda: reporting.report_all(self.context.database, entries)) if entries else set()
        )
        self._said.clear()
        self._written_at = time.monotonic()
        self._drop(lost_tokens)

    def _drop(self, tokens: Collection[str]) -> None:
        """Takes the trials of these leases off their lanes."""
        for session, lane, running_trial in self.sessions.running():
            if running_trial.claim.token in tokens:
                self.finisher.drop(session.evict(lane).claim)

    def _end(
        self,
        session: EngineSession,
        lane: int,
        state: TrialState,
        *,
        epoch: int,
        value: float | None = None,
        metrics: Metrics | None = None,
        reason: Reason | None = None,
    ) -> None:
        """Takes a trial off its lane and ends it; what it trained since the last time is written with its end."""
        running_trial = session.evict(lane)
        unwritten = self._said.pop((running_trial.claim.token, running_trial.claim.trial_id), [])
        self.finisher.end(
            running_trial, state, epoch=epoch, value=value, metrics=metrics, reason=reason, epoch_reports=unwritten
        )

    def _follow(self, session: EngineSession, report: EpochReport) -> None:
        """After an epoch: the end, a rung (before which it was written down), or the next one."""
        running_trial = session.trials[report.lane]
        running_trial.epoch, running_trial.seconds = report.epoch, running_trial.seconds + report.seconds
        claim, value = running_trial.claim, getattr(report.validation, running_trial.claim.spec.objective.metric)
        try:
            if report.epoch == claim.spec.training.epochs:
                if claim.stage is Stage.ESTIMATE:
                    self._keep_student(session, report.lane, claim)
                state, reason = TrialState.COMPLETED, None
            elif self._stops_at(running_trial, value):
                state = TrialState.PRUNED
                reason = Reason("pruned", f"{claim.spec.pruner.name} stopped it at the rung of epoch {report.epoch}")
            else:
                return
        except DatabaseUnavailable:
            raise
        except ChildDied as error:  # no fault of this trial's
            session.broken = error
            return
        except Exception as error:
            self._write()
            if report.lane in session.trials:
                session.evict(report.lane)
            self.finisher.crash(claim, error, running_trial.seconds)
            return
        self._end(
            session, report.lane, state, epoch=report.epoch, value=value, metrics=report.validation, reason=reason
        )

    def _keep_student(self, session: EngineSession, lane: int, claim: Claim) -> None:
        """Keeps a student for the job's end; without the store it is trained again then, from its seed."""
        try:
            key = self.context.student_key(claim.job_id, claim.number)
            students.keep(self.context.files, key, partial(session.running.save_student, lane))
        except StoreUnavailable as error:
            _log.warning("student not kept", job=claim.job_id, trial=claim.number, error=str(error))

    def _stops_at(self, running_trial: RunningTrial, value: float) -> bool:
        claim, number = running_trial.claim, running_trial.optuna_number
        if number is None or not _at_rung(running_trial, running_trial.epoch):
            return False
        should_prune = partial(study.should_prune, self.context.storage, claim, number, running_trial.epoch, value)
        return self.context.patiently(should_prune)

    def _save(self, session: EngineSession) -> None:
        """Saves those that have just passed a rung, and those that would lose more training than is allowed."""
        long_ago = time.monotonic() - self.context.settings.checkpoint_seconds
        lanes = [
            lane
            for lane, running_trial in session.trials.items()
            if _at_rung(running_trial, running_trial.epoch) or running_trial.kept_at <= long_ago
        ]
        if lanes:
            self._write()  # nobody goes on from an epoch that was not written down
            lanes = [lane for lane in lanes if lane in session.trials]
        lost_tokens = self.checkpoint_store.save(session, lanes)
        for lane in lanes:
            if session.trials[lane].claim.token in lost_tokens:
                self.finisher.drop(session.evict(lane).claim)

    def _crashed(self, session: EngineSession, error: Exception) -> None:
        """One trial alone has crashed by itself; of several nobody knows whose fault it was, so each gets its turn.

        Where the disk or the store failed, it was none of them.
        """
        away = self.context.store_fault(error)
        if away is not None:
            self.finisher.put_off([running_trial.claim for running_trial in session.clear()], away)
            return
        if len(session.trials) == 1:
            [running_trial] = session.clear()
            session.alone = 0  # it was this one's: the others may share again
            self.finisher.crash(running_trial.claim, error, running_trial.seconds)
        else:
            self.admitter.one_by_one(session, error)


def _at_rung(running_trial: RunningTrial, epoch: int) -> bool:
    return running_trial.optuna_number is not None and epoch in pruner_factory.rungs(running_trial.claim.spec)


def _finite(report: EpochReport) -> bool:
    return all(map(math.isfinite, (report.train_loss, report.learning_rate, *to_jsonable(report.validation).values())))
