"""What becomes of a job inside an open transaction: its moves, its plan carried out, its trials begun and ended.

Everything here expects the job's row to be locked by the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from search.claims import planner
from search.claims.field import Beliefs
from search.claims.planner import (
    AwaitAllotment,
    FinalistChoice,
    Finished,
    JobSnapshot,
    MoveTo,
    NewTrial,
    PlannedTrial,
    PlanRows,
)
from search.errors import Unreadable
from search.records import Reason
from search.spec.job import JobSpec
from search.states import TERMINAL_JOBS, TERMINAL_TRIALS, Allotting, Arm, JobState, Stage, TrialState, check_job_move
from search.storage.db import Database, now_sql
from search.storage.events import emit
from search.storage.rows import reason_json, reason_of
from search.storage.stored import read_or_none, readable
from search.storage.tables import analyses, jobs, leases, trials
from thermowell.api.answers import Finalists

Taken = TypeVar("Taken")

FINALISTS = "finalists"
"""The kind of the document that says which finalists a worker has chosen."""

SEARCHING = (Stage.SEARCH, Stage.BASELINE)
CONFIRMING = (Stage.SELECT, Stage.ESTIMATE)
MOST_SPECS = 256  # that a process remembers
_specs: dict[str, tuple[Any, JobSpec]] = {}  # by job: as the row says it, and validated; neither is ever changed
_EVENT_OF = {
    TrialState.COMPLETED: "trial_finished",
    TrialState.PRUNED: "trial_pruned",
    TrialState.FAILED: "trial_failed",
}


def lock_job(
    connection: Connection, job_id: str | ScalarSelect[str], *columns: ColumnElement[Any], skip_locked: bool = False
) -> Row[Any] | None:
    """The job's row, locked against other writers; None where it is gone, or held by another and to be skipped.

    `columns` is what else is to be known of it, as it was before it was locked.
    """
    # NO KEY UPDATE: rows that refer to the job may still be written, e.g. a trial's reports
    locked = select(jobs, *columns).where(jobs.c.id == job_id).with_for_update(key_share=True, skip_locked=skip_locked)
    return connection.execute(locked).one_or_none()


def first_waiting(
    db: Database, waits: Sequence[ColumnElement[bool]], take: Callable[[Connection, Row[Any]], Taken | None]
) -> Taken | None:
    """What `take` answers of the job that has waited longest among those for which all of `waits` hold.

    Each is locked and looked at again, one transaction a job, until `take` answers something; None where none does.
    One that cannot be read keeps nobody from the others.
    """
    with db.look() as connection:
        job_ids = list(connection.scalars(select(jobs.c.id).where(*waits).order_by(jobs.c.updated_at)))
    for job_id in job_ids:
        with suppress(Unreadable), db.write() as connection:
            job = lock_job(connection, job_id)
            still = select(jobs.c.id).where(jobs.c.id == job_id, *waits)
            if job is None or connection.execute(still).one_or_none() is None:
                continue
            answer = take(connection, job)
            if answer is not None:
                return answer
    return None


def spec_of(job: Row[Any]) -> JobSpec:
    """The job's spec as it was validated when it came, once, as long as the row says the same. Unreadable."""
    document, spec = _specs.get(job.id, (None, None))
    if spec is None or document != job.spec:
        with readable(f"the spec of job {job.id}"):
            spec = JobSpec.model_validate(job.spec)
        if len(_specs) >= MOST_SPECS:
            _specs.clear()
        _specs[job.id] = job.spec, spec
    return spec


def now(connection: Connection) -> float:
    """Epoch seconds by the database's clock."""
    return float(connection.execute(select(now_sql())).scalar_one())


def move(connection: Connection, job: Row[Any], to: JobState, reason: Reason | None = None) -> Row[Any]:
    """Moves a job to another state and answers its new row; an event tells it. IllegalMove.

    The search's clock (`budget.seconds`) runs in state running alone.
    """
    before = JobState(job.state)
    check_job_move(before, to)
    time = now(connection)
    values: dict[str, Any] = {"state": to, "resume_state": before if to is JobState.PAUSED else None}
    values["ended_at"] = time if to in TERMINAL_JOBS else None
    if to is JobState.RUNNING:
        values["started_at"] = job.started_at if job.started_at is not None else time
        stood_still = time - job.paused_at if job.paused_at is not None else 0.0
        values |= {"paused_at": None, "paused_seconds": job.paused_seconds + stood_still}
    elif before is JobState.RUNNING:
        values["paused_at"] = time
    if reason is not None:
        values["problem"] = reason_json(reason)
    return emit(connection, job.id, "state", {"from": before, "to": to, "reason": reason_json(reason)}, **values)


def reread(connection: Connection, job_id: str) -> Row[Any]:
    """The job's row as this transaction has left it."""
    return connection.execute(select(jobs).where(jobs.c.id == job_id)).one()


def advance(connection: Connection, job: Row[Any]) -> NewTrial | None:
    """Carries out what is due where no trial is waiting; answers what a claim that saw none waiting may begin now.

    Called after each end of a trial, each claim and each user's move, so that no job waits for somebody to notice.
    While the search's budget lasts, which is nearly always, that is answered without asking the database. Nothing
    is due of a job whose spec cannot be read.
    """
    job_id = job.id
    try:
        spec_of(job)
    except Unreadable:
        return None
    while True:
        following = planner.decide(
            snapshot(connection, job),
            lambda: finished_trials(connection, job_id),
            partial(chosen_finalists, connection, job_id, job.round),
        )
        if isinstance(following, NewTrial):
            return following
        if isinstance(following, AwaitAllotment):
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(allotting=Allotting.DUE))
        if not isinstance(following, PlanRows | MoveTo) or _anything_waits(connection, job_id):
            return None
        if isinstance(following, PlanRows):
            insert_planned(connection, job, following.rows)
            job = move(connection, job, JobState.CONFIRMING) if job.state != JobState.CONFIRMING else job
        else:
            job = move(connection, job, following.state, following.reason)


class _Counts(Mapping[tuple[Stage, Arm], Mapping[TrialState, int]]):
    """A job's trials as its plan counts them, counted when the plan first looks: with thousands that takes a while."""

    def __init__(self, connection: Connection, job: Row[Any]) -> None:
        self._connection, self._job = connection, job

    def __getitem__(self, kind: tuple[Stage, Arm]) -> Mapping[TrialState, int]:
        return self._counts[kind]

    def __iter__(self) -> Iterator[tuple[Stage, Arm]]:
        return iter(self._counts)

    def __len__(self) -> int:
        return len(self._counts)

    @cached_property
    def _counts(self) -> dict[tuple[Stage, Arm], dict[TrialState, int]]:
        counts: dict[tuple[Stage, Arm], dict[TrialState, int]] = {}
        current = or_(trials.c.stage.in_(SEARCHING), trials.c.round == self._job.round)
        kinds = (trials.c.stage, trials.c.arm, trials.c.state)
        of_job = (trials.c.job_id == self._job.id) & trials.c.imported.is_(None)
        query = select(*kinds, func.count()).where(of_job, current).group_by(*kinds)
        for stage, arm, state, number in self._connection.execute(query):
            counts.setdefault((Stage(stage), Arm(arm)), {})[TrialState(state)] = number
        return counts


def snapshot(connection: Connection, job: Row[Any]) -> JobSnapshot:
    """What the plan decides by, as this transaction sees it."""
    return JobSnapshot(
        spec=spec_of(job),
        state=JobState(job.state),
        round=job.round,
        search_stopped=job.search_stopped,
        budget_trials=job.budget_trials,
        budget_epochs=job.budget_epochs,
        seconds_left=None if job.budget_seconds is None else seconds_left(job, now(connection)),
        search_trials=job.search_trials,
        search_epochs=job.search_epochs,
        counts=_Counts(connection, job),
        allotting=job.allotting is not None,
    )


def seconds_left(job: Row[Any], time: float) -> float | None:
    """How much of the search's wall-clock is left at a moment; None where it is not limited."""
    if job.budget_seconds is None:
        return None
    if job.started_at is None:
        return float(job.budget_seconds)
    until = job.paused_at if job.paused_at is not None else time
    return float(job.budget_seconds - (until - job.started_at - job.paused_seconds))


def finished_trials(connection: Connection, job_id: str) -> list[Finished]:
    """All trials of a job that have ended, of every stage and round."""
    query = select(trials).where(trials.c.job_id == job_id, trials.c.state.in_(TERMINAL_TRIALS))
    return [
        Finished(
            number=row.number,
            stage=Stage(row.stage),
            arm=Arm(row.arm),
            round=row.round,
            origin=row.origin,
            state=TrialState(row.state),
            value=row.value,
            configuration=row.configuration,
            seed=row.seed,
            reason=reason_of(row.reason),
        )
        for row in connection.execute(query.order_by(trials.c.number))
    ]


def chosen_finalists(connection: Connection, job_id: str, round_: int) -> FinalistChoice | None:
    """The finalists that were stored for this round of confirmation; None before."""
    document = stored_finalists(connection, job_id, round_)
    return None if document is None else chosen_of(document)


def stored_finalists(connection: Connection, job_id: str, round_: int) -> Finalists | None:
    """The choice as it was stored for this round; None before, and where it cannot be read: then it is made anew."""
    query = select(analyses.c.document).where(analyses.c.job_id == job_id, analyses.c.kind == FINALISTS)
    text = connection.execute(query).scalar_one_or_none()
    document = read_or_none(Finalists, text, f"the finalists of job {job_id}")
    return document if document is not None and document.round == round_ else None


def chosen_of(document: Finalists) -> FinalistChoice:
    """What the plan reads in a choice."""
    finalists = {
        Arm(arm_choice.arm): tuple(finalist.trial for finalist in arm_choice.finalists) for arm_choice in document.arms
    }
    expected = document.beliefs
    if expected is None:
        return FinalistChoice(finalists)
    contestants = tuple((arm, number) for arm, numbers in finalists.items() for number in numbers)
    covariance = tuple(tuple(row) for row in expected.covariance)
    return FinalistChoice(finalists, Beliefs(contestants, tuple(expected.means), covariance, expected.noise))


def insert_planned(connection: Connection, job: Row[Any], rows: Iterable[PlannedTrial]) -> None:
    """Adds trials whose configuration is known; Optuna never hears of them."""
    time = now(connection)
    planned = list(rows)
    first = take_numbers(connection, job.id, len(planned)).next_trial - len(planned)
    values = [
        {
            "job_id": job.id,
            "number": number,
            "stage": row.stage,
            "arm": row.arm,
            "variant": row.variant,
            "round": row.round,
            "origin": row.origin,
            "configuration": dict(row.configuration),
            "seed": row.seed,
            "state": TrialState.WAITING,
            "mirrored": True,
            "created_at": time,
        }
        for number, row in enumerate(planned, first)
    ]
    connection.execute(insert(trials), values)


def take_numbers(connection: Connection, job_id: str, count: int, **costs: Any) -> Row[Any]:
    """Reserves a job's trial numbers below the `next_trial` of the row that it answers; writes along what the job pays
    for them.
    """
    values = {"next_trial": jobs.c.next_trial + count, **costs}
    return connection.execute(update(jobs).where(jobs.c.id == job_id).values(**values).returning(jobs)).one()


_ENDED = update(trials).where(trials.c.id == bindparam("of")).values(ended_at=now_sql())


def end_trial(
    connection: Connection,
    job: Row[Any],
    trial: Row[Any],
    state: TrialState,
    values: Mapping[str, Any],
    in_transaction: bool = False,
) -> None:
    """Writes a running trial's end, gives back what it did not use of the budget, and goes on with the job.

    `values` are written along, its last epoch among them where that is not in the row yet. `in_transaction` where
    Optuna is told of it in the same transaction.
    """
    epoch = values.get("epoch", trial.epoch)
    mirrored = in_transaction or trial.mirrored or trial.optuna_number is None
    final = {"of": trial.id, "state": state, "mirrored": mirrored, "checkpoint": None, "checkpoint_epoch": None}
    connection.execute(_ENDED, {**final, **values})
    changes: dict[str, Any] = {}
    unused = spec_of(job).training.epochs - epoch
    if trial.stage == Stage.SEARCH and unused:
        changes["search_epochs"] = jobs.c.search_epochs - unused
    if state in (TrialState.COMPLETED, TrialState.PRUNED) and job.lost_workers:
        changes["lost_workers"] = 0
    reason = reason_of(values.get("reason"))
    payload = {"trial": trial.number, "stage": trial.stage, "arm": trial.arm, "value": values.get("value")}
    payload |= {"epoch": epoch, "reason": reason_json(reason)}
    advance(connection, emit(connection, job.id, _EVENT_OF[state], payload, **changes))


def cancel_trials(connection: Connection, job_id: str, stages: Iterable[Stage], states: Iterable[TrialState]) -> None:
    """Cancels trials of these stages and states; the leases of running ones go, so that their workers are fenced."""
    of_stages = and_(trials.c.job_id == job_id, trials.c.stage.in_(list(stages)), trials.c.state.in_(list(states)))
    selection = select(trials.c.id).where(of_stages)
    locked = select(leases.c.subject).where(leases.c.job_id == job_id, leases.c.trial_id.in_(selection))
    # in the order in which `renew` takes them, so that neither waits for the other
    subjects = list(connection.scalars(locked.order_by(leases.c.subject).with_for_update()))
    connection.execute(delete(leases).where(leases.c.subject.in_(subjects)))
    unknown = trials.c.optuna_number.is_(None)
    connection.execute(
        update(trials)
        .where(of_stages)
        .values(
            state=TrialState.CANCELLED,
            ended_at=now_sql(),
            mirrored=or_(trials.c.mirrored, unknown),
            checkpoint=None,
            checkpoint_epoch=None,
        )
    )


def drop_leases(connection: Connection, job_id: str, *, of_trials: bool = True) -> None:
    """Takes every lease of a job away: whoever holds one may write nothing any more. Or that on the job itself alone,
    and those `of_trials` stay.
    """
    criteria = (leases.c.job_id == job_id) & (true() if of_trials else leases.c.trial_id.is_(None))
    locked = select(leases.c.subject).where(criteria).order_by(leases.c.subject).with_for_update()
    subjects = list(connection.scalars(locked))
    connection.execute(delete(leases).where(leases.c.subject.in_(subjects)))


def _anything_waits(connection: Connection, job_id: str) -> bool:
    waiting = select(trials.c.id).where(trials.c.job_id == job_id, trials.c.state == TrialState.WAITING).limit(1)
    return connection.execute(waiting).one_or_none() is not None
