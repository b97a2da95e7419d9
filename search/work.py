"""What happens to a trial between its claim and its end: prepared, asked for, trained, reported, stopped or finished.

Each step is written to our tables under the lease's token before Optuna hears of it; who finds the token gone drops
the trial and says nothing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import partial

import sqlalchemy
import structlog

from search import ledger, pruners, study, tables
from search.benches import Bench, Benches, Seat
from search.context import Context
from search.errors import DatabaseUnavailable, LeaseLost
from search.heartbeat import Heartbeat
from search.ledger import Claim, Unmirrored
from search.records import Reason
from search.rows import study_name
from search.states import TERMINAL_TRIALS, Stage, TrialState
from trainers.errors import TrainingError
from trainers.spec import Configuration, EpochReport, LaneFailure, Metrics

CRASHES = 3  # so many trials of a job in a row, and the job is what crashes
_log = structlog.get_logger(__name__)


class Work:
    """The trials of one worker."""

    def __init__(self, context: Context, benches: Benches, heartbeat: Heartbeat) -> None:
        self.context, self.benches, self.heartbeat = context, benches, heartbeat
        self._told: set[str] = set()  # jobs whose teacher has been written down

    def free(self) -> int:
        """How many lanes are free."""
        return self.context.settings.lanes - self.benches.taken()

    def fill(self) -> None:
        """Claims trials while lanes are free."""
        context = self.context
        while self.free() > 0 and not context.interruption.asked.is_set():
            claim = context.patiently(
                partial(
                    ledger.claim,
                    context.database,
                    context.worker_id,
                    context.settings.lease_seconds,
                    fixed=context.fixed,
                    allowed=context.allowed,
                )
            )
            if claim is None or not self.begin(claim):
                break

    def begin(self, claim: Claim) -> bool:
        """Makes the problem ready, asks for what to train where nobody has, and seats the trial.

        False where it had to be given back, because its problem is trained one trial at a time now.
        """
        log = _log.bind(job=claim.job_id, trial=claim.number)
        self.heartbeat.hold(claim.token)
        seated = False
        try:
            with self.context.interruption.breakable():
                bench = self.benches.get(self.context.problem(claim.spec, claim.fixed))
            self._tell_teacher(claim, bench)
            if not bench.takes():
                self._give_back(claim)
                return False
            number, configuration = self._ask(claim)
            bench.admit(Seat(claim, configuration, number))
            seated = True
            log.info("trial started", stage=claim.stage, arm=claim.arm, attempt=claim.attempt)
        except LeaseLost:
            log.info("lease lost before training")
        except TrainingError as error:
            self._fail_job(claim, Reason(error.slug, str(error)))
        except DatabaseUnavailable:
            raise
        except Exception as error:
            self._crash(claim, error, 0.0)
        except BaseException:
            self._give_back(claim)
            raise
        finally:
            if not seated:
                self.heartbeat.drop(claim.token)
        return True

    def step(self) -> None:
        """One epoch of every seated trial, and what follows from it."""
        self.drop_lost()
        for bench in self.benches.occupied():
            try:
                with self.context.interruption.breakable():
                    said = bench.step()
            except Exception as error:
                self._bench_crashed(bench, error)
            else:
                self._hear(bench, said)

    def drop_lost(self) -> None:
        """Takes trials off whose lease is gone: cancelled, or given to another worker."""
        lost = self.heartbeat.lost()
        for bench, lane, seat in self.benches.seated():
            if seat.claim.token in lost:
                self._drop(bench, lane)

    def give_back(self) -> None:
        """Gives every trial back, for others to train."""
        for bench, lane, seat in self.benches.seated():
            bench.evict(lane)
            self._give_back(seat.claim)

    def _hear(self, bench: Bench, said: Sequence[EpochReport | LaneFailure]) -> None:
        reports, failures = [], []
        for each in said:
            if isinstance(each, LaneFailure):
                failures.append((each.lane, each.epoch, each.reason))
            elif _finite(each):
                reports.append(each)
            else:
                failures.append((each.lane, each.epoch, "a metric is no longer finite"))
        entries = [(bench.seats[each.lane].claim, each) for each in reports]
        lost = self.context.patiently(
            lambda: ledger.report_all(
                self.context.database, [(claim.token, claim.trial_id, each) for claim, each in entries]
            )
        )
        for claim, each in entries:
            if claim.token in lost:
                self._drop(bench, each.lane)
            else:
                self._follow(bench, each)
        for lane, epoch, why in failures:
            reason = Reason("diverged", f"epoch {epoch}: {why}")
            self._end(bench.evict(lane), TrialState.FAILED, epoch=epoch, reason=reason)

    def _follow(self, bench: Bench, said: EpochReport) -> None:
        """After an epoch that was written down: the end, a rung, or the next one."""
        seat = bench.seats[said.lane]
        seat.seconds += said.seconds
        claim, value = seat.claim, getattr(said.validation, seat.claim.spec.objective.metric)
        try:
            if said.epoch == claim.spec.training.epochs:
                if claim.stage is Stage.ESTIMATE:
                    path = self.context.student_path(claim.job_id, claim.number)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    bench.engine.save_student(said.lane, path)
                state, reason = TrialState.COMPLETED, None
            elif self._stops_at(seat, said.epoch, value):
                state = TrialState.PRUNED
                reason = Reason("pruned", f"{claim.spec.pruner.name} stopped it at the rung of epoch {said.epoch}")
            else:
                return
        except DatabaseUnavailable:
            raise
        except Exception as error:
            bench.evict(said.lane)
            self._crash(claim, error, seat.seconds)
            return
        bench.evict(said.lane)
        self._end(seat, state, epoch=said.epoch, value=value, metrics=said.validation, reason=reason)

    def _stops_at(self, seat: Seat, epoch: int, value: float) -> bool:
        claim, number = seat.claim, seat.optuna_number
        if number is None or epoch not in pruners.rungs(claim.spec):
            return False
        return self.context.patiently(partial(study.should_prune, self.context.storage, claim, number, epoch, value))

    def _end(
        self,
        seat: Seat,
        state: TrialState,
        *,
        epoch: int,
        value: float | None = None,
        metrics: Metrics | None = None,
        reason: Reason | None = None,
    ) -> None:
        claim = seat.claim
        if not self._finish(claim, state, seat.seconds, reason=reason, value=value, metrics=metrics):
            return
        detail = reason and reason.detail
        _log.info(
            "trial ended", job=claim.job_id, trial=claim.number, state=state, epoch=epoch, value=value, reason=detail
        )
        if seat.optuna_number is not None:
            self._mirror(claim, seat.optuna_number, state, epoch, value, reason)

    def _finish(
        self,
        claim: Claim,
        state: TrialState,
        seconds: float,
        *,
        reason: Reason | None,
        value: float | None = None,
        metrics: Metrics | None = None,
    ) -> bool:
        """Writes the end down and holds the lease no longer; False where it was lost."""
        finish = partial(
            ledger.finish,
            self.context.database,
            claim.token,
            claim.trial_id,
            state,
            value=value,
            metrics=metrics,
            reason=reason,
            train_seconds=seconds,
        )
        try:
            self.context.patiently(finish)
        except LeaseLost:
            _log.info("lease lost at the end", job=claim.job_id, trial=claim.number)
            return False
        finally:
            self.heartbeat.drop(claim.token)
        return True

    def _mirror(
        self,
        claim: Claim,
        number: int,
        state: TrialState,
        epoch: int,
        value: float | None,
        reason: Reason | None,
    ) -> None:
        """Tells Optuna; where that fails, the next repair does it."""
        metric = claim.spec.objective.metric
        ended = Unmirrored(claim.trial_id, claim.job_id, claim.arm, number, state, value, epoch, reason, metric)
        try:
            study.mirror_end(self.context.storage, ended)
            ledger.mark_mirrored(self.context.database, claim.trial_id)
        except Exception as error:
            _log.warning("Optuna could not be told", job=claim.job_id, trial=claim.number, error=str(error))

    def _ask(self, claim: Claim) -> tuple[int | None, Configuration]:
        if claim.configuration is not None:  # planned, or asked for by an earlier attempt
            return claim.optuna_number, claim.configuration
        context = self.context
        number, configuration = context.patiently(partial(study.ask, context.storage, claim))
        attach = partial(ledger.attach, context.database, claim.token, claim.trial_id, number, configuration)
        try:
            context.patiently(attach)
        except LeaseLost:
            study.fail_running(context.storage, study_name(claim.job_id, claim.arm), number)
            raise
        return number, configuration

    def _tell_teacher(self, claim: Claim, bench: Bench) -> None:
        if claim.job_id not in self._told:
            facts = bench.prepared.facts
            self.context.patiently(partial(ledger.set_teacher, self.context.database, claim.token, facts))
            self._told.add(claim.job_id)

    def _bench_crashed(self, bench: Bench, error: Exception) -> None:
        """One trial alone has crashed by itself; of several nobody knows whose fault it was, so each gets its turn."""
        seats = bench.clear()
        if len(seats) == 1:
            self._crash(seats[0].claim, error, seats[0].seconds)
            return
        _log.error("training crashed; its trials go on one by one", trials=len(seats), exc_info=error)
        bench.alone = True
        for seat in seats:
            self._give_back(seat.claim)

    def _crash(self, claim: Claim, error: Exception, seconds: float) -> None:
        _log.error("trial crashed", job=claim.job_id, trial=claim.number, exc_info=error)
        detail = f"{type(error).__name__}: {error}"[:500]
        if self._crashed_before(claim.job_id) >= CRASHES - 1:
            self._fail_job(claim, Reason("crashed", f"{CRASHES} trials in a row crashed; the last one by {detail}"))
            return
        self._finish(claim, TrialState.FAILED, seconds, reason=Reason("crashed", detail))  # a repair tells Optuna

    def _crashed_before(self, job_id: str) -> int:
        """How many of the job's last CRASHES - 1 ended trials have crashed."""
        trials = tables.trials.c
        ended = sqlalchemy.select(trials.reason).where(trials.job_id == job_id, trials.state.in_(TERMINAL_TRIALS))
        query = ended.order_by(trials.ended_at.desc(), trials.id.desc()).limit(CRASHES - 1)

        def read() -> int:
            with self.context.database.read() as connection:
                reasons = connection.scalars(query).all()
            return sum(reason is not None and reason["type"] == "crashed" for reason in reasons)

        return self.context.patiently(read)

    def _fail_job(self, claim: Claim, reason: Reason) -> None:
        self.context.fail_job(claim.job_id, claim.token, reason)
        self.heartbeat.drop(claim.token)

    def _give_back(self, claim: Claim) -> None:
        self.heartbeat.drop(claim.token)
        self.context.give_back(claim.job_id, claim.token)

    def _drop(self, bench: Bench, lane: int) -> None:
        claim = bench.evict(lane).claim
        self.heartbeat.drop(claim.token)
        _log.info("lease lost", job=claim.job_id, trial=claim.number)


def _finite(said: EpochReport) -> bool:
    return all(map(math.isfinite, (said.train_loss, said.learning_rate, *dataclasses.astuple(said.validation))))
