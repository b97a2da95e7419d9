"""The hand-outs of adaptive studies, decided from all of their runs outside of any transaction.

Any number of workers may decide at once, and may be lost over it: the first to come to its end is heard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import ColumnElement, Row, select

from search.analysis.study.allotment import Block, Candidate, at_once, blocks_of
from search.analysis.study.cells import Cell
from search.analysis.study.runs import Runs, grid_places
from search.analysis.study.stored import cell_of, runs_by_job
from search.claims import allotments, grid
from search.claims.allotments import Allotment, HandOut
from search.claims.lifecycle import spec_of
from search.errors import Unreadable
from search.spec.job import JobSpec
from search.storage.db import Database
from search.storage.stored import readable
from search.storage.tables import studies
from search.studies import cells

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Question:
    """A study that is to hand out trials, with the rows and the runs of its jobs, those that wait, and how many trials
    are left.
    """

    study: Row[Any]
    rows: Mapping[str, Row[Any]]
    runs: Mapping[str, Runs]
    due: Mapping[str, Allotment]
    left: int


def hand_out_one(db: Database, criteria: ColumnElement[bool], patience: float | None = None) -> bool:
    """Hands out trials of the study, of those of some jobs, that has waited longest; False where none waits.

    `patience` is for whoever finds nothing to train: after so many seconds without news a study waits no longer for
    cells that nobody trains. Where nothing can be worked out the hand-outs end: an answer is owed in any case.
    """
    study_id = allotments.due_study(db, criteria, patience)
    if study_id is None:
        return False
    question = _read(db, study_id)
    try:
        decision = _decide(question)
    except Exception as error:  # an answer is owed in any case, and whoever asks has other jobs too
        _log.error("trials of a study cannot be handed out", study=study_id, exc_info=error)
        decision = HandOut({}, {}, more=False)
    trials = allotments.hand_out(db, study_id, question.due, decision)
    if trials is not None:
        _log.info("trials handed out", study=study_id, trials=trials, jobs=len(decision.blocks))
    return True


def _read(db: Database, study_id: str) -> _Question:
    with db.read() as connection:
        study = connection.execute(select(studies).where(studies.c.id == study_id)).one()
        of_study = allotments.cells_of(connection, study_id)
        rows = {row.id: row for row in of_study}
        runs = runs_by_job(connection, rows)
    return _Question(study, rows, runs, allotments.due_among(of_study), allotments.trials_left(of_study))


def _cells(question: _Question) -> Iterator[Cell]:
    with readable(f"the cells of study {question.study.id}"):
        of_study = [cells.Cell(**cell) for cell in question.study.cells]
    for cell in of_study:
        if cell.job_id in question.rows:
            with suppress(Unreadable):
                yield cell_of(cell, question.rows[cell.job_id], question.runs.get(cell.job_id))


def _decide(question: _Question) -> HandOut:
    """What is handed out next."""
    specs = dict(_specs(question))
    candidates = [
        Candidate(job_id, *grid_places(spec, spec.grid), len(spec.grid.along(spec.space)))
        for job_id, spec in specs.items()
        if spec.grid is not None
    ]
    if not candidates:
        return HandOut({}, {}, more=False)
    sizes = {candidate.job_id: candidate.trials for candidate in candidates}
    blocks = blocks_of(list(_cells(question)), candidates, at_once(question.left, list(sizes.values())))
    left = question.left - sum(sizes[block.job_id] for block in blocks)
    handed = {
        job_id: _in_rounds(spec, question.due[job_id].blocks, [block for block in blocks if block.job_id == job_id])
        for job_id, spec in specs.items()
    }
    return HandOut({job_id: of_job for job_id, of_job in handed.items() if of_job}, sizes, left >= min(sizes.values()))


def _specs(question: _Question) -> Iterator[tuple[str, JobSpec]]:
    """By job the specs of those that wait, in the order of the study's rows."""
    for job_id in question.due:
        with suppress(Unreadable):
            yield job_id, spec_of(question.rows[job_id])


def _in_rounds(spec: JobSpec, before: Sequence[grid.Block], blocks: Sequence[Block]) -> list[grid.Block]:
    """A job's blocks, each setting in the round that comes after those that it has had."""
    begun = spec.budget.trials // (1 if spec.grid is None else spec.grid.round_size(spec.space))
    counts = Counter(setting for setting, _ in before)
    placed = []
    for block in blocks:
        placed.append((block.setting, begun + counts[block.setting]))
        counts[block.setting] += 1
    return placed
