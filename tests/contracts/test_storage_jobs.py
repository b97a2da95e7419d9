"""A job does what its user says, whatever state it is in, and nobody else sees it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import event, func, select, update

from search.claims import artifacts, finalization
from search.errors import (
    CursorInvalid,
    IdempotencyConflict,
    IllegalMove,
    LeaseLost,
    NotFound,
    SpecInvalid,
)
from search.optuna_bridge import study
from search.records import Job, Principal
from search.requests import jobs
from search.requests.trials import list_trials
from search.spec.job import JobSpec
from search.states import Arm, JobState, Stage, TrialState
from search.storage.db import Database, now_sql
from search.storage.events import read_events
from search.storage.folder import Folder
from search.storage.tables import idempotency, metadata
from search.storage.tables import jobs as job_table
from tests.search.factories import (  # fmt: skip
    ADMIN,
    ME,
    OTHER,
    at_once,
    attach,
    lose,
    spec,
    submitted,
    take,
    taken,
    train,
    train_all,
)

HOSTILE = ["", "x", "\x00", "\ud800", "0" * 33, "job:1", "' OR 1=1 --", "../..", "%", "🌡"]
ACTS: dict[str, Callable[[Database, str, Principal], object]] = {
    "get": jobs.get_job,
    "stop": jobs.stop_job,
    "cancel": jobs.cancel_job,
    "pause": jobs.pause_job,
    "resume": jobs.resume_job,
    "extend": lambda db, job_id, who: jobs.extend_job(db, job_id, who, trials=99),
    "delete": lambda db, job_id, who: jobs.delete_job(db, job_id, who, Folder(Path("nowhere"))),
    "trials": list_trials,
    "events": read_events,
}


def completed(db: Database, **changes: object) -> Job:
    """A job that was searched, confirmed, tested and closed."""
    job = submitted(db, **changes)
    train_all(db)
    close(db)
    return jobs.get_job(db, job.id, ME)


def close(db: Database) -> finalization.ClosingClaim:
    """Closes the job that waits for it."""
    claim = finalization.claim_closing(db, "w", 60.0)
    assert claim is not None
    finalization.open_test(db, claim.token, claim.job_id)
    finalization.complete(db, claim.token, claim.job_id, {})
    return claim


def states(db: Database, job: Job, stage: Stage) -> list[TrialState]:
    return [trial.state for trial in list_trials(db, job.id, ME, stage=stage, limit=1000).items]


def test_a_new_job_is_queued(db: Database) -> None:
    job, created = jobs.submit(db, spec(labels={"team": "x"}, budget={"trials": 7, "seconds": 60}), ME)
    assert created
    assert (job.state, job.owner, job.labels, job.name) == (JobState.QUEUED, ME.id, {"team": "x"}, "small")
    assert (job.budget_trials, job.budget_epochs, job.budget_seconds) == (7, None, 60.0)
    assert (job.started_at, job.ended_at, job.study_name) == (None, None, f"thermowell-{job.id}")
    assert job.created_at.tzinfo is UTC
    assert [event.kind for event in read_events(db, job.id, ME)] == ["submitted"]
    assert jobs.get_job(db, job.id, ME) == job


def test_the_same_request_makes_one_job(db: Database) -> None:
    job, created = jobs.submit(db, spec(), ME, ("key", "hash"))
    again, created_again = jobs.submit(db, spec(), ME, ("key", "hash"))
    assert (created, created_again, again.id) == (True, False, job.id)
    with pytest.raises(IdempotencyConflict):
        jobs.submit(db, spec(), ME, ("key", "another hash"))
    for hostile in HOSTILE:
        assert [jobs.submit(db, spec(), ME, (hostile * 300, "hash"))[1] for _ in range(2)] == [True, False]
    theirs, created = jobs.submit(db, spec(), OTHER, ("key", "another hash"))
    assert created
    assert theirs.id != job.id


def test_the_same_request_many_times_at_once_makes_one_job(db: Database) -> None:
    answers = at_once([lambda: jobs.submit(db, spec(), ME, ("key", "hash"))] * 8)
    assert len({job.id for job, _ in answers}) == 1
    assert sorted(created for _, created in answers) == [False] * 7 + [True]
    assert len(jobs.list_jobs(db, ME).items) == 1


def test_a_key_is_free_again_once_its_job_is_deleted(db: Database, tmp_path: Path) -> None:
    job, _ = jobs.submit(db, spec(), ME, ("key", "hash"))
    jobs.cancel_job(db, job.id, ME)
    jobs.delete_job(db, job.id, ME, Folder(tmp_path))
    again, created = jobs.submit(db, spec(), ME, ("key", "hash"))
    assert created
    assert again.id != job.id
    assert jobs.submit(db, spec(), ME, ("key", "hash")) == (again, False)


@pytest.mark.parametrize("act", ACTS)
def test_nobody_sees_another_owners_job_but_an_admin(db: Database, act: str) -> None:
    job = submitted(db)
    for job_id in (job.id, *HOSTILE):
        with pytest.raises(NotFound):
            ACTS[act](db, job_id, OTHER)
    if act in ("get", "trials", "events", "stop", "cancel", "pause", "extend"):
        ACTS[act](db, job.id, ADMIN)


def test_lists_show_ones_own_jobs_and_an_admin_all(db: Database) -> None:
    mine, theirs = submitted(db), submitted(db, OTHER)
    assert [job.id for job in jobs.list_jobs(db, ME).items] == [mine.id]
    assert [job.id for job in jobs.list_jobs(db, OTHER).items] == [theirs.id]
    assert {job.id for job in jobs.list_jobs(db, ADMIN).items} == {mine.id, theirs.id}


def test_lists_are_filtered(db: Database) -> None:
    red, blue = submitted(db, name="red", labels={"a.b c": "1"}), submitted(db, name="blue", labels={"a.b c": "2"})
    jobs.pause_job(db, blue.id, ME)
    for wanted, found in (
        ({"name": "red"}, [red.id]),
        ({"label": ("a.b c", "2")}, [blue.id]),
        ({"state": JobState.PAUSED}, [blue.id]),
        ({"state": JobState.QUEUED, "label": ("a.b c", "2")}, []),
        ({"label": ("a", "1")}, []),
    ):
        assert [job.id for job in jobs.list_jobs(db, ME, **wanted).items] == found, wanted  # type: ignore[arg-type]


def test_lists_bear_any_filter(db: Database) -> None:
    submitted(db, labels={"a": "1"})
    for text in [*HOSTILE, '"', "$", "a'b", "]", "\\", "null"]:
        for wanted in ({"name": text}, {"label": (text, "1")}, {"label": ("a", text)}):
            assert jobs.list_jobs(db, ME, **wanted).items == [], wanted  # type: ignore[arg-type]


def test_pages_show_each_job_once_though_others_come_and_go(db: Database) -> None:
    made = [submitted(db, name=f"job {number}").id for number in range(7)]
    seen, cursor = [], None
    for _ in range(4):
        page = jobs.list_jobs(db, ME, cursor=cursor, limit=2)
        seen += [job.id for job in page.items]
        cursor = page.next_cursor
        submitted(db, name="newer")  # before the first page: it moves nothing
        jobs.cancel_job(db, seen[-1], ME)
    assert seen == made[::-1]
    assert cursor is None


def test_pages_split_jobs_of_one_moment(db: Database) -> None:
    made = {submitted(db).id for _ in range(5)}
    with db.write() as connection:
        connection.execute(metadata.tables["tw_jobs"].update().values(created_at=1.5))
    seen, cursor = [], None
    while not seen or cursor is not None:
        page = jobs.list_jobs(db, ME, cursor=cursor, limit=2)
        seen, cursor = seen + [job.id for job in page.items], page.next_cursor
    assert (len(seen), set(seen)) == (5, made)


def test_cursors_are_not_trusted(db: Database) -> None:
    job = submitted(db)
    for cursor in [*HOSTILE, "WyJqb2JzIl0", "bnVsbA", "W10", "A" * 5000]:
        with pytest.raises(CursorInvalid):
            jobs.list_jobs(db, ME, cursor=cursor)
        with pytest.raises(CursorInvalid):
            list_trials(db, job.id, ME, cursor=cursor)


def test_a_page_of_jobs_takes_as_many_queries_as_one(db: Database) -> None:
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    submitted(db)
    statements.clear()
    jobs.list_jobs(db, ME)
    one = len(statements)
    for _ in range(5):
        submitted(db)
    statements.clear()
    assert len(jobs.list_jobs(db, ME).items) == 6
    assert len(statements) == one


def test_stop_lets_running_trials_end_and_confirms_what_there_is(db: Database) -> None:
    job = submitted(db, budget={"trials": 50})
    train(db, taken(db))
    train(db, taken(db))
    running = taken(db)
    stopped = jobs.stop_job(db, job.id, ME)
    assert (stopped.state, stopped.search_stopped, stopped.progress.search_budget) == (JobState.RUNNING, True, 3)
    assert jobs.stop_job(db, job.id, ME).state is JobState.RUNNING  # once more changes nothing
    assert take(db) is None
    train(db, running)
    assert {claim.stage for claim in train_all(db)} == {Stage.SELECT, Stage.ESTIMATE}
    assert jobs.get_job(db, job.id, ME).state is JobState.ANALYSING
    with pytest.raises(IllegalMove):
        jobs.stop_job(db, job.id, ME)


def test_stop_drops_what_waits_to_be_trained_again(db: Database) -> None:
    job = submitted(db)
    train(db, taken(db))
    lose(db)
    jobs.stop_job(db, job.id, ME)
    assert states(db, job, Stage.SEARCH) == [TrialState.COMPLETED, TrialState.CANCELLED]
    assert jobs.get_job(db, job.id, ME).state is JobState.CONFIRMING


def test_a_stopped_job_without_a_trained_trial_fails(db: Database) -> None:
    stopped = jobs.stop_job(db, submitted(db).id, ME)
    assert (stopped.state, stopped.problem and stopped.problem.type) == (JobState.FAILED, "no-trials")


def test_pause_hands_out_nothing_and_resume_goes_on(db: Database) -> None:
    job = submitted(db)
    running = taken(db)
    assert jobs.pause_job(db, job.id, ME).state is JobState.PAUSED
    assert take(db) is None
    train(db, running)
    assert jobs.get_job(db, job.id, ME).progress.trials_done == 1
    with pytest.raises(IllegalMove):
        jobs.pause_job(db, job.id, ME)
    assert jobs.resume_job(db, job.id, ME).state is JobState.RUNNING
    with pytest.raises(IllegalMove):
        jobs.resume_job(db, job.id, ME)
    train_all(db)
    assert jobs.get_job(db, job.id, ME).state is JobState.ANALYSING


def test_a_job_goes_back_to_where_it_was_paused(db: Database) -> None:
    job = submitted(db)
    jobs.pause_job(db, job.id, ME)
    assert jobs.resume_job(db, job.id, ME).state is JobState.QUEUED
    while jobs.get_job(db, job.id, ME).state is not JobState.CONFIRMING:
        train(db, taken(db))
    jobs.pause_job(db, job.id, ME)
    assert take(db) is None
    assert jobs.resume_job(db, job.id, ME).state is JobState.CONFIRMING
    assert taken(db).stage is Stage.SELECT


def test_a_job_whose_last_trial_ended_in_a_pause_goes_on(db: Database) -> None:
    job = submitted(db, budget={"trials": 1}, baselines={"share": 0})
    last = taken(db)
    jobs.pause_job(db, job.id, ME)
    train(db, last)
    assert jobs.resume_job(db, job.id, ME).state is JobState.CONFIRMING


def test_cancel_ends_everything_at_once(db: Database) -> None:
    job = submitted(db)
    train(db, taken(db))
    taken(db)
    cancelled = jobs.cancel_job(db, job.id, ME)
    assert cancelled.state is JobState.CANCELLED
    assert cancelled.ended_at is not None
    assert states(db, job, Stage.SEARCH) == [TrialState.COMPLETED, TrialState.CANCELLED]
    for act in ("stop", "cancel", "pause", "resume", "extend"):
        with pytest.raises(IllegalMove):
            ACTS[act](db, job.id, ME)


@pytest.mark.parametrize(
    ("budget", "began_ago", "totals", "path", "way_out"),
    [
        ({"trials": 4, "seconds": 3600}, 7200, {"trials": 9}, "seconds", {"trials": 9, "seconds": 10_000}),
        (
            {"trials": 4, "seconds": 3600},
            7200,
            {"trials": 9, "seconds": 7000},
            "seconds",
            {"trials": 9, "seconds": 10_000},
        ),
        ({"trials": 4, "seconds": 3600}, 60, {"seconds": 7200}, "trials", {"trials": 5, "seconds": 7200}),
        ({"trials": 4, "epochs": 12}, 60, {"epochs": 100}, "trials", {"trials": 5, "epochs": 100}),
        ({"trials": 4, "epochs": 12}, 60, {"trials": 9}, "epochs", {"trials": 9, "epochs": 15}),
        ({"trials": 4, "epochs": 12}, 60, {"trials": 9, "epochs": 14}, "epochs", {"trials": 9, "epochs": 15}),
    ],
)
def test_extend_refuses_what_could_not_add_a_trial(
    db: Database, budget: dict[str, Any], began_ago: float, totals: dict[str, Any], path: str, way_out: dict[str, Any]
) -> None:
    """It would confirm again, on fresh seeds and with the test part seen, for no new trial of the search."""
    job = completed(db, budget=budget)
    before = jobs.get_job(db, job.id, ME)
    with db.write() as connection:
        connection.execute(update(job_table).where(job_table.c.id == job.id).values(started_at=now_sql() - began_ago))
    with pytest.raises(SpecInvalid, match="no trial could be added") as refused:
        jobs.extend_job(db, job.id, ME, **totals)
    assert [problem.path for problem in refused.value.problems] == [path]
    after = jobs.get_job(db, job.id, ME)
    assert (after.state, after.budget_trials, after.progress) == (
        JobState.COMPLETED,
        before.budget_trials,
        before.progress,
    )
    assert jobs.extend_job(db, job.id, ME, **way_out).state is JobState.RUNNING
    assert any(claim.stage is Stage.SEARCH for claim in train_all(db))


def test_what_was_stopped_goes_on_with_what_is_left(db: Database) -> None:
    job = submitted(db, budget={"trials": 6, "seconds": 3600})
    train(db, taken(db))
    jobs.stop_job(db, job.id, ME)
    assert jobs.extend_job(db, job.id, ME, seconds=7200).state is JobState.RUNNING
    assert sum(claim.stage is Stage.SEARCH for claim in train_all(db)) == 5


def test_extend_searches_on_and_confirms_again_on_fresh_seeds(db: Database) -> None:
    job = completed(db)
    seeds = {trial.seed for trial in list_trials(db, job.id, ME, limit=1000).items}
    extended = jobs.extend_job(db, job.id, ME, trials=6)
    assert (extended.state, extended.budget_trials, extended.ended_at) == (JobState.RUNNING, 6, None)
    again = train_all(db)
    assert sum(claim.stage is Stage.SEARCH for claim in again) == 2
    confirmed = [claim for claim in again if claim.stage in (Stage.SELECT, Stage.ESTIMATE)]
    assert {claim.round for claim in confirmed} == {1}
    assert seeds.isdisjoint(claim.seed for claim in confirmed)
    assert close(db).test_seen_before
    assert jobs.get_job(db, job.id, ME).state is JobState.COMPLETED


def test_extend_while_confirming_drops_that_confirmation(db: Database) -> None:
    job = submitted(db, baselines={"share": 0})
    while (claim := taken(db)).stage is not Stage.SELECT:
        train(db, claim)
    jobs.extend_job(db, job.id, ME, trials=5)
    with pytest.raises(LeaseLost):
        train(db, claim)
    assert set(states(db, job, Stage.SELECT)) == {TrialState.CANCELLED}
    train_all(db)
    assert not close(db).test_seen_before
    assert jobs.get_job(db, job.id, ME).progress.search_done == 5


def test_extend_goes_on_where_the_search_was_stopped(db: Database) -> None:
    job = submitted(db, baselines={"share": 0})
    train(db, taken(db))
    assert jobs.stop_job(db, job.id, ME).state is JobState.CONFIRMING
    extended = jobs.extend_job(db, job.id, ME, trials=5)
    assert (extended.state, extended.search_stopped) == (JobState.RUNNING, False)
    train_all(db)
    assert jobs.get_job(db, job.id, ME).progress.search_done == 5


def test_extend_while_paused_waits_for_resume(db: Database) -> None:
    job = submitted(db, baselines={"share": 0})
    while jobs.get_job(db, job.id, ME).state is not JobState.CONFIRMING:
        train(db, taken(db))
    jobs.pause_job(db, job.id, ME)
    assert jobs.extend_job(db, job.id, ME, trials=5).state is JobState.PAUSED
    assert take(db) is None
    assert jobs.resume_job(db, job.id, ME).state is JobState.RUNNING
    assert taken(db).stage is Stage.SEARCH


def test_the_time_since_the_search_ended_does_not_count(db: Database) -> None:
    job = completed(db, budget={"trials": 4, "seconds": 3600})
    with db.write() as connection:
        table = metadata.tables["tw_jobs"]
        began, stood = table.c.started_at - 7200, table.c.paused_at - 7200
        connection.execute(table.update().values(started_at=began, paused_at=stood))
    jobs.extend_job(db, job.id, ME, trials=5)
    assert taken(db).stage is Stage.SEARCH


@pytest.mark.parametrize(
    ("totals", "path"),
    [
        ({}, "trials"),
        ({"trials": 4}, "trials"),
        ({"trials": 10**9}, "trials"),
        ({"trials": 5, "seconds": float("inf")}, "seconds"),
        ({"trials": 5, "seconds": float("nan")}, "seconds"),
        ({"epochs": 100}, "epochs"),  # were never limited
    ],
)
def test_extend_refuses_what_is_no_extension(db: Database, totals: dict[str, int], path: str) -> None:
    job = submitted(db, budget={"trials": 4, "seconds": 60})
    with pytest.raises(SpecInvalid) as refused:
        jobs.extend_job(db, job.id, ME, **totals)
    assert [problem.path for problem in refused.value.problems] == [path]
    assert jobs.get_job(db, job.id, ME).budget_trials == 4


def test_delete_leaves_nothing_and_needs_an_end(db: Database, tmp_path: Path) -> None:
    job, _ = jobs.submit(db, spec(), ME, ("key", "hash"))
    kept = submitted(db)
    storage = study.optuna_storage(db)
    for of in (job, kept):
        optuna.create_study(study_name=study.optuna_study_name(of.id, Arm.JOINT), storage=storage)
    attach(db, taken(db))
    with pytest.raises(IllegalMove):
        jobs.delete_job(db, job.id, ME, Folder(tmp_path))
    jobs.cancel_job(db, job.id, ME)
    for of in (job, kept):
        (tmp_path / artifacts.work(of.id)).mkdir(parents=True)
    jobs.delete_job(db, job.id, ME, Folder(tmp_path))
    assert [path.name for path in (tmp_path / "work").iterdir()] == [kept.id]
    with db.read() as connection:
        for table in metadata.sorted_tables:
            if "job_id" in table.c:
                held = select(func.count()).where(table.c.job_id == job.id)
                assert connection.execute(held).scalar_one() == 0, table.name
        assert connection.execute(select(func.count()).select_from(idempotency)).scalar_one() == 0
    names = {each.study_name for each in optuna.get_all_study_summaries(storage)}
    assert study.optuna_study_name(job.id, Arm.JOINT) not in names
    assert study.optuna_study_name(kept.id, Arm.JOINT) in names
    study.close_storage(storage)
    with pytest.raises(NotFound):
        jobs.get_job(db, job.id, ME)


def test_text_that_a_database_could_not_look_into_is_refused() -> None:
    for change in (
        {"labels": {"a": "\x00"}},
        {"student": {"name": "timm:\x00"}},
        {"dataset": {"name": "npz", "path": "\x00"}},
    ):
        with pytest.raises(ValueError, match=next(iter(change))):
            JobSpec.model_validate(spec().model_dump(exclude_none=True) | change)
