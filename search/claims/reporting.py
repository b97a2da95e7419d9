"""The ledger of workers' reports, ends of trials and teacher's facts, each write fenced by its lease's token."""

from __future__ import annotations

import math
import operator
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from search import configurations
from search.claims import attempts, leases, lifecycle
from search.claims.lifecycle import end_trial, move, spec_of
from search.claims.worker_loss import named, put_back
from search.records import Reason
from search.spec.objective import ObjectiveSpec
from search.states import TERMINAL_TRIALS, Arm, JobState, Stage, TrialState
from search.storage import tables
from search.storage.db import Database, now_sql
from search.storage.events import emit
from search.storage.rows import reason_json, reason_of
from search.storage.tables import jobs, reports, trials
from trainers.spec import Configuration, EpochReport, Metrics, TeacherFacts, to_jsonable

OPEN_TRIALS = (TrialState.WAITING, TrialState.RUNNING)


@dataclass(frozen=True, slots=True)
class Unmirrored:
    """A trial that has ended here and not yet in Optuna's tables; `worst` is told of one that diverged."""

    trial_id: int
    job_id: str
    arm: Arm
    optuna_number: int
    state: TrialState
    value: float | None
    epoch: int
    reason: Reason | None
    worst: float


def attach(
    db: Database,
    token: str,
    trial_id: int,
    optuna_number: int | Callable[[Connection], int],
    configuration: Configuration,
) -> int:
    """Writes down what to train and its number in Optuna's study, which later attempts keep; answers it. LeaseLost.

    A number that is callable writes Optuna's side in the same transaction. A number that is there already stays: a
    caller may repeat itself after DatabaseUnavailable.
    """
    of_trial = trials.c.id == trial_id
    with db.write() as connection:
        before = leases.hold_trial(connection, token, trial_id).optuna_number
        if before is not None:
            return int(before)
        number = optuna_number(connection) if callable(optuna_number) else optuna_number
        values = {"optuna_number": number, "configuration": configurations.to_json(configuration)}
        connection.execute(update(trials).where(of_trial).values(**values))
    return number


def report(db: Database, token: str, trial_id: int, epoch_report: EpochReport) -> None:
    """Writes one epoch down. LeaseLost; otherwise as `report_all`."""
    if report_all(db, [(token, trial_id, epoch_report)]):
        raise leases.lease_lost()


def report_all(db: Database, entries: Iterable[tuple[str, int, EpochReport]]) -> set[str]:
    """Writes epochs of many trials down in one transaction: (token, trial_id, report) each.

    Answers the tokens that are lost; of those nothing is written. Saying the same epoch twice is harmless, so a caller
    may repeat itself after DatabaseUnavailable. ValueError for a number that is not finite: that student has diverged.
    """
    by_lease: dict[tuple[str, int], list[EpochReport]] = {}
    for token, trial_id, epoch_report in entries:
        _check_finite(
            epoch_report.train_loss,
            epoch_report.learning_rate,
            epoch_report.seconds,
            *to_jsonable(epoch_report.validation).values(),
        )
        by_lease.setdefault((token, trial_id), []).append(epoch_report)
    with db.write() as connection:
        locked_leases = select(tables.leases).where(tables.leases.c.token.in_({token for token, _ in by_lease}))
        locked = connection.execute(locked_leases.order_by(tables.leases.c.subject).with_for_update())
        current = by_lease.keys() & {(lease.token, lease.trial_id) for lease in locked}
        if current:
            _write_reports(connection, {trial_id: by_lease[token, trial_id] for token, trial_id in current})
    return {token for token, _ in by_lease.keys() - current}


def _write_reports(connection: Connection, by_trial: Mapping[int, Sequence[EpochReport]]) -> None:
    """Three statements for any number of trials: a bank says an epoch of all its lanes at once."""
    rows = connection.execute(select(trials.c.id, trials.c.attempt).where(trials.c.id.in_(by_trial)))
    _insert_reports(connection, by_trial, {row.id: row.attempt for row in rows})
    last = {
        trial_id: max(reported, key=lambda epoch_report: epoch_report.epoch) for trial_id, reported in by_trial.items()
    }
    behind = (trials.c.id == bindparam("of")) & (trials.c.epoch < bindparam("last"))
    connection.execute(
        update(trials).where(behind).values(epoch=bindparam("last"), metrics=bindparam("said")),
        [
            {"of": trial_id, "last": epoch_report.epoch, "said": to_jsonable(epoch_report.validation)}
            for trial_id, epoch_report in last.items()
        ],
    )


def _insert_reports(
    connection: Connection, by_trial: Mapping[int, Sequence[EpochReport]], attempts: Mapping[int, int]
) -> None:
    rows = [
        {
            "trial_id": trial_id,
            "epoch": epoch_report.epoch,
            "attempt": attempts[trial_id],
            "train_loss": epoch_report.train_loss,
            "learning_rate": epoch_report.learning_rate,
            "seconds": epoch_report.seconds,
            **_columns(epoch_report.validation),
        }
        for trial_id, reported in by_trial.items()
        for epoch_report in reported
    ]
    insert_or_ignore = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(reports)
    connection.execute(insert_or_ignore.values(reported_at=now_sql()).on_conflict_do_nothing(), rows)


def _columns(metrics: Metrics) -> dict[str, Any]:
    """Metrics as columns of `reports`; all of them together too where one has no column."""
    measured = to_jsonable(metrics)
    columns = {name: value for name, value in measured.items() if name in reports.c}
    return {**columns, "metrics": measured if len(columns) < len(measured) else None}


def finish(
    db: Database,
    token: str,
    trial_id: int,
    state: TrialState,
    *,
    value: float | None = None,
    metrics: Metrics | None = None,
    reason: Reason | None = None,
    train_seconds: float = 0.0,
    epoch_reports: Sequence[EpochReport] = (),
    tell: Callable[[Connection], object] | None = None,
) -> None:
    """Ends a trial as completed (with its value), pruned or failed (with a reason), and its lease. LeaseLost.

    In the same transaction its last epochs, `epoch_reports`, are written down, `tell` tells Optuna of the end, if it
    can, and the job goes on: its next stage is planned, or its state changes, if this was the last. ValueError for a
    number that is not finite and for a completed trial without a value.
    """
    if state not in (TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED):
        raise ValueError(f"a worker cannot end a trial as {state}")
    if state is TrialState.COMPLETED and value is None:
        raise ValueError("a completed trial has a value")
    _check_finite(train_seconds, *([] if value is None else [value]))
    values: dict[str, Any] = {"value": value, "reason": reason_json(reason), "train_seconds": train_seconds}
    if metrics is not None:
        values["metrics"] = to_jsonable(metrics)
        _check_finite(*values["metrics"].values())
    with db.write() as connection:
        job = leases.end(connection, token, trial_id)
        trial = trial_beside_best(connection, job, trial_id, value if state is TrialState.COMPLETED else None)
        if epoch_reports:
            _insert_reports(connection, {trial_id: epoch_reports}, {trial_id: trial.attempt})
            last = max(epoch_reports, key=lambda epoch_report: epoch_report.epoch)
            if last.epoch > trial.epoch:
                values = {"epoch": last.epoch, "metrics": to_jsonable(last.validation)} | values
        end_and_tell(connection, job, trial, state, values, tell)


def trial_beside_best(
    connection: Connection,
    job: Row[Any],
    trial_id: int,
    value: float | None,
    columns: Sequence[ColumnElement[Any]] = (),
    parameters: Mapping[str, Any] = types.MappingProxyType({}),
) -> Row[Any]:
    """A trial's row; where it is about to complete with a `value`, also whether that is the search's `best`, and what
    else is to be known then: `columns`, with their `parameters`.
    """
    if value is None:
        return connection.execute(_TRIAL, {"trial": trial_id}).one()
    beside = _BESIDE_BEST[spec_of(job).objective.direction].add_columns(*columns)
    return connection.execute(beside, {"trial": trial_id, "job": job.id, "value": value, **parameters}).one()


def end_and_tell(
    connection: Connection,
    job: Row[Any],
    trial: Row[Any],
    state: TrialState,
    values: Mapping[str, Any],
    tell: Callable[[Connection], object] | None,
) -> None:
    """Ends a trial that `trial_beside_best` has answered, whose lease has been ended, and tells Optuna by `tell`."""
    if state is TrialState.COMPLETED and trial.best and trial.stage == Stage.SEARCH:
        payload = {"trial": trial.number, "value": values["value"], "metric": spec_of(job).objective.metric}
        emit(connection, job.id, "best", payload | {"configuration": trial.configuration})
    end_trial(connection, job, trial, state, values, in_transaction=tell is not None)
    if tell is not None:
        tell(connection)


def _beside_best(better: Callable[[Any, Any], Any]) -> Select[Any]:
    """A trial, and whether no trial that the job's search has completed comes up to a value."""
    rivals = trials.alias()
    completed = (rivals.c.job_id == bindparam("job")) & (rivals.c.stage == Stage.SEARCH)
    completed &= (rivals.c.state == TrialState.COMPLETED) & rivals.c.imported.is_(None)
    beaten = exists().where(completed, better(rivals.c.value, bindparam("value")))
    return _TRIAL.add_columns((~beaten).label("best"))


_TRIAL = select(trials).where(trials.c.id == bindparam("trial"))
_BESIDE_BEST = {"maximize": _beside_best(operator.ge), "minimize": _beside_best(operator.le)}


def set_teacher(db: Database, token: str, facts: TeacherFacts, refusal: Reason | None = None) -> bool:
    """Writes down what the job's teacher is worth, the first time that somebody knows it, and ends the job there where
    that is a reason to refuse it; answers whether it goes on. A job whose teacher is known has trials, and goes on.
    LeaseLost.
    """
    with db.write() as connection:
        job, _ = leases.hold_with_job(connection, token)
        if job.teacher is not None:
            return True
        document = to_jsonable(facts)
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(teacher=document))
        emitted = emit(connection, job.id, "teacher_ready", document)
        if refusal is not None:
            _fail(connection, emitted, refusal)
        return refusal is None


def fail_job(db: Database, token: str, reason: Reason) -> JobState:
    """Ends the whole job: it cannot be trained as specified, here or elsewhere. Every lease of it goes. Answers what
    it is now. LeaseLost.
    """
    with db.write() as connection:
        job, _ = leases.hold_with_job(connection, token)
        return _fail(connection, job, reason)


def _fail(connection: Connection, job: Row[Any], reason: Reason) -> JobState:
    lifecycle.drop_leases(connection, job.id)
    lifecycle.cancel_trials(connection, job.id, Stage, OPEN_TRIALS)
    return JobState(move(connection, job, JobState.FAILED, reason).state)


def suspend_job(db: Database, token: str, reason: Reason) -> JobState:
    """Pauses a job for what this machine lacks, where trials of it were trained already: they are paid for, and it
    could be trained. Where none was it fails, as by `fail_job`. Answers what it is now. LeaseLost.
    """
    has_results = exists().where(
        trials.c.job_id == jobs.c.id, trials.c.state.in_((TrialState.COMPLETED, TrialState.PRUNED))
    )
    with db.write() as connection:
        job, lease = leases.hold_with_job(connection, token)
        if not connection.execute(select(has_results).where(jobs.c.id == job.id)).scalar_one():
            return _fail(connection, job, reason)
        leases.release(connection, token)
        if lease.trial_id is not None:
            trial = put_back(connection, lease.trial_id)
            job = emit(connection, job.id, "trial_returned", {"trial": trial.number, "worker": lease.worker_id})
        if job.state == JobState.PAUSED:
            return JobState.PAUSED
        place = named(connection, lease.worker_id)
        return JobState(attempts.pause(connection, job, Reason(reason.type, f"{reason.detail} (on {place})")).state)


def unmirrored(db: Database, limit: int = 100) -> list[Unmirrored]:
    """Ended trials that Optuna has not been told of, the oldest first."""
    objective = jobs.c.spec["objective"].label("objective")
    behind = (trials.c.mirrored.is_(False)) & trials.c.optuna_number.is_not(None)
    query = (
        select(trials, objective)
        .join(jobs, jobs.c.id == trials.c.job_id)
        .where(behind, trials.c.state.in_(TERMINAL_TRIALS))
        .order_by(trials.c.id)
        .limit(limit)
    )
    with db.read() as connection:
        return [
            Unmirrored(
                trial_id=row.id,
                job_id=row.job_id,
                arm=Arm(row.arm),
                optuna_number=row.optuna_number,
                state=TrialState(row.state),
                value=row.value,
                epoch=row.epoch,
                reason=reason_of(row.reason),
                worst=ObjectiveSpec.model_validate(row.objective or {}).worst,
            )
            for row in connection.execute(query)
        ]


def mark_mirrored(db: Database, trial_id: int) -> None:
    """Notes that a trial's end stands in Optuna's tables; no lease is needed to say what is so."""
    with db.write() as connection:
        connection.execute(update(trials).where(trials.c.id == trial_id).values(mirrored=True))


def _check_finite(*numbers: float) -> None:
    if not all(map(math.isfinite, numbers)):
        raise ValueError("only finite numbers are remembered: end this trial as failed, with reason diverged")
