"""The ledger of programs of others: renewals, reports, ends and returns of trials that they claimed over HTTP.

Each write is fenced by the token of the trial's latest claim. As long as nobody has claimed the trial since, that token
speaks for it, even where the lease itself was reaped: work that was done late is taken where it is still wanted.
Repeating what was said changes nothing and is answered as it was the first time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, bindparam, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from search.claims import attempts, leases
from search.claims.lifecycle import lock_job, reread, spec_of
from search.claims.measurements import OwnReport, Resume, check_reports, value_of
from search.claims.report_batch import row_of
from search.claims.reporting import end_and_tell, trial_beside_best
from search.claims.worker_loss import put_back
from search.errors import LeaseLost, NotFound, ReportRefused, TrialEnded
from search.records import Principal, Reason
from search.spec.job import JobSpec
from search.states import CLOSING, TERMINAL_TRIALS, Arm, JobState, Stage, TrialState
from search.storage.access import is_id
from search.storage.db import Database, now_sql
from search.storage.events import emit
from search.storage.rows import LARGEST, reason_json
from search.storage.tables import events, jobs, reports, trials
from search.storage.tables import leases as held

CRASHES = 3
"""So many trials of a job that crashed in a row, and the job is paused: it is what crashes."""
LATE_SECONDS = 300.0
"""The period of a lease that was taken again: whoever spoke late speaks again within it."""
LOG_TAIL = 20_000
"""Characters of a log that are kept with a trial."""
_NO_TRIAL = "there is no such trial that you may train"
FailureKind = Literal["diverged", "infeasible", "crashed"]
LeaseState = Literal["current", "ended", "lost"]
Tell = Callable[[Connection], object]
Teller = Callable[["HeldTrial"], Tell | None]
"""From a trial that is about to end: what tells Optuna of it, in the same transaction."""


@dataclass(frozen=True, slots=True)
class HeldTrial:
    """A trial as its holder speaks of it: its row, its job's spec, and whether its lease is current.

    Where it is not, the trial waits for another claim, or has ended.
    """

    row: Row[Any]
    spec: JobSpec
    current: bool

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be said of it."""
        return self.row.state in TERMINAL_TRIALS

    @property
    def arm(self) -> Arm:
        """Whom it speaks for."""
        return Arm(self.row.arm)


def look(db: Database, principal: Principal, job_id: str, number: int, token: str) -> HeldTrial:
    """A trial whose latest claim had this token. NotFound; LeaseLost where another has claimed it since, or it was
    cancelled.
    """
    with db.read() as connection:
        return _held(connection, principal, job_id, number, token)


def renew(db: Database, principal: Principal, tokens: Collection[str]) -> dict[str, LeaseState]:
    """Prolongs leases by their own periods from now on; answers how each token stands.

    One that has expired and was reaped is not revived by this: that somebody is there does not show that it trains.
    """
    mine = held.c.token.in_(list(tokens)) & held.c.seconds.is_not(None)
    of_owner = select(jobs.c.id).where(_trains(principal))
    with db.write() as connection:
        locked = select(held.c.token).where(mine, held.c.job_id.in_(of_owner)).order_by(held.c.subject)
        current = set(connection.scalars(locked.with_for_update()))
        if current:
            prolonged = update(held).where(held.c.token.in_(current))
            connection.execute(prolonged.values(expires_at=now_sql() + held.c.seconds))
        over = select(trials.c.last_token).where(
            trials.c.last_token.in_(list(tokens)), trials.c.state.in_(_OWN_ENDS), trials.c.job_id.in_(of_owner)
        )
        endings = set(connection.scalars(over))
    return {token: "current" if token in current else "ended" if token in endings else "lost" for token in tokens}


def report(
    db: Database,
    principal: Principal,
    job_id: str,
    number: int,
    token: str,
    entries: Sequence[OwnReport],
    resume: Resume | None = None,
    prune: Tell | None = None,
    pruned: Reason | None = None,
) -> TrialState:
    """Writes epochs down and renews the lease; answers the trial's state after that.

    `prune` writes what Optuna is to know of a rung, in the same transaction; with `pruned` the trial ends there, by
    that reason and at the last epoch that was said. Of a trial that has ended nothing more is written. LeaseLost;
    NotFound; ReportRefused.
    """
    with db.write() as connection:
        # a trial's end locks its job first
        job = None if pruned is None else _job_of(connection, job_id)
        trial = _speaking(connection, principal, job_id, number, token)
        if trial.ended:
            return TrialState(trial.row.state)
        check_reports(trial.spec, entries)
        last = max(entries, key=lambda entry: entry.epoch)
        _insert(connection, trial.row, entries)
        _move_on(connection, trial.row.id, last)
        if resume is not None:
            _keep_resume(connection, trial.row.id, resume)
        beaten = update(held).where(held.c.token == token)
        connection.execute(beaten.values(expires_at=now_sql() + held.c.seconds, progress_at=now_sql()))
        if pruned is None or job is None:
            if prune is not None:
                prune(connection)
            return TrialState.RUNNING
        value = value_of(trial.spec, last.metrics)
        values = {"value": value, "reason": reason_json(pruned), "epoch": last.epoch, "metrics": dict(last.metrics)}
        _end(connection, job_id, trial, token, TrialState.PRUNED, values, prune)
        return TrialState.PRUNED


def complete(
    db: Database,
    principal: Principal,
    job_id: str,
    number: int,
    token: str,
    result: OwnReport,
    test: Mapping[str, float] | None = None,
    log_tail: str = "",
    teller: Teller | None = None,
) -> TrialState:
    """Ends a trial with its result: the objective's value at its last epoch. Answers its state.

    What it says of the test part is sealed: nobody is shown it before the job is closed. LeaseLost; NotFound;
    ReportRefused; TrialEnded where it has ended otherwise.
    """
    with db.write() as connection:
        job = _job_of(connection, job_id)
        trial = _released(connection, principal, job, number, token)
        if trial is None:
            trial = _speaking(connection, principal, job_id, number, token)
            if trial.ended:
                return _same_end(trial, TrialState.COMPLETED)
            leases.release(connection, token)
        _check_result(trial, result, test)
        value = value_of(trial.spec, result.metrics)
        row = trial_beside_best(connection, job, trial.row.id, value, _SPENT, {"last": result.epoch})
        _insert(connection, trial.row, [result])
        values = {
            "value": value,
            "metrics": dict(result.metrics),
            "epoch": result.epoch,
            "sealed_test": None if test is None else dict(test),
            "train_seconds": row.before + (result.seconds if row.said is None else row.said),
            "log_tail": _end_of(log_tail),
        }
        end_and_tell(connection, job, row, TrialState.COMPLETED, values, None if teller is None else teller(trial))
        return TrialState.COMPLETED


def fail(
    db: Database,
    principal: Principal,
    job_id: str,
    number: int,
    token: str,
    reason: Reason,
    log_tail: str = "",
    tell: Tell | None = None,
) -> TrialState:
    """Ends a trial without a result. After CRASHES that crashed in a row the job is paused. Answers its state.

    LeaseLost; NotFound; TrialEnded where it has ended otherwise.
    """
    with db.write() as connection:
        _job_of(connection, job_id)
        trial = _speaking(connection, principal, job_id, number, token)
        if trial.ended:
            return _same_end(trial, TrialState.FAILED)
        values: dict[str, Any] = {"reason": reason_json(reason), "log_tail": _end_of(log_tail), "value": None}
        values["train_seconds"] = _seconds(connection, trial.row.id)
        _end(connection, job_id, trial, token, TrialState.FAILED, values, tell)
        if reason.type == "crashed":
            _pause_after_crashes(connection, reread(connection, job_id), reason)
        return TrialState.FAILED


def _end_of(log: str) -> str | None:
    """The last LOG_TAIL characters of a log, without what no database takes; None of an empty one."""
    return log.replace("\0", "\N{REPLACEMENT CHARACTER}")[-LOG_TAIL:] or None


def give_back(db: Database, principal: Principal, job_id: str, number: int, token: str) -> TrialState:
    """Returns a trial, for anybody to go on with: a machine is needed elsewhere. It counts as nothing. Answers its
    state. LeaseLost; NotFound.
    """
    with db.write() as connection:
        _job_of(connection, job_id)
        trial = _held(connection, principal, job_id, number, token)
        if trial.current:
            leases.release(connection, token)
            put_back(connection, trial.row.id)
            emit(connection, job_id, "trial_returned", {"trial": number, "worker": trial.row.worker_id})
            return TrialState.WAITING
        return TrialState(trial.row.state)


def unseal(db: Database, token: str, job_id: str, round_: int) -> None:
    """Opens what was said of the test part, of the estimates of a round, while their job is closed. LeaseLost."""
    with db.write() as connection:
        job, lease = leases.hold_with_job(connection, token)
        if lease.trial_id is not None or job.id != job_id or job.state != JobState.ANALYSING:
            raise LeaseLost("the test part is opened by whoever closes the job: drop the work")
        of_round = (trials.c.job_id == job_id) & (trials.c.stage == Stage.ESTIMATE) & (trials.c.round == round_)
        sealed = of_round & trials.c.sealed_test.is_not(None)
        connection.execute(update(trials).where(sealed).values(test_metrics=trials.c.sealed_test))


_OWN_ENDS = (TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED)


def _trains(principal: Principal) -> Any:
    """Of jobs: others train them, and this principal may."""
    of_others = jobs.c.trainer.is_not(None)
    return of_others if principal.may("admin") else of_others & (jobs.c.owner == principal.trains_of)


def _held(connection: Connection, principal: Principal, job_id: str, number: int, token: str) -> HeldTrial:
    current = select(held.c.token).where(held.c.trial_id == trials.c.id, held.c.token == token).exists()
    query = (
        select(trials, current.label("current"))
        .join(jobs, jobs.c.id == trials.c.job_id)
        .where(jobs.c.id == job_id, trials.c.number == number, _trains(principal))
    )
    row = connection.execute(query).one_or_none() if is_id(job_id) and 0 <= number <= LARGEST else None
    if row is None:
        raise NotFound(_NO_TRIAL)
    speaks = row.current or (row.last_token == token and (row.state in _OWN_ENDS or row.state == TrialState.WAITING))
    if not speaks:
        raise LeaseLost(
            f"this token does not speak for trial {number} any more: it was claimed by another since, or cancelled. "
            "Drop the work and claim again"
        )
    return HeldTrial(row, spec_of(connection.execute(select(jobs).where(jobs.c.id == job_id)).one()), bool(row.current))


def _speaking(connection: Connection, principal: Principal, job_id: str, number: int, token: str) -> HeldTrial:
    """As `_held`, to be written of: the lease is locked, or was taken again where the trial still waits for another."""
    locked = select(held.c.token).where(held.c.token == token, held.c.job_id == job_id).with_for_update()
    connection.execute(locked).one_or_none()
    trial = _held(connection, principal, job_id, number, token)
    if trial.current or trial.ended:
        return trial
    job = _job_of(connection, job_id)
    waits = (trials.c.id == trial.row.id) & (trials.c.state == TrialState.WAITING) & (trials.c.last_token == token)
    again = update(trials).where(waits).values(state=TrialState.RUNNING).returning(trials)
    row = connection.execute(again).one_or_none()
    if row is None:
        raise leases.lease_lost()
    stall = trial.spec.trainer.stall if trial.spec.trainer is not None else 0.0
    leases.grant(connection, job.id, row.id, row.worker_id or "late", LATE_SECONDS, stall, token)
    emit(connection, job_id, "trial_late", {"trial": number})
    return HeldTrial(row, trial.spec, True)


def _released(connection: Connection, principal: Principal, job: Row[Any], number: int, token: str) -> HeldTrial | None:
    """A trial whose lease was current and is ended by this, under its locked job; None where it was not current."""
    if job.trainer is None or not (principal.may("admin") or job.owner == principal.trains_of):
        raise NotFound(_NO_TRIAL)
    trial_id = connection.execute(_RELEASE, {"held": token, "job": job.id, "place": number}).scalar_one_or_none()
    if trial_id is None:
        return None
    row = connection.execute(select(trials).where(trials.c.id == trial_id)).one()
    return HeldTrial(row, spec_of(job), True)


_RELEASE = (
    delete(held)
    .where(held.c.token == bindparam("held"), held.c.job_id == bindparam("job"))
    .where(
        held.c.trial_id
        == select(trials.c.id)
        .where(trials.c.job_id == bindparam("job"), trials.c.number == bindparam("place"))
        .scalar_subquery()
    )
    .returning(held.c.trial_id)
)
_OF_TRIAL = select(reports.c.seconds).where(reports.c.trial_id == trials.c.id)
_SPENT = (
    func.coalesce(
        _OF_TRIAL.where(reports.c.epoch != bindparam("last"))
        .with_only_columns(func.sum(reports.c.seconds))
        .scalar_subquery(),
        0.0,
    ).label("before"),
    _OF_TRIAL.where(reports.c.epoch == bindparam("last")).scalar_subquery().label("said"),
)
"""Of a trial that completes at an epoch: seconds of the others, and of that one where it was reported before."""


def _job_of(connection: Connection, job_id: str) -> Row[Any]:
    job = lock_job(connection, job_id) if is_id(job_id) else None
    if job is None:
        raise NotFound(_NO_TRIAL)
    return job


def _end(
    connection: Connection,
    job_id: str,
    trial: HeldTrial,
    token: str,
    state: TrialState,
    values: Mapping[str, Any],
    tell: Tell | None,
) -> None:
    connection.execute(delete(held).where(held.c.token == token))
    job = reread(connection, job_id)
    row = trial_beside_best(connection, job, trial.row.id, values["value"] if state is TrialState.COMPLETED else None)
    end_and_tell(connection, job, row, state, values, tell)


def _same_end(trial: HeldTrial, state: TrialState) -> TrialState:
    """The state of a trial that has ended, where this is how. TrialEnded."""
    if trial.row.state != state:
        raise TrialEnded(f"trial {trial.row.number} has ended already, as {trial.row.state}: claim the next one")
    return state


def _check_result(trial: HeldTrial, result: OwnReport, test: Mapping[str, float] | None) -> None:
    check_reports(trial.spec, [result])
    if test is not None and trial.row.stage != Stage.ESTIMATE:
        raise ReportRefused(
            f"trial {trial.row.number} is of stage {trial.row.stage}: test values are asked for in estimates alone, "
            "where the claim says test: true. Leave test out, and read the test part for nothing else"
        )
    if test is not None:
        value_of(trial.spec, test)


def _insert(connection: Connection, trial: Row[Any], entries: Iterable[OwnReport]) -> None:
    rows = [{"trial_id": trial.id, "attempt": trial.attempt, **row_of(entry)} for entry in entries]
    insert_or_ignore = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(reports)
    connection.execute(insert_or_ignore.values(reported_at=now_sql()).on_conflict_do_nothing(), rows)


def _move_on(connection: Connection, trial_id: int, last: OwnReport) -> None:
    behind = (trials.c.id == trial_id) & (trials.c.epoch < last.epoch)
    connection.execute(update(trials).where(behind).values(epoch=last.epoch, metrics=dict(last.metrics)))


def _keep_resume(connection: Connection, trial_id: int, resume: Resume) -> None:
    reported = select(reports.c.epoch).where(reports.c.trial_id == trial_id, reports.c.epoch == resume.epoch)
    if connection.execute(reported).one_or_none() is None:
        raise ReportRefused(f"resume.epoch is {resume.epoch}, of which nothing was reported: report that epoch first")
    values = {"resume": resume.at, "checkpoint_epoch": resume.epoch}
    connection.execute(update(trials).where(trials.c.id == trial_id).values(**values))


def _seconds(connection: Connection, trial_id: int) -> float:
    spent = select(func.sum(reports.c.seconds)).where(reports.c.trial_id == trial_id)
    return float(connection.execute(spent).scalar_one() or 0.0)


def _pause_after_crashes(connection: Connection, job: Row[Any], reason: Reason) -> None:
    """Counted from the job's last change of state on: who resumes it begins anew."""
    changed = select(func.max(events.c.at)).where(events.c.job_id == job.id, events.c.kind == "state")
    since = func.coalesce(changed.scalar_subquery(), 0.0)
    of_endings = (trials.c.job_id == job.id) & trials.c.state.in_(_OWN_ENDS) & (trials.c.ended_at >= since)
    newest = (
        select(trials.c.reason).where(of_endings).order_by(trials.c.ended_at.desc(), trials.c.id.desc()).limit(CRASHES)
    )
    reasons = connection.scalars(newest).all()
    crashed = [reason for reason in reasons if reason is not None and reason["type"] == "crashed"]
    if len(crashed) == CRASHES and job.state in (JobState.RUNNING, *CLOSING):
        detail = f"{CRASHES} trials in a row crashed; the last one by {reason.detail}"
        attempts.pause(connection, job, Reason("crashed", detail))
