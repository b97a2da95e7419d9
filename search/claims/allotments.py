"""Allotments of adaptive studies: which of them are to hand out trials, and the hand-out itself, in one transaction.

No lease is needed: whoever hands out names what it has seen, and nothing is written where that is so no longer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, or_, select, update

from search.claims.grid import Block
from search.claims.lifecycle import advance, reread
from search.errors import Unreadable
from search.states import TERMINAL_JOBS, Allotting, JobState
from search.storage.access import is_id
from search.storage.db import Database, now_sql
from search.storage.events import emit
from search.storage.stored import readable
from search.storage.tables import jobs, studies
from search.storage.tables import leases as held

PATIENCE = 60.0
"""Seconds without a lease or any news of a study, after which its cells wait no longer for those that nobody trains,
and that a worker without work does not train either.
"""
LONG_PATIENCE = 3600.0
"""The same of jobs that programs of others train, which may be away for a while."""
_TRAINING = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class Allotment:
    """What a study has handed to one of its cells: so many trials in all, these `blocks` among them. The cell brings
    its `share` to the study.
    """

    share: int
    trials: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class HandOut:
    """Blocks for cells of a study, by job, what each block takes of its trials, and whether more may follow."""

    blocks: Mapping[str, Sequence[Block]]
    sizes: Mapping[str, int]
    more: bool


def fresh(share: int, trials: int) -> dict[str, Any]:
    """The columns of a new cell that begins with so many trials of its share."""
    return {"allotting": Allotting.OPEN, "allotment": _stored(share, trials)}


def _stored(share: int, trials: int, blocks: Sequence[Block] = ()) -> dict[str, Any]:
    """What `allotment_of` reads."""
    return {"share": share, "trials": trials, "blocks": [list(block) for block in blocks]}


def allotment_of(job: Row[Any]) -> Allotment | None:
    """What a job's row says; None of a job that is no cell of an adaptive study. Unreadable."""
    if job.allotment is None:
        return None
    with readable(f"the allotment of job {job.id}"):
        stored = job.allotment
        blocks = tuple((int(setting), int(round_)) for setting, round_ in stored["blocks"])
        return Allotment(int(stored["share"]), int(stored["trials"]), blocks)


def blocks_of(job: Row[Any]) -> tuple[Block, ...]:
    """Those that were handed to a job, behind the rounds that it began with. Unreadable."""
    allotment = allotment_of(job)
    return () if allotment is None else allotment.blocks


def waits(patience: float | None = None) -> tuple[ColumnElement[bool], ...]:
    """Of jobs: they wait for their study to hand out trials, and it waits for none of its cells.

    It waits for those that have trials to train, unless they are paused. With `patience`, for whoever could train none
    of these, not where the study has had no lease and no news for so many seconds: nobody else is there either.
    """
    other = jobs.alias()
    of_study = other.c.study == jobs.c.study
    in_training = (other.c.allotting == Allotting.OPEN) & other.c.state.in_(_TRAINING)
    unfinished = select(other.c.id).where(of_study, in_training).exists()
    waiting = (jobs.c.allotting == Allotting.DUE) & (jobs.c.state == JobState.RUNNING)
    if patience is None:
        return waiting, ~unfinished
    recent = select(other.c.id).where(of_study, other.c.updated_at > now_sql() - patience).exists()
    leased = select(held.c.subject).join(other, other.c.id == held.c.job_id).where(of_study).exists()
    return waiting, or_(~unfinished, ~(recent | leased))


def due_study(db: Database, criteria: ColumnElement[bool], patience: float | None = None) -> str | None:
    """The study, of those of some jobs, that has waited longest to hand out trials; None where none is to."""
    first = select(jobs.c.study).where(*waits(patience), criteria).order_by(jobs.c.updated_at).limit(1)
    with db.look() as connection:
        return connection.scalar(first)


def cells_of(connection: Connection, study_id: str) -> list[Row[Any]]:
    """The rows of a study's jobs that take part in its hand-outs, whatever has become of them, in the order of ids."""
    of_study = select(jobs).where(jobs.c.study == study_id, jobs.c.allotment.is_not(None))
    return list(connection.execute(of_study.order_by(jobs.c.id)))


def due_among(rows: Sequence[Row[Any]]) -> dict[str, Allotment]:
    """By job what it has, of those that wait to be handed more."""
    waiting = [row for row in rows if row.allotting == Allotting.DUE and row.state == JobState.RUNNING]
    return {row.id: allotment for row, allotment in _readable(waiting)}


def trials_left(rows: Sequence[Row[Any]]) -> int:
    """Trials of a study that nobody was handed yet."""
    handed, total = totals(rows)
    return total - handed


def totals(rows: Sequence[Row[Any]]) -> tuple[int, int]:
    """Trials that the cells of a study have been handed, and those that they bring."""
    of_cells = [allotment for _, allotment in _readable(rows)]
    return sum(cell.trials for cell in of_cells), sum(cell.share for cell in of_cells)


def reserve_of(connection: Connection, owner: str) -> int:
    """Trials that an owner's adaptive studies may still hand out, beyond what their cells have."""
    going_on = select(jobs.c.study).where(
        jobs.c.owner == owner, jobs.c.allotting.is_not(None), jobs.c.state.not_in(TERMINAL_JOBS)
    )
    of_studies = select(jobs.c.id, jobs.c.study, jobs.c.allotment).where(
        jobs.c.study.in_(going_on), jobs.c.allotment.is_not(None)
    )
    by_study: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(of_studies):
        by_study[row.study].append(row)
    return sum(max(0, trials_left(rows)) for rows in by_study.values())


def lock_study(connection: Connection, study_id: str) -> None:
    """Makes whoever else hands out a study's trials wait; it is taken before any of its jobs."""
    connection.execute(select(studies.c.id).where(studies.c.id == study_id).with_for_update())


def lock_study_of(connection: Connection, job_id: str) -> None:
    """As `lock_study`, of the study whose cell a job is, if it is one's; `job_id` may be any string at all."""
    study_id = connection.scalar(select(jobs.c.study).where(jobs.c.id == job_id)) if is_id(job_id) else None
    if study_id is not None:
        lock_study(connection, study_id)


def take_along(connection: Connection, job: Row[Any]) -> None:
    """Before a cell is deleted that was handed more than it brought: what it took stays taken, off another's share."""
    excess = -trials_left([job])
    if excess <= 0:
        return
    for row, other in _readable([row for row in cells_of(connection, job.study) if row.id != job.id]):
        values = {"allotment": _stored(other.share - excess, other.trials, other.blocks)}
        connection.execute(update(jobs).where(jobs.c.id == row.id).values(**values))
        return


def _readable(rows: Sequence[Row[Any]]) -> Iterator[tuple[Row[Any], Allotment]]:
    """What rows say; one that cannot be read keeps nobody from the others."""
    for row in rows:
        with suppress(Unreadable):
            allotment = allotment_of(row)
            if allotment is not None:
                yield row, allotment


def hand_out(db: Database, study_id: str, seen: Mapping[str, Allotment], decision: HandOut) -> int | None:
    """Gives cells their blocks, and answers how many trials that is; where no more may follow, all others go on to
    their confirmation, but those that have trials to train: what is left is handed out among them.

    None, and nothing is changed, where the cells that wait are not those that were `seen`, or too few trials are left:
    somebody else was first.
    """
    with db.write() as connection:
        lock_study(connection, study_id)
        locked = select(jobs.c.id).where(jobs.c.study == study_id, jobs.c.allotment.is_not(None)).order_by(jobs.c.id)
        connection.execute(locked.with_for_update(key_share=True))
        rows = cells_of(connection, study_id)
        spent = sum(len(blocks) * decision.sizes[job_id] for job_id, blocks in decision.blocks.items())
        if due_among(rows) != seen or spent > max(0, trials_left(rows)):
            return None
        for job_id, blocks in decision.blocks.items():
            _add(connection, job_id, seen[job_id], blocks, len(blocks) * decision.sizes[job_id])
        if not (decision.more and spent):
            unfinished = any(row.allotting == Allotting.OPEN and row.state in _TRAINING for row in rows)
            _settle(connection, [row for row in rows if row.id in seen] if unfinished else rows)
    return spent


def _add(connection: Connection, job_id: str, before: Allotment, blocks: Sequence[Block], trials: int) -> None:
    """Hands blocks of so many trials to a cell. Its owner's quota has had room for them since the study came."""
    allotment = _stored(before.share, before.trials + trials, (*before.blocks, *blocks))
    values = {"budget_trials": jobs.c.budget_trials + trials, "allotment": allotment, "allotting": Allotting.OPEN}
    emit(connection, job_id, "allotted", {"trials": trials}, **values)


def _settle(connection: Connection, rows: Sequence[Row[Any]]) -> None:
    """Ends the hand-outs of a study: each cell goes on to its confirmation when it has trained what it has."""
    for row in rows:
        if row.allotting is not None:
            connection.execute(update(jobs).where(jobs.c.id == row.id).values(allotting=None))
            current = reread(connection, row.id)
            if current.state == JobState.RUNNING:
                advance(connection, current)
