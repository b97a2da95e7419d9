"""Requests on jobs: submit, read, change the course of, and delete."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import Connection, Row, and_, case, delete, func, insert, select, true, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from search import tracing
from search.claims import allotments, artifacts, quotas
from search.claims.lifecycle import (
    CONFIRMING,
    SEARCHING,
    advance,
    cancel_trials,
    drop_leases,
    move,
    reread,
    snapshot,
    spec_of,
)
from search.errors import FieldProblem, IdempotencyConflict, IllegalMove, SpecInvalid, StoreUnavailable
from search.optuna_bridge import study
from search.records import Job, Page, Principal
from search.requests import advice, extending, troubles
from search.requests.preflight import preflight
from search.requests.progress import progress_of
from search.requests.speeds import recent_epochs_per_second
from search.spec.job import JobSpec
from search.spec.scheduling import FleetSpec
from search.states import LOST, TERMINAL_JOBS, WAYS_OUT, JobState, Stage, TrialState
from search.storage import cursors
from search.storage.access import visible_job
from search.storage.db import Database, now_sql
from search.storage.events import emit
from search.storage.rows import job_of
from search.storage.store import Store
from search.storage.tables import idempotency, jobs

MOST_PER_PAGE = 500
_STOPPABLE = (JobState.QUEUED, JobState.RUNNING)
_EXTENDABLE = (*_STOPPABLE, JobState.CONFIRMING, JobState.COMPLETED)
_log = structlog.get_logger(__name__)
_LARGEST_BUDGET = {"trials": 100_000, "epochs": 10**12, "seconds": 1e12}


def submit(
    db: Database,
    spec: JobSpec,
    principal: Principal,
    idempotency_key: tuple[str, str] | None = None,
    priors: advice.Priors | None = None,
    request_id: str | None = None,
) -> tuple[Job, bool]:
    """A new job, queued, and True; or the job that the same request made before, and False.

    `priors` is what the operator has decided of advice, without which the packaged table and own jobs advise; what the
    job begins with is decided here, once, and stored with it.
    `idempotency_key` is the caller's key and the sha256 of its request's body; keys of different principals are
    different, and one is kept as long as its job: deleting that frees it. IdempotencyConflict where the key came with
    another body. `request_id`, of at most 64 characters, is its name in logs and stays with the job. QuotaExceeded.
    """
    request = None if idempotency_key is None else (storable(idempotency_key[0]), idempotency_key[1])
    first = advice.begin_with(db, spec, principal, priors)  # before anything is locked: it reads much
    with db.write() as connection:
        if request is not None:
            earlier = _earlier(connection, request, principal)
            if earlier is not None:
                row = visible_job(connection, earlier, principal)
                return _preflown(connection, _job(connection, row), row), False
        quotas.check_new_jobs(connection, principal.id, [spec.budget.trials])
        job_id = queue_job(connection, spec, principal, first, request_id)
        if request is not None:
            of_request = (idempotency.c.key == request[0]) & (idempotency.c.principal == principal.id)
            connection.execute(update(idempotency).where(of_request).values(job_id=job_id))
        row = reread(connection, job_id)
        return _preflown(connection, _job(connection, row), row), True


def queue_job(
    connection: Connection,
    spec: JobSpec,
    principal: Principal,
    first: dict[str, Any] | None,
    request_id: str | None,
    study_id: str | None = None,
    share: int | None = None,
) -> str:
    """Writes a new job down and answers its id; `first` is what it begins with, as `advice.begin_with` answers, `share`
    the trials that a cell brings to an adaptive study. Whoever queues has checked the owner's quota.
    """
    job_id = secrets.token_hex(8)
    of_job = {"thermowell.job.id": job_id, "thermowell.study.id": study_id, "thermowell.request.id": request_id}
    span = tracing.begin("submit job", of_job, kind="producer")
    connection.execute(
        insert(jobs).values(
            id=job_id,
            name=spec.name,
            labels=spec.labels,
            owner=principal.id,
            # without what was not given: `NAME: null` would come back as that optimizer with its default ranges
            spec=spec.model_dump(mode="json", exclude_none=True),
            advice=first,
            state=JobState.QUEUED,
            budget_trials=spec.budget.trials,
            budget_epochs=spec.budget.epochs,
            budget_seconds=spec.budget.seconds,
            priority=spec.fleet.priority,
            most_parallel=spec.fleet.parallel,
            request_id=request_id,
            traceparent=span.traceparent,
            study=study_id,
            **({} if share is None else allotments.fresh(share, spec.budget.trials)),
            trainer=None if spec.trainer is None else spec.trainer.kind,
            queue=None if spec.trainer is None else spec.trainer.queue,
            created_at=now_sql(),
            updated_at=now_sql(),
        )
    )
    emit(connection, job_id, "submitted", {"name": spec.name, "request_id": request_id})
    span.end()
    return job_id


def storable(key: str) -> str:
    """A caller's key may be any string at all, of any length."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _earlier(connection: Connection, key: tuple[str, str], principal: Principal) -> str | None:
    """The job that this request made before; None where it is new, and then the key is taken.

    Two at once: the second waits here until the first has committed, and then sees its job.
    """
    values = {"key": key[0], "principal": principal.id, "body_hash": key[1], "created_at": now_sql()}
    insert_or_ignore = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(idempotency)
    taking = insert_or_ignore.values(**values).on_conflict_do_nothing().returning(idempotency.c.key)
    if connection.execute(taking).one_or_none() is not None:
        return None
    of_request = (idempotency.c.key == key[0]) & (idempotency.c.principal == principal.id)
    before = connection.execute(select(idempotency).where(of_request)).one()
    if before.body_hash != key[1]:
        raise IdempotencyConflict("this Idempotency-Key was used with another body: take a new key for a new job")
    return str(before.job_id)


def get_job(db: Database, job_id: str, principal: Principal) -> Job:
    """One job with its progress. NotFound."""
    with db.read() as connection:
        row = visible_job(connection, job_id, principal)
        progress = progress_of(connection, [row], remember=True)[row.id]
        return _preflown(connection, job_of(row, progress, troubles.records(connection, row.id)), row)


def list_jobs(
    db: Database,
    principal: Principal,
    *,
    state: JobState | None = None,
    label: tuple[str, str] | None = None,
    name: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Job]:
    """The jobs that the principal may see, the newest first; with this state, label and name. CursorInvalid."""
    limit = max(1, min(limit, MOST_PER_PAGE))
    criteria = [jobs.c.owner == principal.id] if not principal.may("admin") else []
    if state is not None:
        criteria.append(jobs.c.state == state)
    if cursor is not None:
        time, job_id = cursors.decode(cursor, "jobs", (float, str))
        criteria.append(tuple_(jobs.c.created_at, jobs.c.id) < tuple_(time, job_id))
    if not all(map(cursors.is_text, (name or "", *(label or ())))) or '"' in (label or ("",))[0]:
        return Page([], None)  # no job can have it, and no database could look for it
    if name is not None:
        criteria.append(jobs.c.name == name)
    if label is not None:
        pattern = jobs.c.labels[label[0]].as_string() == label[1]
        # SQLite fails the whole query where one row's text is no JSON
        criteria.append(case((func.json_valid(jobs.c.labels) == 1, pattern)) if db.dialect == "sqlite" else pattern)
    with db.read() as connection:
        newest = select(jobs).where(and_(true(), *criteria)).order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
        rows = connection.execute(newest.limit(limit + 1)).all()
        page = rows[:limit]
        progress = progress_of(connection, page, remember=True)
        more = cursors.encode("jobs", page[-1].created_at, page[-1].id) if len(rows) > limit else None
        return Page([job_of(row, progress[row.id]) for row in page], more)


def stop_job(db: Database, job_id: str, principal: Principal) -> Job:
    """Begins no new trial of the search or the baselines; running ones end, then what there is gets confirmed.

    Stopping twice is stopping once. NotFound; IllegalMove once the confirmation has begun.
    """
    with db.write() as connection:
        job = visible_job(connection, job_id, principal, lock=True)
        _require_state(job, _STOPPABLE, "stopped")
        if not job.search_stopped:
            connection.execute(update(jobs).where(jobs.c.id == job.id).values(search_stopped=True, allotting=None))
            cancel_trials(connection, job.id, SEARCHING, [TrialState.WAITING])
            emit(connection, job.id, "stopped", {})
            advance(connection, reread(connection, job.id))
        return _job(connection, reread(connection, job.id))


def cancel_job(db: Database, job_id: str, principal: Principal) -> Job:
    """Ends a job at once: waiting and running trials are cancelled, and their workers fenced. NotFound; IllegalMove."""
    with db.write() as connection:
        job = move(connection, visible_job(connection, job_id, principal, lock=True), JobState.CANCELLED)
        drop_leases(connection, job.id)
        cancel_trials(connection, job.id, Stage, [TrialState.WAITING, TrialState.RUNNING])
        return _job(connection, reread(connection, job.id))


def pause_job(db: Database, job_id: str, principal: Principal) -> Job:
    """Hands out no more trials until `resume_job`; running ones end. NotFound; IllegalMove.

    Whoever works out the answer meanwhile is fenced, and it is begun again when the job is resumed.
    """
    with db.write() as connection:
        job = visible_job(connection, job_id, principal, lock=True)
        if job.state == JobState.ANALYSING:
            drop_leases(connection, job.id)
        return _job(connection, move(connection, job, JobState.PAUSED))


def resume_job(db: Database, job_id: str, principal: Principal) -> Job:
    """Takes a paused job back to where it was, and one that failed for what its machines did (`states.LOST`).

    NotFound; IllegalMove; QuotaExceeded where a job that had ended does not fit beside its owner's others any more.
    """
    with db.write() as connection:
        job = visible_job(connection, job_id, principal, lock=True)
        back = _back(job)
        if job.state in TERMINAL_JOBS:
            budget = job.budget_trials
            quotas.check_more_trials(connection, job.owner, before=budget, after=budget, terminal=True)
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(lost_workers=0, problem=None))
        advance(connection, move(connection, job, back))
        return _job(connection, reread(connection, job.id))


def open_test(db: Database, job_id: str, principal: Principal) -> Job:
    """Opens the test part of a job that decided nothing, and works its answer out again, with test figures.

    From now on the test part counts as seen, whatever becomes of the job. Opening twice is opening once. NotFound;
    IllegalMove where the job is not completed.
    """
    with db.write() as connection:
        job = visible_job(connection, job_id, principal, lock=True)
        if job.test_opened_at is None:
            _require_state(job, (JobState.COMPLETED,), "asked for its test part")
            row = emit(connection, job.id, "test_opened", {"asked": True}, test_opened_at=now_sql())
            move(connection, row, JobState.ANALYSING)
        return _job(connection, reread(connection, job.id))


def extend_job(
    db: Database,
    job_id: str,
    principal: Principal,
    *,
    trials: int | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
) -> Job:
    """Raises the budget to new totals and searches on, also where the search was stopped or the job is completed.

    What the confirmation has found so far is then confirmed again, with more to choose from and on fresh seeds; if
    the test part was read already, its later figures are marked as seen before.
    NotFound; IllegalMove; SpecInvalid where a total does not exceed the one before, or where another total is spent,
    so that no trial could begin; QuotaExceeded.
    """
    requested = {"trials": trials, "epochs": epochs, "seconds": seconds}
    totals = {name: total for name, total in requested.items() if total is not None}
    with db.write() as connection:
        job = visible_job(connection, job_id, principal, lock=True)
        state = job.resume_state or job.state
        if state not in _EXTENDABLE and not (job.state == JobState.PAUSED and state == JobState.ANALYSING):
            _require_state(job, _EXTENDABLE, "extended")
        _check_totals(job, totals)
        extending.check_adds(snapshot(connection, job), job, totals)
        if "trials" in totals or state in TERMINAL_JOBS:
            after = totals.get("trials", job.budget_trials)
            quotas.check_more_trials(
                connection, job.owner, before=job.budget_trials, after=after, terminal=state in TERMINAL_JOBS
            )
        values: dict[str, Any] = {f"budget_{name}": total for name, total in totals.items()}
        values |= {"search_stopped": False, "allotting": None}  # who extends a cell has it to himself from now on
        if state not in _STOPPABLE:  # its confirmation has begun
            cancel_trials(connection, job.id, CONFIRMING, [TrialState.WAITING, TrialState.RUNNING])
            values |= {"round": job.round + 1, "test_seen_before": job.test_opened_at is not None}
            if job.state == JobState.PAUSED:
                values["resume_state"] = JobState.RUNNING
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(**values))
        emit(connection, job.id, "extended", totals)
        job = reread(connection, job.id)
        if job.state in (JobState.CONFIRMING, JobState.COMPLETED):
            job = move(connection, job, JobState.RUNNING)
        advance(connection, job)
        return _job(connection, reread(connection, job.id))


def _back(job: Row[Any]) -> JobState:
    """Where a job goes on that is resumed. IllegalMove."""
    slug = (job.problem or {}).get("type")
    if job.state == JobState.PAUSED:
        return JobState(job.resume_state)
    if job.state == JobState.FAILED and slug in LOST:
        return LOST[slug]
    slugs = f"only a paused one can, and one that failed by {', '.join(sorted(LOST))}"
    raise IllegalMove(f"a {job.state} job cannot be resumed: {slugs}")


def share_job(db: Database, job_id: str, principal: Principal, changes: Mapping[str, int | None]) -> Job:
    """Changes a job's `priority`, its cap of trials under way (`parallel`, None for none), or both, from now on.

    Trials that are under way above a lower cap go on to their end. NotFound; IllegalMove where the job has ended;
    SpecInvalid for a number that no spec could have.
    """
    with db.write() as connection:
        job = visible_job(connection, job_id, principal, lock=True)
        if job.state in TERMINAL_JOBS:
            raise IllegalMove(f"a {job.state} job takes no part in the sharing of workers: {WAYS_OUT[job.state]}")
        share = checked_share({"priority": job.priority, "parallel": job.most_parallel} | dict(changes))
        values = {"priority": share.priority, "most_parallel": share.parallel}
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(**values))
        emit(connection, job.id, "share", {"priority": share.priority, "parallel": share.parallel})
        return _job(connection, reread(connection, job.id))


def checked_share(document: Mapping[str, int | None]) -> FleetSpec:
    """A share as a spec would have it. SpecInvalid."""
    try:
        return FleetSpec.model_validate(document)
    except ValidationError as invalid:
        problems = [FieldProblem(".".join(map(str, error["loc"])), error["msg"]) for error in invalid.errors()]
        raise SpecInvalid(problems, "The new share was refused") from None


def _check_totals(job: Row[Any], totals: dict[str, Any]) -> None:
    problems = [] if totals else [FieldProblem("trials", "give a new total of trials, epochs or seconds")]
    for name, total in totals.items():
        before = getattr(job, f"budget_{name}")
        if before is None:
            problems.append(FieldProblem(name, "is not limited: there is nothing to raise; leave it out"))
        elif not (math.isfinite(total) and before < total <= _LARGEST_BUDGET[name]):
            allowed = f"must be a new total above {before:g} and at most {_LARGEST_BUDGET[name]:g}"
            problems.append(FieldProblem(name, f"{allowed}, got {total:g}"))
    if problems:
        raise SpecInvalid(problems, "The new budget was refused")


def delete_job(db: Database, job_id: str, principal: Principal, files: Store) -> None:
    """Forgets a job that has ended: its trials, its studies, and those of its files that nothing else refers to.

    The Idempotency-Key that made it goes too: sent again, the same request makes a new job.
    NotFound; IllegalMove while it has not ended; StoreUnavailable, and then it is still there.
    """
    files.check_removal()  # without its record nobody would know which files to delete another time
    with db.write() as connection:
        allotments.lock_study_of(connection, job_id)
        job = visible_job(connection, job_id, principal, lock=True)
        _require_state(job, tuple(TERMINAL_JOBS), "deleted")
        digests = artifacts.digests_of(connection, job.id)
        allotments.take_along(connection, job)
        connection.execute(delete(jobs).where(jobs.c.id == job.id))
    study.delete_studies(db, job_id)
    try:
        artifacts.delete_unreferenced(db, files, digests)
        files.delete(artifacts.work(job_id))
    except StoreUnavailable as error:  # the store failed since it was asked, and the job is gone
        _log.warning("a deleted job's files are left", job=job_id, digests=digests, error=str(error))


def _require_state(job: Row[Any], states: tuple[JobState, ...], verb: str) -> None:
    if job.state not in states:
        raise IllegalMove(
            f"a {job.state} job cannot be {verb}: only one that is {', '.join(sorted(states))}; {WAYS_OUT[job.state]}"
        )


def _job(connection: Connection, row: Row[Any]) -> Job:
    return job_of(row, progress_of(connection, [row])[row.id], troubles.records(connection, row.id))


def _preflown(connection: Connection, job: Job, row: Row[Any]) -> Job:
    """A job with its preflight, where no worker has begun it."""
    if job.state is not JobState.QUEUED or job.unreadable is not None:
        return job
    return replace(job, preflight=preflight(connection, spec_of(row), row.owner, recent_epochs_per_second))
