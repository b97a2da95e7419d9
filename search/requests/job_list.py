"""The list of the jobs page: searched, filtered and sorted, with the cells of a study folded into one row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Row, Text, and_, cast, func, or_, select, true, tuple_

from search.records import Job, Page, Principal, Reason
from search.requests.progress import progress_of
from search.requests.studies import summaries
from search.states import JobState
from search.storage import cursors
from search.storage.access import visible_study
from search.storage.db import Database
from search.storage.rows import job_of, reason_of
from search.storage.tables import jobs, studies
from search.studies.records import Study

Sort = Literal["newest", "oldest", "changed", "name", "priority"]
JOB_SORTS: tuple[Sort, ...] = get_args(Sort)
MOST_CELLS = 12
"""Of one study in the list; its own page has all of them."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are listed, and in which order.

    `words` are part of a job's name, or of a label's name or value; `study` is the id of a study, whose cells are then
    listed one by one.
    """

    words: str = ""
    state: JobState | None = None
    study: str | None = None
    sort: Sort = "newest"


@dataclass(frozen=True, slots=True)
class ListedCell:
    """One job of a study, as the list names it."""

    id: str
    name: str
    state: JobState
    problem: Reason | None


@dataclass(frozen=True, slots=True)
class ListedStudy:
    """A study whose jobs are folded: `matching` of them are what was asked for, the first few are named."""

    study: Study
    matching: int
    cells: Sequence[ListedCell]


def browse_jobs(
    db: Database, principal: Principal, job_filter: JobFilter, *, cursor: str | None = None, limit: int = 25
) -> Page[Job | ListedStudy]:
    """Jobs that the principal may see, those of a study as one row. CursorInvalid; NotFound for another's study."""
    if not cursors.is_text(job_filter.words):
        return Page([], None)  # no database could look for it
    with db.read() as connection:
        criteria = _criteria(connection, principal, job_filter)
        families = _families(connection, job_filter, criteria, cursor, limit + 1)
        page = families[:limit]
        singles = _singles(connection, [row.family for row in page if row.study is None or job_filter.study])
        folded = _folded(connection, criteria, page) if job_filter.study is None else {}
        rows: list[Job | ListedStudy] = []
        for row in page:
            entry = singles.get(row.family) or folded.get(row.family)
            rows += [] if entry is None else [entry]
        more = cursors.encode(_kind(job_filter), page[-1].place, page[-1].family) if len(families) > limit else None
        return Page(rows, more)


def _criteria(connection: Connection, principal: Principal, job_filter: JobFilter) -> ColumnElement[bool]:
    criteria: list[ColumnElement[bool]] = [] if principal.may("admin") else [jobs.c.owner == principal.id]
    if job_filter.state is not None:
        criteria.append(jobs.c.state == job_filter.state)
    if job_filter.study is not None:
        criteria.append(jobs.c.study == visible_study(connection, job_filter.study, principal).id)
    for word in (word.rstrip(":") for word in job_filter.words.split()):
        name, equals, value = word.partition("=")
        in_labels = (
            [json.dumps(word)[1:-1]] if not equals else [f'"{json.dumps(name)[1:-1]}": "{json.dumps(value)[1:]}']
        )
        of_labels = [cast(jobs.c.labels, Text).icontains(text, autoescape=True) for text in in_labels]
        criteria.append(or_(jobs.c.name.icontains(word, autoescape=True), *of_labels))
    return and_(true(), *criteria)


def _families(
    connection: Connection, job_filter: JobFilter, criteria: ColumnElement[bool], cursor: str | None, limit: int
) -> Sequence[Row[Any]]:
    """A row for each job that is no study's, and for each study, by the order that is asked for."""
    family = jobs.c.id if job_filter.study else func.coalesce(jobs.c.study, jobs.c.id)
    places: dict[Sort, tuple[ColumnElement[Any], bool, type | tuple[type, ...]]] = {
        "newest": (func.max(jobs.c.created_at), True, (float, int)),
        "oldest": (func.min(jobs.c.created_at), False, (float, int)),
        "changed": (func.max(jobs.c.updated_at), True, (float, int)),
        "name": (func.min(func.lower(jobs.c.name)), False, str),
        "priority": (func.max(jobs.c.priority), True, int),
    }
    place, falling, kind = places[job_filter.sort]
    study = func.max(jobs.c.study).label("study")
    query = select(family.label("family"), place.label("place"), study, func.count().label("jobs"))
    query = query.where(criteria).group_by(family)
    if cursor is not None:
        value, name = cursors.decode(cursor, _kind(job_filter), (kind, str))
        position, behind = tuple_(place, family), tuple_(value, name)
        query = query.having(position < behind if falling else position > behind)
    order = [column.desc() if falling else column.asc() for column in (place, family)]
    return connection.execute(query.order_by(*order).limit(limit)).all()


def _kind(job_filter: JobFilter) -> str:
    return f"listed jobs {job_filter.sort}"


def _singles(connection: Connection, ids: Sequence[str]) -> dict[str, Job]:
    rows = connection.execute(select(jobs).where(jobs.c.id.in_(ids))).all()
    progress = progress_of(connection, rows, remember=True)
    return {row.id: job_of(row, progress[row.id]) for row in rows}


def _folded(connection: Connection, criteria: ColumnElement[bool], page: Sequence[Row[Any]]) -> dict[str, ListedStudy]:
    matching = {row.family: row.jobs for row in page if row.study is not None}
    # cells that were submitted together are numbered in their names
    order = (jobs.c.created_at, func.length(jobs.c.name), jobs.c.name, jobs.c.id)
    place = func.row_number().over(partition_by=jobs.c.study, order_by=order).label("place")
    columns = (jobs.c.id, jobs.c.name, jobs.c.state, jobs.c.problem, jobs.c.study)
    numbered = select(*columns, place).where(criteria, jobs.c.study.in_(list(matching))).subquery()
    cells: dict[str, list[ListedCell]] = {study: [] for study in matching}
    for row in connection.execute(select(numbered).where(numbered.c.place <= MOST_CELLS).order_by(numbered.c.place)):
        cells[row.study].append(ListedCell(row.id, row.name, JobState(row.state), reason_of(row.problem)))
    of_page = connection.execute(select(studies).where(studies.c.id.in_(list(matching)))).all()
    return {
        study.id: ListedStudy(study, matching[study.id], cells[study.id]) for study in summaries(connection, of_page)
    }
