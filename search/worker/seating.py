"""Admission of trials to this worker's lanes: claimed, prepared, proposed and begun, anew or from a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import structlog

from search import tracing
from search.errors import DatabaseUnavailable, LeaseLost
from search.leasing import claiming, ledger, plan, resuming
from search.leasing.claiming import Claim, Fixed
from search.records import Reason
from search.sampling import asking
from search.spec import JobSpec
from search.states import Stage
from search.worker import benches, faults
from search.worker.benches import Bench, Benches, Seat
from search.worker.context import Context
from search.worker.ending import Endings
from search.worker.heartbeat import Heartbeat
from search.worker.keeping import Keeper
from trainers.engines import memory
from trainers.engines.processes import ChildDied
from trainers.errors import CheckpointInvalid, TrainingError
from trainers.spec import Configuration

BATCH = 16  # trials claimed in one transaction, which holds their job meanwhile
_log = structlog.get_logger(__name__)


class Seating:
    """Fills free lanes."""

    def __init__(
        self, context: Context, ready: Benches, heartbeat: Heartbeat, keeper: Keeper, endings: Endings
    ) -> None:
        self.context, self.benches, self.heartbeat = context, ready, heartbeat
        self.keeper, self.endings = keeper, endings
        self._told: set[str] = set()  # jobs whose teacher has been written down
        self._fingerprints: dict[str, str] = {}  # of jobs' problems
        self._look_at = 0.0
        self._without: set[str] = set()  # problems that the store did not let be made ready, the last time
        self._resting: dict[str, float] = {}  # jobs that could not be made ready here, until when they are left alone

    def due(self) -> bool:
        """Whether to look for trials: something has ended here since the last time, or a while has passed."""
        return self.endings.any_ended or time.monotonic() >= self._look_at

    def wait(self) -> None:
        """Until it is time to look again, or to stop; for a worker that has nothing to train."""
        self.context.interruption.asked.wait(max(0.0, self._look_at - time.monotonic()))

    def fill(self) -> None:
        """Claims trials while there is room for them, and seats them."""
        context = self.context
        self.endings.any_ended = False
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
                    room=self.room,
                )
            )
            going_on = bool(claims) and self._begin_all(claims)
        self._look_at = max(rest.until, time.monotonic() + context.settings.poll_seconds)

    def room(
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
        if not self.context.allowed(spec, fixed) or any(seat.claim.suspect for _, _, seat in self.benches.seated()):
            return False
        most = plan.at_once(spec, stage)
        mine = [seat.claim.stage for _, _, seat in self.benches.seated() if seat.claim.job_id == job_id]
        if most is not None and running >= most and stage in [*together, *mine]:
            return False
        bench = self.benches.known(self._fingerprint(job_id, spec, fixed))
        if bench is None:
            return not together and len(self.benches.occupied()) < benches.MOST
        return len(together) < bench.free()

    def _most(self) -> int:
        """How many trials to claim at once, at most: as many lanes as the settings leave, in portions.

        None where nobody could sit down: asking each job of a study in vain takes up to a third of a worker's time.
        """
        if self.benches.full():
            return 0
        lanes = self.context.settings.lanes
        return BATCH if lanes is None else min(BATCH, lanes - self.benches.taken())

    def _begin_all(self, claims: Sequence[Claim]) -> bool:
        """Seats all of them; False where one had to be given back, and it is better to train on for now."""
        for claim in claims:
            self.heartbeat.hold(claim.token)
        left, all_seated = list(claims), True
        try:
            while left:
                all_seated = self.begin(left[0]) and all_seated
                del left[0]
        finally:
            self.endings.give_back(left)  # of an error in between
        return all_seated

    def begin(self, claim: Claim) -> bool:
        """Makes the problem ready, asks for what to train where nobody has, and seats the trial; it is held already.

        False where it was given back, because there is no lane or no memory for it now.
        """
        log = _log.bind(job=claim.job_id, trial=claim.number, request=claim.request_id)
        problem = self.context.problem(claim.spec, claim.fixed)
        if problem.fingerprint() in self._without:
            self.endings.give_back([claim])
            return False
        bench, opened, no_memory = None, False, False
        try:
            with self.context.interruption.breakable(), tracing.within(claim.traceparent):
                bench = self.benches.get(problem)
                if bench.open(max(1, plan.at_once(claim.spec, Stage.SEARCH) or 1), self._work(claim)):
                    opened = True
            if opened:
                log.info("engine opened", lanes=bench.lanes)
                self.context.patiently(self.heartbeat.tell)
            self._tell_teacher(claim, bench)
            if bench.free() < 1:
                self.endings.give_back([claim])
                return False
            self.endings.traces.begin(claim)
            number, configuration = self._ask(claim)
            seat = Seat(claim, configuration, number)
            self._seat(bench, seat)
            self.endings.traces.seated(claim, configuration, seat.epoch)
            log.info("trial started", stage=claim.stage, arm=claim.arm, attempt=claim.attempt, epoch=seat.epoch)
            if self.context.rests.training.over():
                self.heartbeat.try_to_tell()
        except LeaseLost:
            self.endings.drop(claim)
        except DatabaseUnavailable:
            raise
        except ChildDied as error:
            if bench is None or not bench.seats:
                self.endings.crash(claim, error, 0.0)
                return True
            self.one_by_one(bench, error, more=1)
            self.endings.give_back([claim])
            return False
        except Exception as error:
            away = self.context.store_fault(error)
            if away is not None:  # no fault of the trial's: it is begun when the store answers
                self._without.add(problem.fingerprint())
                self.endings.put_off([claim], away)
                return False
            if isinstance(error, TrainingError):
                self.endings.fail_job(claim, Reason(error.slug, str(error)), of_machine=faults.only_here(error))
                return True
            no_memory = bench is not None and bench.lanes > 1 and memory.ran_out(error)
            if bench is None and faults.of_machine(error):
                self.endings.not_ready(claim, error)
                self._resting[claim.job_id] = time.monotonic() + self.context.settings.lease_seconds
                return False
            if not no_memory:
                self.endings.crash(claim, error, 0.0)
        if bench is not None and no_memory:
            self.halve(bench)
            self.endings.give_back([claim])
        return not no_memory

    def halve(self, bench: Bench) -> None:
        """Memory does not suffice for a bench: its trials go on from their checkpoints, on half as many lanes."""
        before = bench.lanes
        seats = bench.halve()
        _log.warning("out of memory: half the lanes from now on", lanes=max(1, before // 2), trials=len(seats))
        self.endings.give_back(seat.claim for seat in seats)
        self.endings.any_ended = True

    def one_by_one(self, bench: Bench, error: Exception, more: int = 0) -> None:
        """A bench has crashed with several trials on it, and `more` on their way: each goes on by itself for now."""
        seats = bench.clear()
        _log.error("training crashed; its trials go on one by one", trials=len(seats), exc_info=error)
        bench.alone = len(seats) + more
        self.endings.give_back(seat.claim for seat in seats)
        self.endings.any_ended = True

    def _seat(self, bench: Bench, seat: Seat) -> None:
        claim = seat.claim
        if claim.checkpoint is not None:
            try:
                with self.keeper.reading(claim) as checkpoint:
                    bench.admit(seat, checkpoint)
            except CheckpointInvalid as error:
                _log.warning("trial starts over", job=claim.job_id, trial=claim.number, reason=str(error))
                start_over = partial(resuming.start_over, self.context.database, claim.token, claim.trial_id)
                self.context.patiently(start_over)
                self.keeper.forget(claim)
            else:
                return
        bench.admit(seat, None)

    def _ask(self, claim: Claim) -> tuple[int | None, Configuration]:
        context = self.context
        asked = claim.optuna_number is not None or claim.advice is None
        if claim.configuration is not None and asked:  # planned, or asked for by an earlier attempt
            if claim.optuna_number is not None:
                take_over = partial(asking.take_over, context.storage, claim, claim.optuna_number, context.worker_id)
                context.patiently(take_over)
            return claim.optuna_number, claim.configuration
        proposal = context.patiently(partial(asking.propose, context.storage, claim, context.worker_id))
        numbering = context.patiently(partial(asking.numbering, context.storage, proposal))
        configuration = proposal.configuration
        attach = partial(ledger.attach, context.database, claim.token, claim.trial_id, numbering, configuration)
        return context.patiently(attach), configuration

    def _tell_teacher(self, claim: Claim, bench: Bench) -> None:
        if claim.job_id not in self._told:
            facts = bench.prepared.facts
            self.context.patiently(partial(ledger.set_teacher, self.context.database, claim.token, facts))
            self._told.add(claim.job_id)

    def _fingerprint(self, job_id: str, spec: JobSpec, fixed: Fixed | None) -> str:
        if fixed is None:  # another worker may yet be the one that fixes it
            return self.context.problem(spec, self.context.fixed(spec)).fingerprint()
        if job_id not in self._fingerprints:
            self._fingerprints[job_id] = self.context.problem(spec, fixed).fingerprint()
        return self._fingerprints[job_id]

    @staticmethod
    def _work(claim: Claim) -> int:
        """How many epochs the job has still to train, as far as is known: trials are numbered as they come."""
        return max(1, plan.trials_of(claim.spec) - claim.number) * claim.spec.training.epochs
