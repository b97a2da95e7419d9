"""What happens to the trials on this worker's lanes, epoch by epoch: trained, reported, saved, stopped or finished.

Each step is written to our tables under the lease's token before Optuna hears of it; who finds the token gone drops
the trial and says nothing.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from functools import partial

import structlog

from search.errors import DatabaseUnavailable, StoreUnavailable
from search.leasing import ledger
from search.leasing.claiming import Claim
from search.records import Reason
from search.sampling import pruners, study
from search.states import Stage, TrialState
from search.worker import students
from search.worker.benches import Bench, Benches, Seat
from search.worker.context import Context
from search.worker.ending import Endings
from search.worker.heartbeat import Heartbeat
from search.worker.keeping import Keeper
from search.worker.seating import Seating
from trainers.engines import memory
from trainers.engines.processes import ChildDied
from trainers.spec import EpochReport, LaneFailure, Metrics

REPORT_SECONDS = 1.0  # epochs that take less are written down several at a time
_log = structlog.get_logger(__name__)


class Work:
    """The trials of one worker."""

    def __init__(self, context: Context, benches: Benches, heartbeat: Heartbeat) -> None:
        self.context, self.benches, self.heartbeat = context, benches, heartbeat
        self.keeper = Keeper(context)
        self.endings = Endings(context, heartbeat, self.keeper)
        self.seating = Seating(context, benches, heartbeat, self.keeper, self.endings)
        self._said: dict[tuple[str, int], list[EpochReport]] = {}  # by token and trial: not yet written down
        self._written_at = time.monotonic()

    def step(self) -> None:
        """One epoch of every seated trial, and what follows from it."""
        self.drop_lost()
        for bench in self.benches.occupied():
            if self.context.interruption.asked.is_set():
                return
            said, no_memory = None, False
            try:
                with self.context.interruption.patient():
                    said = bench.step()
            except Exception as error:
                no_memory = bench.lanes > 1 and memory.ran_out(error)
                self._write()
                if not no_memory:
                    self._crashed(bench, error)
            # the error is forgotten by now, and with it what its frames held
            if no_memory:
                self.seating.halve(bench)
            elif said is not None:
                self._hear(bench, said)

    def drop_lost(self) -> None:
        """Takes trials off whose lease is gone: cancelled, or given to another worker."""
        lost = self.heartbeat.lost()
        for bench, lane, seat in self.benches.seated():
            if seat.claim.token in lost:
                self.endings.drop(bench.evict(lane).claim)

    def drain(self) -> None:
        """Saves every trial, as far as it stands between two epochs, and gives all back, for others to go on with."""
        self.drop_lost()
        try:
            self._write()
            for bench in self.benches.occupied():
                if bench.settled:
                    self.keeper.save(bench, bench.seats)
        except DatabaseUnavailable as error:  # then they go on from an earlier one
            _log.warning("database does not answer", error=str(error))
        except Exception as error:  # whatever it is, their leases are not left to expire
            _log.error("not saved", exc_info=error)
        self.endings.give_back([seat.claim for _, _, seat in self.benches.seated()])
        for bench in self.benches.occupied():
            bench.clear()

    def _hear(self, bench: Bench, said: Sequence[EpochReport | LaneFailure]) -> None:
        reports, failures = [], []
        for each in said:
            if isinstance(each, LaneFailure):
                failures.append((each.lane, each.epoch, each.reason))
            elif _finite(each):
                reports.append(each)
            else:
                failures.append((each.lane, each.epoch, "a metric is no longer finite"))
        for each in reports:
            claim = bench.seats[each.lane].claim
            self._said.setdefault((claim.token, claim.trial_id), []).append(each)
        bench.settled = True
        rung = any(_at_rung(bench.seats[each.lane], each.epoch) for each in reports)
        if rung or time.monotonic() >= self._written_at + REPORT_SECONDS:
            self._write()
        for each in reports:
            if each.lane in bench.seats:
                self._follow(bench, each)
        for lane, epoch, why in failures:
            if lane in bench.seats:
                reason = Reason("diverged", f"epoch {epoch}: {why}")
                self._end(bench, lane, TrialState.FAILED, epoch=epoch, reason=reason)
        self._save(bench)

    def _write(self) -> None:
        """Writes down what was trained since the last time, of all trials in one transaction, and drops those whose
        lease is gone.
        """
        told = [(*of, each) for of, said in self._said.items() for each in said]
        lost = self.context.patiently(lambda: ledger.report_all(self.context.database, told)) if told else set()
        self._said.clear()
        self._written_at = time.monotonic()
        for bench, lane, seat in self.benches.seated():
            if seat.claim.token in lost:
                self.endings.drop(bench.evict(lane).claim)

    def _end(
        self,
        bench: Bench,
        lane: int,
        state: TrialState,
        *,
        epoch: int,
        value: float | None = None,
        metrics: Metrics | None = None,
        reason: Reason | None = None,
    ) -> None:
        """Takes a trial off its lane and ends it; what it trained since the last time is written with its end."""
        seat = bench.evict(lane)
        said = self._said.pop((seat.claim.token, seat.claim.trial_id), [])
        self.endings.end(seat, state, epoch=epoch, value=value, metrics=metrics, reason=reason, said=said)

    def _follow(self, bench: Bench, said: EpochReport) -> None:
        """After an epoch: the end, a rung (before which it was written down), or the next one."""
        seat = bench.seats[said.lane]
        seat.epoch, seat.seconds = said.epoch, seat.seconds + said.seconds
        claim, value = seat.claim, getattr(said.validation, seat.claim.spec.objective.metric)
        try:
            if said.epoch == claim.spec.training.epochs:
                if claim.stage is Stage.ESTIMATE:
                    self._keep_student(bench, said.lane, claim)
                state, reason = TrialState.COMPLETED, None
            elif self._stops_at(seat, value):
                state = TrialState.PRUNED
                reason = Reason("pruned", f"{claim.spec.pruner.name} stopped it at the rung of epoch {said.epoch}")
            else:
                return
        except DatabaseUnavailable:
            raise
        except ChildDied as error:  # no fault of this trial's
            bench.broken = error
            return
        except Exception as error:
            self._write()
            if said.lane in bench.seats:
                bench.evict(said.lane)
            self.endings.crash(claim, error, seat.seconds)
            return
        self._end(bench, said.lane, state, epoch=said.epoch, value=value, metrics=said.validation, reason=reason)

    def _keep_student(self, bench: Bench, lane: int, claim: Claim) -> None:
        """Keeps a student for the job's end; without the store it is trained again then, from its seed."""
        try:
            key = self.context.student_key(claim.job_id, claim.number)
            students.keep(self.context.files, key, partial(bench.running.save_student, lane))
        except StoreUnavailable as error:
            _log.warning("student not kept", job=claim.job_id, trial=claim.number, error=str(error))

    def _stops_at(self, seat: Seat, value: float) -> bool:
        claim, number = seat.claim, seat.optuna_number
        if number is None or not _at_rung(seat, seat.epoch):
            return False
        should_prune = partial(study.should_prune, self.context.storage, claim, number, seat.epoch, value)
        return self.context.patiently(should_prune)

    def _save(self, bench: Bench) -> None:
        """Saves those that have just passed a rung, and those that would lose more training than is allowed."""
        long_ago = time.monotonic() - self.context.settings.checkpoint_seconds
        due = [lane for lane, seat in bench.seats.items() if _at_rung(seat, seat.epoch) or seat.kept_at <= long_ago]
        if due:
            self._write()  # nobody goes on from an epoch that was not written down
            due = [lane for lane in due if lane in bench.seats]
        lost = self.keeper.save(bench, due)
        for lane in due:
            if bench.seats[lane].claim.token in lost:
                self.endings.drop(bench.evict(lane).claim)

    def _crashed(self, bench: Bench, error: Exception) -> None:
        """One trial alone has crashed by itself; of several nobody knows whose fault it was, so each gets its turn.

        Where the disk or the store failed, it was none of them.
        """
        away = self.context.store_fault(error)
        if away is not None:
            self.endings.put_off([seat.claim for seat in bench.clear()], away)
            return
        if len(bench.seats) == 1:
            [seat] = bench.clear()
            bench.alone = 0  # it was this one's: the others may share again
            self.endings.crash(seat.claim, error, seat.seconds)
        else:
            self.seating.one_by_one(bench, error)


def _at_rung(seat: Seat, epoch: int) -> bool:
    return seat.optuna_number is not None and epoch in pruners.rungs(seat.claim.spec)


def _finite(said: EpochReport) -> bool:
    return all(map(math.isfinite, (said.train_loss, said.learning_rate, *dataclasses.astuple(said.validation))))
