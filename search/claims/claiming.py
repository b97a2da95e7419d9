"""Claims of trials by workers: budget, share and lease in one transaction.

Our tables are the truth and Optuna's are told afterwards: a trial is claimed here, then Optuna is asked, then the
number that it gave is attached in the ledger.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, exists, func, or_, select, update

from search import configurations
from search.claims import checkpointing, leases, new_trials, quotas, trial_counts
from search.claims.lifecycle import advance, lock_job, move, reread, spec_of
from search.claims.turns import CLAIMABLE, Waiting, select_waiting, turns
from search.claims.worker_loss import SUSPECT
from search.errors import Unreadable
from search.spec.job import JobSpec
from search.states import Arm, JobState, Stage, TrialState
from search.storage import tables
from search.storage.db import Database, now_sql
from search.storage.events import emit
from search.storage.tables import jobs, trials
from trainers.spec import Configuration

BUILT_IN = jobs.c.trainer.is_(None)
"""Of jobs: our own workers train them."""
PATIENCE_LEASES = 20  # lease periods since a suspect's last attempt began, after which a busy worker takes it too
Fixed = Mapping[str, Any]
CapacityCheck = Callable[[str, JobSpec, Fixed | None, Stage, Sequence[Stage], int], bool]
"""From a job's id, its spec, what was fixed (None before its first claim), a stage, the stages of what is taken
together with it, and how many trials of that stage any worker has under way, none where the next one depends on none of
them (`trial_counts.startup_trials`): whether this one takes one more."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that is the worker's to train, as long as it renews `token`.

    Where `optuna_number` is None and the stage is search or baseline, Optuna is to be asked and the answer attached;
    where it is not, an earlier attempt has asked and `configuration` is what it was told. `seed` is the student's.
    With a `checkpoint`, the name of a folder, it goes on where `epoch` epochs, which took `seconds`, are behind it.
    `advice` says who advised the `configuration`, which Optuna then only hears of.
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
    suspect: bool = False  # workers were lost over it: it is trained alone
    request_id: str | None = None  # what the request was called that submitted the job
    traceparent: str | None = None  # the span of the job's submission
    checkpoint: str | None = None
    epoch: int = 0
    seconds: float = 0.0
    advice: Mapping[str, Any] | None = None
    resume: str | None = None  # of others' programs: where they go on from, in their own words

    @property
    def heard(self) -> bool:
        """Whether it is known what is trained, and Optuna has nothing to hear: it was planned, or an earlier attempt
        has asked. What was advised, and what is of a grid, Optuna has yet to be told.
        """
        if self.configuration is None or self.optuna_number is not None:
            return self.configuration is not None
        of_grid = self.spec.grid is not None and self.stage in (Stage.SEARCH, Stage.BASELINE)
        return self.advice is None and not of_grid


def claim(
    db: Database,
    worker_id: str,
    lease_seconds: float,
    *,
    fixed: Callable[[JobSpec], Fixed],
    allowed: Callable[[JobSpec, Fixed | None], bool] | None = None,
) -> Claim | None:
    """Takes the next trial, of the job whose turn it is; None where there is none.

    `fixed` says what all trials of a job share beyond its spec (views, precision, ...), and is asked by the job's first
    claim alone, before its transaction. `allowed` lets a worker decline a job, given its spec and what was fixed (None
    before the first claim); it is called within the transaction and must be quick.
    """

    def room(_job_id: str, spec: JobSpec, shared: Fixed | None, *_: object) -> bool:
        return allowed is None or allowed(spec, shared)

    claims = claim_many(db, worker_id, lease_seconds, 1, fixed=fixed, room=room)
    return claims[0] if claims else None


def claim_many(
    db: Database,
    worker_id: str,
    lease_seconds: float,
    most: int,
    *,
    fixed: Callable[[JobSpec], Fixed],
    room: CapacityCheck,
    criteria: ColumnElement[bool] = BUILT_IN,
) -> list[Claim]:
    """Takes the next trials of one job in one transaction, as `claim` would one by one: at most `most`; of the jobs for
    which `criteria` hold.

    Where several jobs wait, it takes each one's share of `most`, at least one, so that a caller that comes again deals
    out its lanes in turn; a study's cells have one share together. `room` is asked within the transaction and must be
    quick; of a job that nobody has begun it is asked before, too: what takes its time then is done, and remembered,
    while no lock is held.
    """
    with db.look() as connection:
        statement = _WAITING if criteria is BUILT_IN else select_waiting(criteria)
        rows = connection.execute(statement, {"worker": worker_id}).mappings().all()
    in_turn = turns([Waiting(**row) for row in rows])
    # First what nobody else is deciding about; then, rather than nothing, what is worth waiting for.
    for skip_locked in (True, False):
        busy = []
        for turn in in_turn:
            first = None
            if turn.unbegun and (first := _beginning(db, turn.job_id, fixed, room)) is None:
                continue
            with suppress(Unreadable), db.write() as connection:  # one such job keeps nobody from the others
                job = lock_job(connection, turn.job_id, quotas.limits_parallel(), skip_locked=skip_locked)
                if job is None:
                    busy.append(turn)
                elif claims := _claims_of(connection, job, worker_id, lease_seconds, turn.share(most), first, room):
                    return claims
        in_turn = busy
    return []


def take_up(
    db: Database, worker_id: str, lease_seconds: float, most: int, criteria: ColumnElement[bool]
) -> list[Claim]:
    """The trials that a program of others holds already, once more: each a new attempt, whose token ends the old one.

    So an answer that was lost on its way is asked for again, and a program that began anew goes on with its own.
    """
    mine = (tables.leases.c.worker_id == worker_id) & tables.leases.c.trial_id.is_not(None) & criteria
    of_jobs = select(tables.leases.c.job_id).join(jobs, jobs.c.id == tables.leases.c.job_id).where(mine).distinct()
    taker, claims = _Taker(worker_id, lease_seconds), list[Claim]()
    with db.look() as connection:
        job_ids = sorted(connection.scalars(of_jobs))
    for job_id in job_ids:
        with suppress(Unreadable), db.write() as connection:
            job = lock_job(connection, job_id)
            if job is None:
                continue
            spec = spec_of(job)
            owned = (
                select(tables.leases).join(jobs, jobs.c.id == tables.leases.c.job_id).where(mine, jobs.c.id == job_id)
            )
            locked = owned.order_by(tables.leases.c.subject).limit(most - len(claims)).with_for_update(of=tables.leases)
            for lease in connection.execute(locked).all():
                leases.release(connection, lease.token)
                again = update(trials).where(trials.c.id == lease.trial_id)
                again = again.values(attempt=trials.c.attempt + 1, **new_trials.token(spec))
                trial = connection.execute(again.returning(trials)).one()
                claims.append(_begin(connection, trial, taker, spec, job)[0])
    return claims


def _beginning(db: Database, job_id: str, fixed: Callable[[JobSpec], Fixed], room: CapacityCheck) -> Fixed | None:
    """What a job that nobody has begun is fixed to if this worker makes its first claim; None if it has no room."""
    with db.look() as connection:
        job = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
    if job is None:
        return None
    try:
        spec = spec_of(job)
    except Unreadable:
        return None
    return dict(fixed(spec)) if room(job_id, spec, None, Stage.SEARCH, [], 0) else None


# What every claim says is built once: SQLAlchemy takes as long to put it together as PostgreSQL to answer.
_WAITING = select_waiting(BUILT_IN)
_OPEN = (
    select(trials.c.stage, trials.c.state, func.count())
    .where(trials.c.job_id == bindparam("job"), trials.c.state.in_((TrialState.RUNNING, TrialState.WAITING)))
    .group_by(trials.c.stage, trials.c.state)
)


def _claims_of(
    connection: Connection,
    job: Row[Any],
    worker_id: str,
    lease_seconds: float,
    most: int,
    first: Fixed | None,
    room: CapacityCheck,
) -> list[Claim]:
    if job.fixed is None and first is None:
        return []
    spec, claims, taker = spec_of(job), list[Claim](), _Taker(worker_id, lease_seconds)
    running, any_waits = _open(connection, job.id)

    def fits(stage: Stage, number: int) -> bool:
        together = [claim.stage for claim in claims]
        under_way = running.get(stage, 0) + together.count(stage)
        depends = number >= trial_counts.startup_trials(spec)
        return room(job.id, spec, job.fixed, stage, together, under_way if depends else 0)

    most = _cap(connection, job, most, sum(running.values()))
    while len(claims) < most and job.state in CLAIMABLE and not (claims and claims[-1].suspect):
        waits = any_waits or bool(claims)  # those behind the first look again
        trial, job, costs = _next_of(connection, job, spec, fits, taker, waits)
        if trial is None:
            break
        if job.state == JobState.QUEUED:
            job = move(connection, job, JobState.RUNNING)
        if job.fixed is None:
            costs = {**costs, "fixed": first}
        claim, job = _begin(connection, trial, taker, spec, job, costs)
        claims.append(claim)
    return claims


def _cap(connection: Connection, job: Row[Any], most: int, running: int) -> int:
    """How many of `most` trials the job and its owner may begin, with so many of the job's under way."""
    limits = [most] if job.most_parallel is None else [most, job.most_parallel - running]
    of_owner = quotas.parallel_left(connection, job.owner) if job.limits_parallel else None
    return min(limits) if of_owner is None else min(*limits, of_owner)


def _open(connection: Connection, job_id: str) -> tuple[dict[Stage, int], bool]:
    """How many of a job's trials of each stage run, and whether any waits."""
    counts = connection.execute(_OPEN, {"job": job_id}).all()
    running = {Stage(stage): number for stage, state, number in counts if state == TrialState.RUNNING}
    return running, any(state == TrialState.WAITING for _, state, _ in counts)


@dataclass(frozen=True, slots=True)
class _Taker:
    """Who takes a trial, and for how long at a time."""

    worker_id: str
    lease_seconds: float


def _next_of(
    connection: Connection, job: Row[Any], spec: JobSpec, fits: Callable[[Stage, int], bool], taker: _Taker, waits: bool
) -> tuple[Row[Any] | None, Row[Any], Mapping[str, Any]]:
    """The job's next trial, of a stage that fits, which runs from now on: a new one where none is waiting, as is known
    without `waits`; the job's row, and what the trial costs the job, which is still to be written.
    """
    first = _first(connection, _waiting(job.id)) if waits else None
    if first is None:
        new = advance(connection, job)
        if new is not None:
            if not fits(new.stage, job.next_trial):
                return None, job, {}
            return new_trials.insert(connection, job, spec, new, taker.worker_id), job, new_trials.costs(spec, new)
        job, first = reread(connection, job.id), _first(connection, _waiting(job.id))
    waiting = None if first is None else _harmless(connection, job.id, first, taker)
    if waiting is None or not fits(Stage(waiting.stage), waiting.number):
        return None, job, {}
    values = {"state": TrialState.RUNNING, "attempt": trials.c.attempt + 1, "worker_id": taker.worker_id}
    values |= {"started_at": now_sql(), "value": None, "train_seconds": 0.0, **new_trials.token(spec)}
    statement = update(trials).where(trials.c.id == waiting.id).values(**values)
    return connection.execute(statement.returning(trials)).one(), job, {}


def _waiting(job_id: str) -> Select[Any, Any, Any]:
    columns = (trials.c.id, trials.c.number, trials.c.stage, trials.c.losses)
    return select(*columns).where(trials.c.job_id == job_id, trials.c.state == TrialState.WAITING)


def _first(connection: Connection, waiting: Select[Any, Any, Any]) -> Row[Any, Any, Any] | None:
    return connection.execute(waiting.order_by(trials.c.number).limit(1)).one_or_none()


def _harmless(
    connection: Connection, job_id: str, first: Row[Any, Any, Any], taker: _Taker
) -> Row[Any, Any, Any] | None:
    """The first waiting trial that is for this worker. Who is suspected of killing workers is for one that holds
    nothing else, unless none of these has come for long.
    """
    if first.losses < SUSPECT:
        return first
    holds = select(exists().where(tables.leases.c.worker_id == taker.worker_id))
    if not connection.execute(holds).scalar_one():
        return first
    long_ago = trials.c.started_at < now_sql() - PATIENCE_LEASES * taker.lease_seconds
    return _first(connection, _waiting(job_id).where(or_(trials.c.losses < SUSPECT, long_ago)))


def _begin(
    connection: Connection,
    trial: Row[Any],
    taker: _Taker,
    spec: JobSpec,
    job: Row[Any],
    costs: Mapping[str, Any] = types.MappingProxyType({}),
) -> tuple[Claim, Row[Any]]:
    """The claim of a trial, under a new lease, and the job's row once that and the `costs` are written."""
    seconds = 0.0
    if trial.attempt > 1:
        trial, seconds = checkpointing.rewind(connection, trial.id)
    stall = None if spec.trainer is None else spec.trainer.stall
    kept_token = None if stall is None else trial.last_token
    token = leases.grant(connection, job.id, trial.id, taker.worker_id, taker.lease_seconds, stall, kept_token)
    payload = {"trial": trial.number, "stage": trial.stage, "arm": trial.arm, "attempt": trial.attempt}
    payload["epoch"] = trial.epoch
    payload["worker"] = taker.worker_id
    job = emit(connection, job.id, "trial_started", payload, claimed_at=now_sql(), **costs)
    claim = Claim(
        job_id=trial.job_id,
        trial_id=trial.id,
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
        fixed=job.fixed,
        request_id=job.request_id,
        traceparent=job.traceparent,
        advice=trial.advice,
        suspect=trial.losses >= SUSPECT,
        checkpoint=trial.checkpoint,
        epoch=trial.epoch,
        seconds=seconds,
        resume=trial.resume,
    )
    return claim, job
