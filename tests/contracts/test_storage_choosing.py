"""Between search and confirmation: one worker chooses the finalists, and what it stores is what is confirmed."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import delete

from search.claims import claiming, finalist_choice, leases
from search.errors import LeaseLost
from search.records import Job
from search.requests import jobs
from search.requests.trials import iter_trials
from search.states import Arm, JobState, Stage
from search.storage import tables
from search.storage.db import Database
from search.storage.events import read_events
from tests.search.factories import (
    EXPIRED,
    FIXED,
    ME,
    at_once,
    choose,
    chosen,
    lose,
    submitted,
    take,
    taken,
    train,
    train_all,
)

SEARCH = {"budget": {"trials": 8}, "confirmation": {"finalists": 3, "select_seeds": 3, "estimate_seeds": 2}}


@pytest.fixture
def searched(db: Database) -> Job:
    """A job whose search has ended: nothing is to be trained before its finalists are chosen."""
    job = submitted(db, baselines={"share": 0.25}, **SEARCH)
    while (claim := claiming.claim(db, "w", 60.0, fixed=lambda _: FIXED)) is not None:
        train(db, claim)
    return job


def kinds(db: Database, job: Job) -> list[str]:
    return [event.kind for event in read_events(db, job.id, ME, limit=1000)]


def test_one_worker_chooses(db: Database, searched: Job) -> None:
    assert jobs.get_job(db, searched.id, ME).state is JobState.CONFIRMING
    claims = at_once([lambda: finalist_choice.claim_choosing(db, "w", 60.0)] * 6)
    [claim] = [claim for claim in claims if claim is not None]
    assert (claim.job_id, claim.round) == (searched.id, 0)
    assert claiming.claim(db, "w", 60.0, fixed=lambda _: FIXED) is None
    finalists = chosen(db, claim)
    assert finalist_choice.store_finalists(db, claim.token, finalists)
    assert finalist_choice.claim_choosing(db, "w", 60.0) is None
    waiting = Counter(
        (trial.arm, trial.origin) for trial in iter_trials(db, searched.id, ME) if trial.stage is Stage.SELECT
    )
    assert waiting == {(Arm(each.arm), one.trial): 2 for each in finalists.arms for one in each.finalists
                       if len(each.finalists) > 1}  # fmt: skip
    with pytest.raises(LeaseLost):
        finalist_choice.store_finalists(db, claim.token, finalists)


def test_who_dies_over_it_changes_nothing(db: Database, searched: Job) -> None:
    """kill -9 between choosing and storing, and again after storing: the next one comes to the same trials."""
    lost = finalist_choice.claim_choosing(db, "lost", EXPIRED)
    assert lost is not None
    first = chosen(db, lost)
    assert leases.reap(db).closings == [searched.id]
    with pytest.raises(LeaseLost):
        finalist_choice.store_finalists(db, lost.token, first)
    second = choose(db)
    assert second is not None
    assert second.model_copy(update={"computed_at": ""}) == first.model_copy(update={"computed_at": ""})
    for _ in range(3):  # workers are lost over the first block, too
        lose(db)
    train_all(db)
    assert jobs.get_job(db, searched.id, ME).state is JobState.ANALYSING
    seen = kinds(db, searched)
    assert (seen.count("choosing"), seen.count("choosing_lost"), seen.count("finalists")) == (2, 1, 1)


def test_a_stored_choice_is_gone_on_with_where_it_was_not(db: Database, searched: Job) -> None:
    jobs.pause_job(db, searched.id, ME)
    assert finalist_choice.claim_choosing(db, "w", 60.0) is None
    jobs.resume_job(db, searched.id, ME)
    claim = finalist_choice.claim_choosing(db, "w", 60.0)
    assert claim is not None
    jobs.pause_job(db, searched.id, ME)
    assert finalist_choice.store_finalists(db, claim.token, chosen(db, claim))
    assert [trial for trial in iter_trials(db, searched.id, ME) if trial.stage is Stage.SELECT] == []
    jobs.resume_job(db, searched.id, ME)
    assert taken(db).stage is Stage.SELECT


def test_a_choice_of_a_search_that_went_on_is_past(db: Database, searched: Job) -> None:
    claim = finalist_choice.claim_choosing(db, "w", 60.0)
    assert claim is not None
    jobs.extend_job(db, searched.id, ME, trials=10)
    assert not finalist_choice.store_finalists(db, claim.token, chosen(db, claim))
    train_all(db)
    assert jobs.get_job(db, searched.id, ME).state is JobState.ANALYSING
    assert {trial.round for trial in iter_trials(db, searched.id, ME) if trial.stage is Stage.SELECT} == {1}


def test_each_round_of_confirmation_chooses_anew(db: Database, searched: Job) -> None:
    choose(db)
    train(db, taken(db))
    jobs.extend_job(db, searched.id, ME, trials=10)
    while (claim := claiming.claim(db, "w", 60.0, fixed=lambda _: FIXED)) is not None:
        train(db, claim)
    again = choose(db)
    assert again is not None
    assert again.round == 1


def test_a_choice_that_takes_its_workers_down_pauses_the_job(db: Database, searched: Job) -> None:
    for _ in range(leases.MAX_LOSSES):
        assert finalist_choice.claim_choosing(db, "lost", EXPIRED) is not None
        leases.reap(db)
    job = jobs.get_job(db, searched.id, ME)
    assert job.state is JobState.PAUSED
    assert job.problem is not None
    assert job.problem.type == "choosing-lost"


def test_a_confirmation_of_before_choices_were_kept_comes_to_its_end(db: Database, searched: Job) -> None:
    """As a database holds it whose service was upgraded in the middle of a confirmation."""
    choose(db)
    with db.write() as connection:
        connection.execute(delete(tables.analyses))
    train_all(db)
    assert jobs.get_job(db, searched.id, ME).state is JobState.ANALYSING
    assert kinds(db, searched).count("choosing") == 1
    assert take(db) is None
