"""A study does what its user says, nobody else sees it, and its jobs stay what they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.errors import CursorInvalid, IdempotencyConflict, NotFound, NotReady, QuotaExceeded, SpecInvalid
from search.records import Principal, Quota
from search.requests import jobs, keys, studies
from search.spec.job import JobSpec
from search.states import JobState
from search.storage.db import Database
from search.storage.folder import Folder
from search.studies.records import StudyDetail
from search.studies.spec import StudyExtension, StudySpec
from tests.search.factories import ADMIN, ME, OTHER, at_once, spec, taken, train

HOSTILE = ["", "x", "\x00", "\ud800", "0" * 33, "' OR 1=1 --", "../..", "🌡"]
ACTS: dict[str, Callable[[Database, str, Principal], object]] = {
    "get": studies.get_study,
    "extend": lambda db, study_id, who: studies.extend_study(db, study_id, who, StudyExtension(replicates=3)),
    "cancel": studies.cancel_study,
}


def base() -> dict[str, Any]:
    document = spec().model_dump(mode="json", exclude_none=True)
    del document["name"]
    return document


def study(**changes: Any) -> StudySpec:
    """Four cells: two lengths, two optimizers."""
    factors = {"training.epochs": [3, 6], "space.optimizer": [{"sgd": {}}, {"adamw": {}}]}
    return StudySpec.model_validate({"name": "crossed", "base": base(), "factors": factors} | changes)


def submitted(db: Database, principal: Principal = ME, **changes: Any) -> StudyDetail:
    return studies.submit_study(db, study(**changes), principal)[0]


def ids(found: StudyDetail) -> list[str]:
    return [cell.job_id for cell in found.cells]


def test_a_study_is_ordinary_jobs_with_labels(db: Database) -> None:
    found, created = studies.submit_study(db, study(labels={"team": "x"}, replicates=2), ME, request_id="r1")
    assert created
    assert (found.name, found.owner, found.state, found.replicates) == ("crossed", ME.id, "running", 2)
    assert found.factors == {"training.epochs": ["3", "6"], "space.optimizer": ["sgd", "adamw"]}
    assert found.jobs == {JobState.QUEUED: 8}
    assert [cell.number for cell in found.cells] == list(range(8))
    last = jobs.get_job(db, found.cells[-1].job_id, ME)
    assert (last.name, last.study, last.request_id) == ("crossed-007", found.id, "r1")
    assert last.labels == {
        "team": "x", "study": "crossed", "replicate": "1", "training.epochs": "6", "space.optimizer": "adamw",
    }  # fmt: skip
    assert JobSpec.model_validate(last.spec).seed == 1
    assert {job.id for job in jobs.list_jobs(db, ME, label=("study", "crossed")).items} == set(ids(found))
    assert studies.get_study(db, found.id, ME) == found
    assert jobs.get_job(db, jobs.submit(db, spec(), ME)[0].id, ME).study is None


def test_a_study_of_one_cell_asks_for_what_the_plain_job_asks(db: Database) -> None:
    [cell] = submitted(db, factors={}).cells
    plain, _ = jobs.submit(db, spec(), ME)
    of_study = jobs.get_job(db, cell.job_id, ME)
    aside = {"name", "labels"}
    assert {k: v for k, v in of_study.spec.items() if k not in aside} == {
        k: v for k, v in plain.spec.items() if k not in aside
    }
    assert (of_study.advice, of_study.priority) == (plain.advice, plain.priority)
    first, second = taken(db), taken(db)
    while second.job_id == first.job_id:
        train(db, second)
        second = taken(db)
    assert {first.job_id, second.job_id} == {cell.job_id, plain.id}


def test_the_same_request_makes_one_study(db: Database) -> None:
    found, created = studies.submit_study(db, study(), ME, ("key", "hash"))
    again, created_again = studies.submit_study(db, study(), ME, ("key", "hash"))
    assert (created, created_again, again) == (True, False, found)
    with pytest.raises(IdempotencyConflict):
        studies.submit_study(db, study(), ME, ("key", "another hash"))
    assert studies.submit_study(db, study(), OTHER, ("key", "another hash"))[1]
    assert jobs.submit(db, spec(), ME, ("key", "yet another"))[1], "a job's keys are its own"
    answers = at_once([lambda: studies.submit_study(db, study(), ME, ("at once", "hash"))] * 4)
    assert len({one.id for one, _ in answers}) == 1
    assert sorted(made for _, made in answers) == [False] * 3 + [True]
    assert len(jobs.list_jobs(db, ME).items) == 4 + 1 + 4


@pytest.mark.parametrize("act", ACTS)
def test_nobody_sees_another_owners_study_but_an_admin(db: Database, act: str) -> None:
    found = submitted(db)
    for study_id in (found.id, *HOSTILE):
        with pytest.raises(NotFound):
            ACTS[act](db, study_id, OTHER)
    ACTS[act](db, found.id, ADMIN)
    assert {jobs.get_job(db, one, ME).owner for one in ids(studies.get_study(db, found.id, ME))} == {ME.id}
    with pytest.raises(NotFound):
        studies.get_guidance(db, found.id, OTHER)
    with pytest.raises(NotReady):
        studies.get_guidance(db, found.id, ADMIN)


def test_extending_changes_none_of_the_jobs_that_were_there(db: Database) -> None:
    found = submitted(db, base=base() | {"training": {"epochs": 3}})
    before = [jobs.get_job(db, one, ME) for one in ids(found)]
    more = StudyExtension(factors={"teacher.label_smoothing": [0, 0.1], "training.epochs": [12]})
    larger = studies.extend_study(db, found.id, ME, more)
    assert [jobs.get_job(db, one, ME) for one in ids(larger)[:4]] == before
    assert len(larger.cells) == 12
    assert [cell.levels["teacher.label_smoothing"] for cell in larger.cells[:4]] == ["0"] * 4
    assert {jobs.get_job(db, one, ME).study for one in ids(larger)} == {found.id}
    assert ids(studies.extend_study(db, found.id, ME, more)) == ids(larger), "twice is once"
    with pytest.raises(SpecInvalid):
        studies.extend_study(db, found.id, ME, StudyExtension(factors={"training.epochs": [0]}))
    assert studies.get_study(db, found.id, ME).factors == larger.factors


def test_extending_at_once_makes_every_job_once(db: Database) -> None:
    found = submitted(db)
    wanted = StudyExtension(replicates=2)

    def extend() -> object:
        try:
            return studies.extend_study(db, found.id, ME, wanted)
        except Exception as error:
            return type(error).__name__

    answers = at_once([extend] * 4)
    assert {answer for answer in answers if isinstance(answer, str)} <= {"IllegalMove"}
    assert len(studies.get_study(db, found.id, ME).cells) == 8
    assert len(jobs.list_jobs(db, ME).items) == 8


def test_cancelling_ends_what_has_not_ended(db: Database) -> None:
    found = submitted(db)
    jobs.cancel_job(db, ids(found)[0], ME)
    assert studies.get_study(db, found.id, ME).state == "running"
    ended = studies.cancel_study(db, found.id, ME)
    assert (ended.state, ended.jobs) == ("cancelled", {JobState.CANCELLED: 4})
    assert studies.cancel_study(db, found.id, ME) == ended


def test_a_deleted_job_leaves_its_cell(db: Database, tmp_path: Path) -> None:
    found = submitted(db)
    gone = ids(found)[1]
    jobs.cancel_job(db, gone, ME)
    jobs.delete_job(db, gone, ME, Folder(tmp_path))
    left = studies.get_study(db, found.id, ME)
    assert (left.cells[1].state, left.cells[1].progress) == ("deleted", None)
    assert left.jobs == {JobState.QUEUED: 3, "deleted": 1}
    assert studies.list_studies(db, ME).items[0].jobs == left.jobs
    assert ids(studies.extend_study(db, found.id, ME, StudyExtension(replicates=2)))[1] == gone
    assert studies.cancel_study(db, found.id, ME).state == "completed"


def test_a_quota_takes_all_jobs_or_none(db: Database) -> None:
    key, _ = keys.create_key(db, "small", frozenset({"submit"}))
    owner = Principal(key.id, "small", frozenset({"submit"}))
    keys.set_quota(db, key.id, Quota(jobs=5))
    with pytest.raises(QuotaExceeded, match=r"has 0, and this would add 8: wait until"):
        submitted(db, owner, replicates=2)
    keys.set_quota(db, key.id, Quota(jobs=8, trials=7))
    with pytest.raises(QuotaExceeded, match=r"they have 0, and this asks for \d+ more: ask for at most 7 in all, with"):
        submitted(db, owner, replicates=2)
    keys.set_quota(db, key.id, Quota(jobs=5))
    assert studies.list_studies(db, owner).items == []
    assert jobs.list_jobs(db, owner).items == []
    found = submitted(db, owner)
    with pytest.raises(QuotaExceeded):
        studies.extend_study(db, found.id, owner, StudyExtension(replicates=2))
    assert studies.get_study(db, found.id, owner) == found


def test_studies_are_listed_page_by_page(db: Database) -> None:
    made = [submitted(db, name=f"s{number}", factors={}).id for number in range(3)]
    submitted(db, OTHER)
    first = studies.list_studies(db, ME, limit=2)
    rest = studies.list_studies(db, ME, limit=2, cursor=first.next_cursor)
    assert [one.id for one in (*first.items, *rest.items)] == made[::-1]
    assert rest.next_cursor is None
    assert len(studies.list_studies(db, ADMIN).items) == 4
    for cursor in ("AAAA", jobs.list_jobs(db, ADMIN, limit=1).next_cursor or ""):
        with pytest.raises(CursorInvalid):
            studies.list_studies(db, ME, cursor=cursor)


def test_workers_share_a_study_by_cells_and_leave_others_their_part(db: Database) -> None:
    found = submitted(db)
    first, second = taken(db, "a"), taken(db, "b")
    assert first.job_id != second.job_id, "each makes one cell's teacher ready"
    assert [taken(db, worker).job_id for worker in "abab"] == [first.job_id, second.job_id] * 2
    job = jobs.submit(db, spec(name="single"), ME)[0]
    assert {taken(db, "a").job_id for _ in range(3)} == {job.id}, "before a study of four cells, as before one job"
    assert {first.job_id, second.job_id} <= set(ids(found))
