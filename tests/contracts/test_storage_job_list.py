"""The list of jobs holds what is asked for, in the order that is asked for, with each study's jobs as one row."""

from __future__ import annotations

from typing import Any

import pytest

from search.errors import CursorInvalid, NotFound
from search.records import Job, Principal
from search.requests import dashboard_queries, jobs, studies
from search.requests.job_list import JOB_SORTS, MOST_CELLS, JobFilter, ListedStudy, browse_jobs
from search.states import JobState
from search.storage.db import Database
from search.studies.spec import StudySpec
from tests.search.factories import ADMIN, ME, OTHER, spec, submitted


def study(db: Database, name: str = "crossed", replicates: int = 1, owner: Principal = ME) -> str:
    base = spec().model_dump(mode="json", exclude_none=True)
    del base["name"]
    document = {"name": name, "base": base, "factors": {"training.epochs": [3, 6]}, "replicates": replicates}
    return studies.submit_study(db, StudySpec.model_validate(document), owner)[0].id


def names(db: Database, who: Principal = ME, **wanted: Any) -> list[str]:
    return [name_of(row) for row in browse_jobs(db, who, JobFilter(**wanted)).items]


def name_of(row: Job | ListedStudy) -> str:
    return row.study.name if isinstance(row, ListedStudy) else row.name


def test_the_jobs_of_a_study_are_one_row(db: Database) -> None:
    first = submitted(db, name="alone")
    study_id = study(db, replicates=MOST_CELLS)
    row, other = browse_jobs(db, ME, JobFilter()).items
    assert isinstance(row, ListedStudy)
    assert (row.study.id, row.matching, len(row.cells)) == (study_id, 2 * MOST_CELLS, MOST_CELLS)
    assert [cell.name for cell in row.cells] == [f"crossed-{number:03d}" for number in range(MOST_CELLS)]
    assert isinstance(other, Job)
    assert other.id == first.id
    unfolded = browse_jobs(db, ME, JobFilter(study=study_id), limit=100).items
    assert [type(one) for one in unfolded] == [Job] * 2 * MOST_CELLS
    assert browse_jobs(db, OTHER, JobFilter()).items == []
    assert len(browse_jobs(db, ADMIN, JobFilter()).items) == 2
    with pytest.raises(NotFound):
        browse_jobs(db, OTHER, JobFilter(study=study_id))


def test_a_filter_finds_cells_within_their_study(db: Database) -> None:
    study_id = study(db)
    cells = studies.get_study(db, study_id, ME).cells
    jobs.cancel_job(db, cells[1].job_id, ME)
    (row,) = browse_jobs(db, ME, JobFilter(state=JobState.CANCELLED)).items
    assert isinstance(row, ListedStudy)
    assert (row.matching, [cell.id for cell in row.cells]) == (1, [cells[1].job_id])
    assert row.study.jobs == {JobState.QUEUED: 1, JobState.CANCELLED: 1}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("ALPHA", ["alpha one"]),
        ("one", ["ONE beta", "alpha one"]),
        ("one beta", ["ONE beta"]),
        ("team=vision", ["alpha one"]),
        ("team=visio", []),
        ("vision", ["alpha one"]),
        ("team: audio", ["ONE beta"]),
        ("100%", ["ONE beta"]),
        ("_", []),
        ("größe", ["ONE beta"]),
        ("' OR 1=1", []),
        ('"', []),
        ("\x00", []),
        ("\ud800", []),
    ],
)
def test_words_are_looked_for_in_names_and_labels(db: Database, words: str, found: list[str]) -> None:
    submitted(db, name="alpha one", labels={"team": "vision"})
    submitted(db, name="ONE beta", labels={"team": "audio", "note": "Größe 100%"})
    assert names(db, words=words) == found


@pytest.mark.parametrize("sort", JOB_SORTS)
def test_every_order_is_paged_without_gap_or_double(db: Database, sort: Any) -> None:
    for number in range(5):
        submitted(db, name=f"job {(number * 3) % 5}", fleet={"priority": 10 + number % 2})
    study(db, name="job 2")
    whole = names(db, sort=sort)
    assert len(whole) == 6
    paged, cursor = [], None
    while True:
        page = browse_jobs(db, ME, JobFilter(sort=sort), cursor=cursor, limit=2)
        paged += [name_of(row) for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert paged == whole
    expected = {"newest": whole[0] == "job 2", "oldest": whole[-1] == "job 2", "name": whole == sorted(whole)}
    assert expected.get(sort, True)


def test_a_cursor_of_another_order_is_refused(db: Database) -> None:
    for _ in range(3):
        submitted(db)
    cursor = browse_jobs(db, ME, JobFilter(), limit=1).next_cursor
    for other in (JobFilter(sort="name"), JobFilter(sort="priority")):
        with pytest.raises(CursorInvalid):
            browse_jobs(db, ME, other, cursor=cursor)


def test_the_pulse_of_a_study_moves_with_its_jobs_alone(db: Database) -> None:
    study_id = study(db)
    before = dashboard_queries.pulse(db, ME, study_id=study_id)
    submitted(db)
    assert dashboard_queries.pulse(db, ME, study_id=study_id) == before
    jobs.cancel_job(db, studies.get_study(db, study_id, ME).cells[0].job_id, ME)
    assert dashboard_queries.pulse(db, ME, study_id=study_id) != before
    with pytest.raises(NotFound):
        dashboard_queries.pulse(db, OTHER, study_id=study_id)
