"""What does a worker take, and what does it leave behind? Every write is fenced by the token of its lease.

Our tables are the truth and Optuna's are told afterwards: a trial is claimed here (budget and lease in one
transaction), then Optuna is asked, then the number that it gave is attached here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from search import configurations, leases, lifecycle, plan, tables
from search.db import Database, now_sql
from search.events import emit
from search.lifecycle import advance, end_trial, lock_job, move, reread, spec_of
from search.records import Reason
from search.rows import reason_json, reason_of
from search.spec import JobSpec
from search.states import TERMINAL_TRIALS, Arm, JobState, Stage, TrialState
from search.tables import jobs, reports, trials
from trainers.spec import Configuration, EpochReport, Metrics, TeacherFacts

CLAIMABLE = (JobState.QUEUED, JobState.RUNNING, JobState.CONFIRMING)
OPEN_TRIALS = (TrialState.WAITING, TrialState.RUNNING)
Fixed = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that is the worker's to train, as long as it renews `token`.

    Where `optuna_number` is None and the stage is search or baseline, Optuna is to be asked and the answer attached;
    where it is not, an earlier attempt has asked and `configuration` is what it was told. `seed` is the student's.
    """

    job_id: str
    trial_id: int
    number: int
    stage: Stage
    arm: Arm
    variant: str | None
    round: int
    seed: int
    attempt: int
    token: str
    configuration: Configuration | None
    optuna_number: int | None
    spec: JobSpec
    fixed: Fixed


@dataclass(frozen=True, slots=True)
class Unmirrored:
    """A trial that has ended here and not yet in Optuna's tables."""

    trial_id: int
    job_id: str
    arm: Arm
    optuna_number: int
    state: TrialState
    value: float | None
    epoch: int
    reason: Reason | None
    metric: str


def claim(
    db: Database,
    worker_id: str,
    lease_seconds: float,
    *,
    fixed: Callable[[JobSpec], Fixed],
    allowed: Callable[[JobSpec, Fixed | None], bool] | None = None,
) -> Claim | None:
    """Takes the next trial, of the job with the fewest running trials, the oldest of them; None where there is none.

    `fixed` says what all trials of a job share beyond its spec (views, precision, ...), and is asked by the job's first
    claim alone. `allowed` lets a worker decline a job, given its spec and what was fixed (None before the first
    claim); both are called within a transaction and must be quick.
    """
    with db.read() as connection:
        held = func.count(tables.leases.c.subject)
        candidates = (
            select(jobs.c.id)
            .outerjoin(tables.leases, tables.leases.c.job_id == jobs.c.id)
            .where(jobs.c.state.in_(CLAIMABLE))
            .group_by(jobs.c.id, jobs.c.created_at)
            .order_by(held, jobs.c.created_at, jobs.c.id)
        )
        job_ids = list(connection.scalars(candidates))
    # First what nobody else is deciding about; then, rather than nothing, what is worth waiting for.
    for skip_locked in (True, False):
        busy = []
        for job_id in job_ids:
            with db.write() as connection:
                job = lock_job(connection, job_id, skip_locked=skip_locked)
                if job is None:
                    busy.append(job_id)
                elif (taken := _claim_of(connection, job, worker_id, lease_seconds, fixed, allowed)) is not None:
                    return taken
        job_ids = busy
    return None


def _claim_of(
    connection: Connection,
    job: Row[Any],
    worker_id: str,
    lease_seconds: float,
    fixed: Callable[[JobSpec], Fixed],
    allowed: Callable[[JobSpec, Fixed | None], bool] | None,
) -> Claim | None:
    if job.state not in CLAIMABLE:
        return None
    spec = spec_of(job)
    if allowed is not None and not allowed(spec, job.fixed):
        return None
    trial_id = _waiting(connection, job.id)
    if trial_id is None:
        new = advance(connection, job)
        trial_id = _waiting(connection, job.id) if new is None else _insert(connection, job, spec, new)
    if trial_id is None:
        return None
    job = reread(connection, job.id)
    if job.state == JobState.QUEUED:
        job = move(connection, job, JobState.RUNNING)
    shared = job.fixed if job.fixed is not None else dict(fixed(spec))
    if job.fixed is None:
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(fixed=shared))
    return _begin(connection, trial_id, worker_id, lease_seconds, spec, shared)


def _waiting(connection: Connection, job_id: str) -> int | None:
    waiting = select(trials.c.id).where(trials.c.job_id == job_id, trials.c.state == TrialState.WAITING)
    return connection.execute(waiting.order_by(trials.c.number).limit(1)).scalar_one_or_none()


def _insert(connection: Connection, job: Row[Any], spec: JobSpec, new: plan.NewTrial) -> int:
    """A new trial of the search or of a tuned baseline; the search's is paid for out of the budget."""
    number = lifecycle.take_numbers(connection, job.id, 1)
    if new.stage is Stage.SEARCH:
        paid = {"search_trials": jobs.c.search_trials + 1, "search_epochs": jobs.c.search_epochs + spec.training.epochs}
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(**paid))
    values = {
        "job_id": job.id,
        "number": number,
        "stage": new.stage,
        "arm": new.arm,
        "round": job.round,
        "seed": plan.trial_seed(spec.seed, number),
        "state": TrialState.WAITING,
        "created_at": now_sql(),
    }
    trial_id: int = connection.execute(insert(trials).values(**values).returning(trials.c.id)).scalar_one()
    return trial_id


def _begin(
    connection: Connection, trial_id: int, worker_id: str, lease_seconds: float, spec: JobSpec, shared: Fixed
) -> Claim:
    begun = {
        "state": TrialState.RUNNING, "attempt": trials.c.attempt + 1, "worker_id": worker_id, "started_at": now_sql(),
        "epoch": 0, "value": None, "metrics": None, "train_seconds": 0.0,
    }  # fmt: skip
    trial = connection.execute(update(trials).where(trials.c.id == trial_id).values(**begun).returning(trials)).one()
    connection.execute(delete(reports).where(reports.c.trial_id == trial_id))  # an earlier attempt's
    token = leases.grant(connection, trial.job_id, trial_id, worker_id, lease_seconds)
    told = {"trial": trial.number, "stage": trial.stage, "arm": trial.arm, "attempt": trial.attempt}
    emit(connection, trial.job_id, "trial_started", told | {"worker": worker_id})
    return Claim(
        job_id=trial.job_id,
        trial_id=trial_id,
        number=trial.number,
        stage=Stage(trial.stage),
        arm=Arm(trial.arm),
        variant=trial.variant,
        round=trial.round,
        seed=trial.seed,
        attempt=trial.attempt,
        token=token,
        configuration=None if trial.configuration is None else configurations.from_json(trial.configuration),
        optuna_number=trial.optuna_number,
        spec=spec,
        fixed=shared,
    )


def attach(db: Database, token: str, trial_id: int, optuna_number: int, configuration: Configuration) -> None:
    """Writes down what Optuna answered: its number, which later attempts keep, and what to train. LeaseLost."""
    values = {"optuna_number": optuna_number, "configuration": configurations.to_json(configuration)}
    with db.write() as connection:
        leases.hold(connection, token, trial_id)
        connection.execute(update(trials).where(trials.c.id == trial_id).values(**values))


def report(db: Database, token: str, trial_id: int, said: EpochReport) -> None:
    """Writes one epoch down. LeaseLost; otherwise as `report_all`."""
    if report_all(db, [(token, trial_id, said)]):
        raise leases.lost()


def report_all(db: Database, entries: Iterable[tuple[str, int, EpochReport]]) -> set[str]:
    """Writes epochs of many trials down in one transaction: (token, trial_id, report) each.

    Answers the tokens that are lost; of those nothing is written. Saying the same epoch twice is harmless, so a caller
    may repeat itself after DatabaseUnavailable. ValueError for a number that is not finite: that student has diverged.
    """
    by_lease: dict[tuple[str, int], list[EpochReport]] = {}
    for token, trial_id, said in entries:
        _check_finite(said.train_loss, said.learning_rate, said.seconds, *dataclasses.astuple(said.validation))
        by_lease.setdefault((token, trial_id), []).append(said)
    with db.write() as connection:
        held = select(tables.leases).where(tables.leases.c.token.in_({token for token, _ in by_lease}))
        locked = connection.execute(held.order_by(tables.leases.c.subject).with_for_update())
        current = by_lease.keys() & {(lease.token, lease.trial_id) for lease in locked}
        if current:
            _write_reports(connection, {trial_id: by_lease[token, trial_id] for token, trial_id in current})
    return {token for token, _ in by_lease.keys() - current}


def _write_reports(connection: Connection, said: Mapping[int, Sequence[EpochReport]]) -> None:
    """Three statements for any number of trials: a bank says an epoch of all its lanes at once."""
    held = connection.execute(select(trials.c.id, trials.c.attempt).where(trials.c.id.in_(said)))
    attempts = {row.id: row.attempt for row in held}
    at = lifecycle.now(connection)
    rows = [
        {
            "trial_id": trial_id, "epoch": one.epoch, "attempt": attempts[trial_id], "train_loss": one.train_loss,
            "learning_rate": one.learning_rate, "seconds": one.seconds, "reported_at": at,
            **dataclasses.asdict(one.validation),
        }
        for trial_id, reported in said.items()
        for one in reported
    ]  # fmt: skip
    insert_or_ignore = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(reports)
    connection.execute(insert_or_ignore.on_conflict_do_nothing(), rows)
    last = {trial_id: max(reported, key=lambda one: one.epoch) for trial_id, reported in said.items()}
    behind = (trials.c.id == bindparam("of")) & (trials.c.epoch < bindparam("last"))
    connection.execute(
        update(trials).where(behind).values(epoch=bindparam("last"), metrics=bindparam("said")),
        [
            {"of": trial_id, "last": one.epoch, "said": dataclasses.asdict(one.validation)}
            for trial_id, one in last.items()
        ],
    )


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
) -> None:
    """Ends a trial as completed (with its value), pruned or failed (with a reason), and its lease. LeaseLost.

    The job goes on in the same transaction: its next stage is planned, or its state changes, if this was the last.
    ValueError for a number that is not finite and for a completed trial without a value.
    """
    if state not in (TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED):
        raise ValueError(f"a worker cannot end a trial as {state}")
    if state is TrialState.COMPLETED and value is None:
        raise ValueError("a completed trial has a value")
    _check_finite(train_seconds, *([] if value is None else [value]))
    values: dict[str, Any] = {"value": value, "reason": reason_json(reason), "train_seconds": train_seconds}
    if metrics is not None:
        _check_finite(*dataclasses.astuple(metrics))
        values["metrics"] = dataclasses.asdict(metrics)
    with db.write() as connection:
        job, _ = leases.hold_with_job(connection, token, trial_id)
        trial = connection.execute(select(trials).where(trials.c.id == trial_id)).one()
        if state is TrialState.COMPLETED and value is not None and trial.stage == Stage.SEARCH:
            _tell_if_best(connection, job, trial, value)
        leases.release(connection, token)
        end_trial(connection, job, trial, state, values)


def _tell_if_best(connection: Connection, job: Row[Any], trial: Row[Any], value: float) -> None:
    metric = spec_of(job).objective
    better = trials.c.value >= value if metric.direction == "maximize" else trials.c.value <= value
    done = (trials.c.job_id == job.id) & (trials.c.stage == Stage.SEARCH) & (trials.c.state == TrialState.COMPLETED)
    if not connection.execute(select(exists().where(done, better))).scalar_one():
        told = {"trial": trial.number, "value": value, "metric": metric.metric, "configuration": trial.configuration}
        emit(connection, job.id, "best", told)


def set_teacher(db: Database, token: str, facts: TeacherFacts) -> None:
    """Writes down what the job's teacher is worth, the first time that somebody knows it. LeaseLost."""
    with db.write() as connection:
        job, _ = leases.hold_with_job(connection, token)
        if job.teacher is None:
            document = dataclasses.asdict(facts)
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(teacher=document))
            emit(connection, job.id, "teacher_ready", document)


def fail_job(db: Database, token: str, reason: Reason) -> None:
    """Ends the whole job: it cannot be trained as specified, here or elsewhere. Every lease of it goes. LeaseLost."""
    with db.write() as connection:
        job, _ = leases.hold_with_job(connection, token)
        lifecycle.drop_leases(connection, job.id)
        lifecycle.cancel_trials(connection, job.id, Stage, OPEN_TRIALS)
        move(connection, job, JobState.FAILED, reason)


def unmirrored(db: Database, limit: int = 100) -> list[Unmirrored]:
    """Ended trials that Optuna has not been told of, the oldest first."""
    metric = jobs.c.spec[("objective", "metric")].as_string().label("metric")
    behind = (trials.c.mirrored.is_(False)) & trials.c.optuna_number.is_not(None)
    query = (
        select(trials, metric)
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
                metric=row.metric,
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
