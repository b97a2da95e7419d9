"""Admission of trials to this worker's lanes: claimed, prepared, proposed and begun, anew or from a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import structlog

from search import tracing
from search.claims import checkpointing, claiming, reporting, trial_counts
from search.claims.claiming import Claim, Fixed
from search.errors import DatabaseUnavailable, LeaseLost
from search.optuna_bridge import proposals
from search.records import Reason
from search.spec.job import JobSpec
from search.states import Stage
from search.worker import engine_cache, faults
from search.worker.checkpoint_store import CheckpointStore
from search.worker.context import Context
from search.worker.engine_cache import EngineCache, EngineSession, RunningTrial
from search.worker.heartbeat import Heartbeat
from search.worker.trial_finisher import TrialFinisher
from trainers import quality
from trainers.engines import memory
from trainers.engines.processes import ChildDied
from trainers.errors import CheckpointInvalid, TrainingError
from trainers.spec import Configuration, Problem

BATCH = 16  # trials claimed in one transaction, which holds their job meanwhile
_log = structlog.get_logger(__name__)


class TrialAdmitter:
    """Fills free lanes."""

    def __init__(
        self,
        context: Context,
        ready: EngineCache,
        heartbeat: Heartbeat,
        checkpoint_store: CheckpointStore,
        finisher: TrialFinisher,
    ) -> None:
        self.context, self.sessions, self.heartbeat = context, ready, heartbeat
        self.checkpoint_store, self.finisher = checkpoint_store, finisher
        self._told: set[str] = set()  # jobs whose teacher has been written down
        self._fingerprints: dict[tuple[str, bool], str] = {}  # of jobs' problems; and whether they are fixed
        self._look_at = 0.0
        self._without: set[str] = set()  # problems that the store did not let be made ready, the last time
        self._resting: dict[str, float] = {}  # jobs that could not be made ready here, until when they are left alone

    def due(self) -> bool:
        """Whether to look for trials: something has ended here since the last time, or a while has passed."""
        return self.finisher.any_ended or time.monotonic() >= self._look_at

    def wait(self) -> None:
        """Until it is time to look again, or to stop; for a worker that has nothing to train."""
        self.context.interruption.asked.wait(max(0.0, self._look_at - time.monotonic()))

    def fill(self) -> None:
        """Claims trials while there is room for them, and admits them."""
        context = self.context
        self.finisher.any_ended = False
        self._without.clear()
        rest = context.rests.training
        going_on = rest.permits(context.files, context.store_seconds)
        while going_on and (most := self._most()) and not context.interruption.asked.is_set():
            claims = context.patiently(
                partial(
                    claiming.claim_many,
                    context.database,
                    context.worker_id,
                    context.settings.lease_seconds,
                    most,
                    fixed=context.fixed,
                    room=self.has_capacity,
                )
            )
            going_on = bool(claims) and self._begin_all(claims)
        self._look_at = max(rest.until, time.monotonic() + context.settings.poll_seconds)

    def has_capacity(
        self,
        job_id: str,
        spec: JobSpec,
        fixed: Fixed | None,
        stage: Stage,
        together: Sequence[Stage] = (),
        running: int = 0,
    ) -> bool:
        """Whether this worker takes a trial of a job: it may train it, has a lane, and the sampler bears one more.
        Beside a trial that others were lost over it takes none.

        One of each stage it takes in any case, so that no worker stands idle beside a busy fleet.
        """
        if self._resting.get(job_id, 0.0) > time.monotonic():
            return False
        if not together and not self.context.allowed(spec, fixed):
            return False
        if any(running_trial.claim.suspect for _, _, running_trial in self.sessions.running()):
            return False
        most = trial_counts.at_once(spec, stage)
        mine = [
            running_trial.claim.stage
            for _, _, running_trial in self.sessions.running()
            if running_trial.claim.job_id == job_id
        ]
        if most is not None and running >= most and stage in [*together, *mine]:
            return False
        session = self.sessions.known(self._fingerprint(job_id, spec, fixed))
        if session is None:
            return not together and len(self.sessions.occupied()) < engine_cache.MOST
        return len(together) < session.free()

    def _most(self) -> int:
        """How many trials to claim at once, at most: as many lanes as the settings leave, in portions.

        None where nobody could sit down: asking each job of a study in vain takes up to a third of a worker's time.
        """
        if self.sessions.full():
            return 0
        lanes = self.context.settings.lanes
        return BATCH if lanes is None else min(BATCH, lanes - self.sessions.taken())

    def _begin_all(self, claims: Sequence[Claim]) -> bool:
        """Admits all of them; False where one had to be given back, and it is better to train on for now."""
        for claim in claims:
            self.heartbeat.hold(claim.token)
        remaining, all_admitted = list(claims), True
        try:
            while remaining:
                all_admitted = self.begin(remaining[0]) and all_admitted
                del remaining[0]
        finally:
            self.finisher.give_back(remaining)  # of an error in between
        return all_admitted

    def begin(self, claim: Claim) -> bool:
        """Makes the problem ready, asks for what to train where nobody has, and admits the trial; it is held already.

        False where it was given back, because there is no lane or no memory for it now.
        """
        problem = self.context.problem(claim.spec, claim.fixed)
        if problem.fingerprint() in self._without:
            self.finisher.give_back([claim])
            return False
        session: EngineSession | None = None
        breakable = self.context.interruption.breakable
        self.context.preparation.begin(claim.job_id)
        try:
            with breakable(), tracing.within(claim.traceparent):
                session = self.sessions.get(problem)
            if not self._tell_teacher(claim, session):
                return True
            with breakable(), tracing.within(claim.traceparent):
                most = trial_counts.side_by_side(claim.spec, claim.stage, claim.number)
                opened = session.open(most, self._work(claim))
            return self._start(claim, session, opened)
        except LeaseLost:
            self.finisher.drop(claim)
            return True
        except DatabaseUnavailable:
            raise
        except ChildDied as error:
            return self._child_died(claim, session, error)
        except Exception as error:
            held = self._failed(claim, problem, session, error)
        if held is None and session is not None:  # by now the error is forgotten, and with it what its frames held
            self.halve(session)
            self.finisher.give_back([claim])
        return bool(held)

    def _start(self, claim: Claim, session: EngineSession, opened: bool) -> bool:
        """Proposes the trial and puts it on a lane of the session; False where it was given back for want of a lane."""
        log = _log.bind(job=claim.job_id, trial=claim.number, request=claim.request_id)
        if opened:
            log.info("engine opened", lanes=session.lanes)
            self.context.patiently(self.heartbeat.tell)
        if session.free() < 1:
            self.finisher.give_back([claim])
            return False
        self.finisher.traces.begin(claim)
        number, configuration = self._ask(claim)
        running_trial = RunningTrial(claim, configuration, number)
        self._admit(session, running_trial)
        epoch = running_trial.epoch
        self.finisher.traces.admitted(claim, configuration, epoch)
        log.info("trial started", stage=claim.stage, arm=claim.arm, attempt=claim.attempt, epoch=epoch)
        if self.context.rests.training.over():
            self.heartbeat.try_to_tell()
        return True

    def _child_died(self, claim: Claim, session: EngineSession | None, error: ChildDied) -> bool:
        """Trials that share a training process which died are tried one by one; alone, this one has crashed."""
        if session is None or not session.trials:
            self.finisher.crash(claim, error, 0.0)
            return True
        self.one_by_one(session, error, more=1)
        self.finisher.give_back([claim])
        return False

    def _failed(self, claim: Claim, problem: Problem, session: EngineSession | None, error: Exception) -> bool | None:
        """Whether the trial is done with: failed, or its job; False where it was given back; None: no memory."""
        self.context.preparation.end()
        away = self.context.store_fault(error)
        if away is not None:  # no fault of the trial's: it is begun when the store answers
            self._without.add(problem.fingerprint())
            self.finisher.put_off([claim], away)
            return False
        if isinstance(error, TrainingError):
            self.finisher.fail_job(claim, Reason(error.slug, str(error)), of_machine=faults.only_here(error))
            return True
        if session is not None and session.lanes > 1 and memory.ran_out(error):
            return None
        if session is None and faults.of_machine(error):
            self.finisher.not_ready(claim, error)
            self._resting[claim.job_id] = time.monotonic() + self.context.settings.lease_seconds
            return False
        self.finisher.crash(claim, error, 0.0)
        return True

    def halve(self, session: EngineSession) -> None:
        """Memory does not suffice for a session: its trials go on from their checkpoints, on half as many lanes."""
        before = session.lanes
        trials = session.halve()
        _log.warning("out of memory: half the lanes from now on", lanes=max(1, before // 2), trials=len(trials))
        self.finisher.give_back(running_trial.claim for running_trial in trials)
        self.finisher.any_ended = True

    def one_by_one(self, session: EngineSession, error: Exception, more: int = 0) -> None:
        """A session has crashed with several trials on it, and `more` on their way: each goes on by itself for now."""
        trials = session.clear()
        _log.error("training crashed; its trials go on one by one", trials=len(trials), exc_info=error)
        session.alone = len(trials) + more
        self.finisher.give_back(running_trial.claim for running_trial in trials)
        self.finisher.any_ended = True

    def _admit(self, session: EngineSession, running_trial: RunningTrial) -> None:
        claim = running_trial.claim
        if claim.checkpoint is not None:
            try:
                with self.checkpoint_store.reading(claim) as checkpoint:
                    session.admit(running_trial, checkpoint)
            except CheckpointInvalid as error:
                _log.warning("trial starts over", job=claim.job_id, trial=claim.number, reason=str(error))
                start_over = partial(checkpointing.start_over, self.context.database, claim.token, claim.trial_id)
                self.context.patiently(start_over)
                self.checkpoint_store.forget(claim)
            else:
                return
        session.admit(running_trial, None)

    def _ask(self, claim: Claim) -> tuple[int | None, Configuration]:
        context = self.context
        if claim.heard and claim.configuration is not None:
            if claim.optuna_number is not None:
                take_over = partial(proposals.take_over, context.storage, claim, claim.optuna_number, context.worker_id)
                context.patiently(take_over)
            return claim.optuna_number, claim.configuration
        proposal = context.patiently(partial(proposals.propose, context.storage, claim, context.worker_id))
        numbering = context.patiently(partial(proposals.numbering, context.storage, proposal))
        configuration = proposal.configuration
        attach = partial(reporting.attach, context.database, claim.token, claim.trial_id, numbering, configuration)
        return context.patiently(attach), configuration

    def _tell_teacher(self, claim: Claim, session: EngineSession) -> bool:
        """Writes down what the teacher is worth; False where the job has ended by it, before its first trial."""
        if claim.job_id in self._told:
            return True
        facts, teacher = session.prepared.facts, claim.spec.built_in_parts.teacher
        weak = quality.is_weak(facts) and teacher.is_given() and not teacher.accept_weak
        reason = Reason("teacher-weak", quality.weakness(facts)) if weak else None
        tell = partial(reporting.set_teacher, self.context.database, claim.token, facts, reason)
        goes_on = self.context.patiently(tell)
        if goes_on:
            self._told.add(claim.job_id)
        elif reason is not None:
            self.finisher.refuse(claim, reason)
        return goes_on

    def _fingerprint(self, job_id: str, spec: JobSpec, fixed: Fixed | None) -> str:
        key = job_id, fixed is None  # while it is not fixed, as this worker would fix it
        if key not in self._fingerprints:
            facts = self.context.fixed(spec) if fixed is None else fixed
            self._fingerprints[key] = self.context.problem(spec, facts).fingerprint()
        return self._fingerprints[key]

    @staticmethod
    def _work(claim: Claim) -> int:
        """How many epochs the job has still to train, as far as is known: trials are numbered as they come."""
        return max(1, trial_counts.trials_of(claim.spec) - claim.number) * claim.spec.training.epochs
