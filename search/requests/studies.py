"""Requests on studies: submit, read cells, extend, end, and read guidance."""

from __future__ import annotations

import dataclasses
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, func, select, true, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from search.analysis.study.cells import Cell as GuidedCell
from search.analysis.study.cells import gain_over_t4
from search.analysis.study.guidance import compute_guidance
from search.analysis.study.runs import Runs
from search.analysis.study.stored import cell_of, runs_by_job
from search.claims import allotments, quotas
from search.errors import IdempotencyConflict, IllegalMove, NotFound, NotReady, Unreadable
from search.records import Page, Principal
from search.requests import advice
from search.requests.answers import Answer, answers_of
from search.requests.jobs import cancel_job, queue_job, storable
from search.requests.memory import Memory, State, version_of
from search.requests.progress import progress_of
from search.states import TERMINAL_JOBS, JobState
from search.storage import cursors
from search.storage.access import visible_study
from search.storage.db import Database, now_sql
from search.storage.rows import moment, reason_of
from search.storage.stored import checked, note_unreadable, readable
from search.storage.tables import analyses, jobs, studies
from search.studies import cells
from search.studies.cells import Cell, Expansion
from search.studies.records import CellState, Study, StudyCell, StudyDetail, state_of
from search.studies.spec import StudyExtension, StudySpec
from thermowell.api.guidance import Guidance
from thermowell.api.studies import Allotted

MOST_PER_PAGE = 200
MOST_GUIDANCES = 64
"""That a process remembers."""
_guidances: Memory[Guidance] = Memory(MOST_GUIDANCES)  # by study, and whether the questions are in it


def submit_study(
    db: Database,
    study: StudySpec,
    principal: Principal,
    idempotency_key: tuple[str, str] | None = None,
    priors: advice.Priors | None = None,
    request_id: str | None = None,
) -> tuple[StudyDetail, bool]:
    """A new study with all its jobs queued, and True; or the one that the same request made before, and False.

    As `jobs.submit` in every respect; keys of studies and of jobs are different keys. All jobs are submitted or none.
    SpecInvalid; IdempotencyConflict; QuotaExceeded.
    """
    expansion = cells.expand(study)
    begins = [advice.begin_with(db, planned.spec, principal, priors) for planned in expansion.new]
    study_id = secrets.token_hex(8)
    key = None if idempotency_key is None else storable(idempotency_key[0])
    values: dict[str, Any] = {
        "id": study_id,
        "name": study.name,
        "owner": principal.id,
        "spec": expansion.study.model_dump(mode="json"),
        "cells": [],
        "request_key": key,
        "body_hash": idempotency_key[1] if idempotency_key else None,
        "created_at": now_sql(),
        "updated_at": now_sql(),
    }
    with db.write() as connection:
        insert_or_ignore = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(studies)
        # Two at once: the second waits here until the first has committed, and then sees its study.
        taking = insert_or_ignore.values(**values).on_conflict_do_nothing(index_elements=["owner", "request_key"])
        if connection.execute(taking.returning(studies.c.id)).one_or_none() is None:
            of_request = (studies.c.owner == principal.id) & (studies.c.request_key == key)
            before = connection.execute(select(studies).where(of_request)).one()
            if idempotency_key is None or before.body_hash != idempotency_key[1]:
                raise IdempotencyConflict("this Idempotency-Key was used with another body: take a new key")
            return _detail(connection, before), False
        _queue(connection, study_id, expansion, begins, principal, request_id)
        return _detail(connection, visible_study(connection, study_id, principal)), True


def get_study(db: Database, study_id: str, principal: Principal) -> StudyDetail:
    """One study with its cells. NotFound; Unreadable."""
    with db.read() as connection:
        return _detail(connection, visible_study(connection, study_id, principal))


def list_studies(db: Database, principal: Principal, *, cursor: str | None = None, limit: int = 50) -> Page[Study]:
    """The studies that the principal may see, the newest first. CursorInvalid."""
    limit = max(1, min(limit, MOST_PER_PAGE))
    criteria = true() if principal.may("admin") else studies.c.owner == principal.id
    if cursor is not None:
        time, study_id = cursors.decode(cursor, "studies", (float, str))
        criteria &= tuple_(studies.c.created_at, studies.c.id) < tuple_(time, study_id)
    newest = select(studies).where(criteria).order_by(studies.c.created_at.desc(), studies.c.id.desc())
    with db.read() as connection:
        rows = connection.execute(newest.limit(limit + 1)).all()
        page = rows[:limit]
        more = cursors.encode("studies", page[-1].created_at, page[-1].id) if len(rows) > limit else None
        return Page(summaries(connection, page), more)


def summaries(connection: Connection, rows: Sequence[Row[Any]]) -> list[Study]:
    """Studies, from whole rows of `studies`, with their jobs counted by state."""
    states = select(jobs.c.study, jobs.c.state, func.count().label("jobs")).group_by(jobs.c.study, jobs.c.state)
    counts: dict[str, Counter[CellState]] = {row.id: Counter() for row in rows}
    for row in connection.execute(states.where(jobs.c.study.in_(list(counts)))):
        counts[row.study][JobState(row.state)] = row.jobs
    return [_study(row, counts[row.id]) for row in rows]


def extend_study(
    db: Database,
    study_id: str,
    principal: Principal,
    more: StudyExtension,
    priors: advice.Priors | None = None,
    request_id: str | None = None,
) -> StudyDetail:
    """The study with more levels, factors, repeats or crossings; what was there stays, job by job.

    Its owner's jobs, whoever extends it. NotFound; SpecInvalid; QuotaExceeded; IllegalMove where somebody else has
    extended it at the same moment.
    """
    with db.read() as connection:
        before = visible_study(connection, study_id, principal)
        existing = _with_digests(connection, before)
    expansion = cells.extend(_spec(before), existing, more)
    owner = dataclasses.replace(principal, id=before.owner)
    begins = [advice.begin_with(db, planned.spec, owner, priors) for planned in expansion.new]
    with db.write() as connection:
        current = visible_study(connection, study_id, principal, lock=True)
        if current.updated_at != before.updated_at:
            raise IllegalMove("somebody else has just extended this study: look at it, and extend it again")
        _queue(connection, study_id, expansion, begins, owner, request_id)
        return _detail(connection, visible_study(connection, study_id, principal))


def cancel_study(db: Database, study_id: str, principal: Principal) -> StudyDetail:
    """Ends all of its jobs that have not ended, one after another. NotFound."""
    with db.read() as connection:
        study = visible_study(connection, study_id, principal)
    for cell in _cells(study):
        with suppress(IllegalMove, NotFound):  # it has ended, or was deleted
            cancel_job(db, cell.job_id, principal)
    return get_study(db, study_id, principal)


def get_guidance(db: Database, study_id: str, principal: Principal, questions: bool = True) -> Guidance:
    """Which factors move the best temperature, from the cells that are answered. NotFound; NotReady before the first.

    Worked out once for each state of its cells, outside of any transaction: that takes seconds, and without the
    `questions`, for which all runs are read, fewer.
    """
    with db.read() as connection:
        study = visible_study(connection, study_id, principal)
        state = _guidance_state(connection, study)
    whole = _guidances.recall((study_id, True), state)
    if whole is not None:
        return whole
    return _guidances.make_once((study_id, questions), state, partial(_compute_guidance, db, study, questions))


def _guidance_state(connection: Connection, study: Row[Any]) -> State:
    """What is another one whenever the guidance may be: of cells that have no answer it takes their states alone, so
    that it is not worked out anew with each trial that ends in one of them.
    """
    has_result = (analyses.c.job_id == jobs.c.id) & (analyses.c.kind == "result")
    columns: tuple[Any, ...] = (jobs.c.id, jobs.c.state, jobs.c.last_event, jobs.c.updated_at, analyses.c.computed_at)
    of_study = select(*columns).outerjoin(analyses, has_result).where(jobs.c.study == study.id).order_by(jobs.c.id)
    return study.updated_at, tuple(
        (row.id, row.state) if row.computed_at is None else (version_of(row), row.computed_at)
        for row in connection.execute(of_study)
    )


def _compute_guidance(db: Database, study: Row[Any], questions: bool) -> Guidance:
    """The guidance of what is stored now. NotReady; Unreadable."""
    with db.read() as connection:
        rows = _jobs(connection, study.id)
        answers = answers_of(connection, list(rows))
        runs = runs_by_job(connection, {job_id: rows[job_id] for job_id in answers}) if questions else {}
    if not answers:
        raise NotReady("no cell of this study is answered yet: ask again when one of its jobs is completed")
    try:
        return checked(compute_guidance(study.name, list(_guided(_cells(study), rows, answers, runs))))
    except (ArithmeticError, ValueError) as error:  # LinAlgError and NotStorable among them
        note_unreadable(f"the guidance of study {study.id}", error)
        raise Unreadable(f"the guidance of this study cannot be computed from its answers: {error}") from error


def _guided(
    of_study: Sequence[Cell], rows: dict[str, Row[Any]], answers: dict[str, Answer], runs: dict[str, Runs]
) -> Iterator[GuidedCell]:
    for cell in of_study:
        row, answer = rows.get(cell.job_id), answers.get(cell.job_id)
        if row is None:
            continue
        result, response = answer or (None, None)
        with suppress(Unreadable):
            yield cell_of(cell, row, runs.get(cell.job_id), result, response)


def _queue(
    connection: Connection,
    study_id: str,
    expansion: Expansion,
    begins: Sequence[dict[str, Any] | None],
    owner: Principal,
    request_id: str | None,
) -> None:
    """Writes the new cells' jobs down, and all cells into the study. QuotaExceeded, of all that the cells may train."""
    budgets = [planned.whole.budget.trials for planned in expansion.new]
    quotas.check_new_jobs(connection, owner.id, budgets, of_study=not expansion.there)
    everything = list(expansion.there)
    for planned, first in zip(expansion.new, begins, strict=True):
        job_id = queue_job(connection, planned.spec, owner, first, request_id, study_id, planned.share)
        everything.append(dataclasses.replace(planned.cell, job_id=job_id))
    values = {
        "spec": expansion.study.model_dump(mode="json"),
        "cells": [dataclasses.asdict(cell) for cell in everything],
    }
    connection.execute(update(studies).where(studies.c.id == study_id).values(**values, updated_at=now_sql()))


def _spec(study: Row[Any]) -> StudySpec:
    with readable(f"the spec of study {study.id}"):
        return StudySpec.model_validate(study.spec)


def _cells(study: Row[Any]) -> list[Cell]:
    with readable(f"the cells of study {study.id}"):
        return [Cell(**cell) for cell in study.cells]


def _with_digests(connection: Connection, study: Row[Any]) -> list[Cell]:
    """Its cells with what their jobs' specs come to by this version, which may know more fields than an earlier one."""
    rows = _jobs(connection, study.id)
    cells_found = []
    for cell in _cells(study):
        if cell.job_id in rows:
            with readable(f"the spec of job {cell.job_id}"):
                cell = dataclasses.replace(cell, digest=cells.digest_of_stored(rows[cell.job_id].spec))
        cells_found.append(cell)
    return cells_found


def _jobs(connection: Connection, study_id: str) -> dict[str, Row[Any]]:
    return {row.id: row for row in connection.execute(select(jobs).where(jobs.c.study == study_id))}


def _study(row: Row[Any], counts: Counter[CellState]) -> Study:
    try:
        spec, of_study = _spec(row), _cells(row)
    except Unreadable as error:
        return _unreadable(row, counts, str(error))
    deleted = len(of_study) - counts.total()
    if deleted:
        counts = counts + Counter({"deleted": deleted})
    return Study(
        id=row.id,
        name=row.name,
        labels=spec.labels,
        owner=row.owner,
        state=state_of(counts),
        factors={factor.name: list(factor.levels) for factor in spec.crossed()},
        design=spec.design.model_dump(exclude_none=True),
        replicates=spec.replicates,
        trials="search" if spec.trials == "search" else spec.trials.name,
        jobs=dict(counts),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
    )


def _unreadable(row: Row[Any], counts: Counter[CellState], why: str) -> Study:
    """What is known of a study whose spec or cells cannot be read."""
    return Study(
        id=row.id,
        name=row.name,
        labels={},
        owner=row.owner,
        state=state_of(counts),
        factors={},
        design={},
        replicates=1,
        jobs=dict(counts),
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        unreadable=why,
    )


def _detail(connection: Connection, row: Row[Any]) -> StudyDetail:
    of_study = _jobs(connection, row.id)
    progress = progress_of(connection, list(of_study.values()))
    answers = answers_of(connection, list(of_study))
    cell_rows = []
    for cell in _cells(row):
        job, answer = of_study.get(cell.job_id), answers.get(cell.job_id)
        result, response = answer or (None, None)
        overall = response.overall if response is not None else None
        tested = (result.winner.test or {}).get(result.metric) if result is not None else None
        cell_rows.append(
            StudyCell(
                number=cell.number,
                levels=dict(cell.levels),
                replicate=cell.replicate,
                job_id=cell.job_id,
                state="deleted" if job is None else JobState(job.state),
                problem=None if job is None else reason_of(job.problem),
                progress=progress.get(cell.job_id),
                best_temperature=overall.best_temperature if overall is not None else None,
                best=overall.confidence_set if overall is not None else None,
                gain=gain_over_t4(result) if result is not None else None,
                quality=(tested or result.winner.validation) if result is not None else None,
                verdict=result.verdict.headline if result is not None and result.verdict is not None else None,
            )
        )
    counts: Counter[CellState] = Counter(cell.state for cell in cell_rows if cell.state != "deleted")
    study = _study(row, counts)
    fields = {field.name: getattr(study, field.name) for field in dataclasses.fields(study)}
    fields["allotted"] = _allotted(list(of_study.values()))
    return StudyDetail(**fields, spec=row.spec, cells=cell_rows)


def _allotted(rows: Sequence[Row[Any]]) -> Allotted | None:
    """How far an adaptive study has handed out its trials, from the rows of its jobs; None of another."""
    trials, total = allotments.totals(rows)
    more = any(row.allotting is not None and row.state not in TERMINAL_JOBS for row in rows)
    return Allotted(trials=trials, total=total, more=more) if total else None
