"""On every database: a job whose trials are paid for is paused for what its machines did, and goes on where it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import update

from search.claims import finalist_choice, finalization, leases, reporting
from search.claims.attempts import ATTEMPTS, Failure
from search.claims.worker_loss import MAX_LOSSES
from search.errors import IllegalMove, LeaseLost, QuotaExceeded
from search.records import Job, Principal, Quota, Reason
from search.requests import jobs, keys
from search.requests.trials import list_trials
from search.states import LOST, JobState, Stage, TrialState
from search.storage import tables
from search.storage.db import Database
from search.storage.events import read_events, read_news
from tests.search.factories import EXPIRED, ME, choose, chosen, submitted, take, taken, train, train_all

FULL = Failure("OSError: [Errno 28] No space left on device")
SINGULAR = Failure("LinAlgError: Singular matrix", lasting=True)


def confirmed(db: Database, owner: Principal = ME) -> Job:
    """A job that waits to be closed."""
    job = submitted(db, owner, baselines={"share": 0})
    train_all(db)
    return jobs.get_job(db, job.id, owner)


def searched(db: Database) -> Job:
    """A job that waits for its finalists."""
    job = submitted(db, baselines={"share": 0})
    for _ in range(4):
        train(db, taken(db))
    assert jobs.get_job(db, job.id, ME).state is JobState.CONFIRMING
    return job


def lose_closing(db: Database) -> None:
    assert finalization.claim_closing(db, "lost", EXPIRED) is not None
    leases.reap(db)


def lose_choosing(db: Database) -> None:
    assert finalist_choice.claim_choosing(db, "lost", EXPIRED) is not None
    leases.reap(db)


def attempt(db: Database, failure: Failure, worker: str = "w") -> None:
    """A worker cannot close the job, and the pause after its attempt is over."""
    claim = finalization.claim_closing(db, worker, EXPIRED)
    assert claim is not None
    leases.fail_attempt(db, claim.token, failure)
    leases.reap(db)


def complete(db: Database, job: Job) -> None:
    """Closes the job, as it waits to be."""
    claim = finalization.claim_closing(db, "well", 60.0)
    assert claim is not None
    assert claim.job_id == job.id
    finalization.complete(db, claim.token, job.id, {})
    assert now(db, job).state is JobState.COMPLETED


def now(db: Database, job: Job) -> Job:
    return jobs.get_job(db, job.id, ME)


def problem(db: Database, job: Job) -> str | None:
    found = now(db, job).problem
    return None if found is None else found.type


def kinds(db: Database, job: Job) -> list[str]:
    return [event.kind for event in read_events(db, job.id, ME, limit=10_000)]


@pytest.mark.parametrize("kind", ["closing", "choosing"])
def test_lost_workers_pause_the_job_and_each_resume_counts_anew(db: Database, kind: str) -> None:
    job, state, lose = (
        (confirmed(db), JobState.ANALYSING, lose_closing)
        if kind == "closing"
        else (searched(db), JobState.CONFIRMING, lose_choosing)
    )
    for _ in range(2):
        for count in range(1, MAX_LOSSES + 1):
            assert now(db, job).state is state, count
            lose(db)
        paused = now(db, job)
        assert (paused.state, problem(db, job)) == (JobState.PAUSED, f"{kind}-lost")
        assert paused.problem is not None
        assert "5 workers were lost" in paused.problem.detail
        assert f"thermowell resume {job.id}" in paused.problem.detail
        assert paused.resumable
        assert not read_news(db, job.id, ME, 0, 10_000)[1], "its stream goes on"
        assert (finalization.claim_closing(db, "w", 60.0), finalist_choice.claim_choosing(db, "w", 60.0), take(db)) == (
            None,
        ) * 3
        resumed = jobs.resume_job(db, job.id, ME)
        assert (resumed.state, resumed.problem) == (state, None)
    train_all(db)
    complete(db, job)


def test_a_choice_that_comes_while_the_job_is_paused_is_fenced(db: Database) -> None:
    job = searched(db)
    for _ in range(MAX_LOSSES - 1):
        lose_choosing(db)
    late = finalist_choice.claim_choosing(db, "late", EXPIRED)
    assert late is not None
    leases.reap(db)
    with pytest.raises(LeaseLost):
        finalist_choice.store_finalists(db, late.token, chosen(db, late))
    jobs.resume_job(db, job.id, ME)
    assert choose(db) is not None


def test_errors_of_the_machines_pause_the_job_whichever_worker_meets_them(db: Database) -> None:
    job = confirmed(db)
    for number in range(ATTEMPTS):
        assert now(db, job).state is JobState.ANALYSING
        attempt(db, FULL, f"w{number}")
    paused = now(db, job)
    assert (paused.state, problem(db, job)) == (JobState.PAUSED, "closing-failed")
    assert paused.problem is not None
    assert "No space left on device" in paused.problem.detail
    assert f"w{ATTEMPTS - 1}" in paused.problem.detail
    assert "closing_lost" not in kinds(db, job), "an attempt that failed is no worker that was lost"
    jobs.resume_job(db, job.id, ME)
    attempt(db, FULL)
    assert now(db, job).state is JobState.ANALYSING, "counted anew"
    complete(db, job)


def test_what_failed_rests_until_its_lease_is_over(db: Database) -> None:
    confirmed(db)
    claim = finalization.claim_closing(db, "w", 60.0)
    assert claim is not None
    leases.fail_attempt(db, claim.token, FULL)
    leases.reap(db)
    assert finalization.claim_closing(db, "other", 60.0) is None


def test_an_error_that_lasts_fails_the_job_with_its_own_reason(db: Database) -> None:
    job = confirmed(db)
    for number in range(ATTEMPTS):
        attempt(db, SINGULAR, f"w{number}")
    failed = now(db, job)
    assert (failed.state, problem(db, job)) == (JobState.FAILED, "analysis-failed")
    assert failed.problem is not None
    assert failed.problem.detail.startswith(SINGULAR.text)
    assert not failed.resumable
    with pytest.raises(IllegalMove, match="failed job cannot be resumed"):
        jobs.resume_job(db, job.id, ME)


@pytest.mark.parametrize("odd", [FULL, Failure("ValueError: another", lasting=True)])
def test_an_error_that_is_not_the_same_each_time_is_not_known_to_last(db: Database, odd: Failure) -> None:
    job = confirmed(db)
    for failure in (SINGULAR, odd, SINGULAR):
        attempt(db, failure)
    assert (now(db, job).state, problem(db, job)) == (JobState.PAUSED, "closing-failed")


@pytest.mark.parametrize("slug", sorted(LOST))
def test_a_job_that_failed_so_before_is_resumed_by_its_slug(db: Database, slug: str) -> None:
    job = searched(db) if slug.startswith("choosing") else confirmed(db)
    claim = finalist_choice.claim_choosing(db, "w", 60.0) or finalization.claim_closing(db, "w", 60.0)
    assert claim is not None
    reporting.fail_job(db, claim.token, Reason(slug, "as it was told then"))
    failed = now(db, job)
    assert (failed.state, failed.resumable, failed.ended_at is None) == (JobState.FAILED, True, False)
    resumed = jobs.resume_job(db, job.id, ME)
    assert (resumed.state, resumed.problem, resumed.ended_at) == (LOST[slug], None, None)
    last = read_events(db, job.id, ME, limit=10_000)[-1]
    assert (last.kind, last.payload["from"], last.payload["to"]) == ("state", "failed", LOST[slug])
    train_all(db)
    complete(db, job)


@pytest.mark.parametrize("slug", ["dataset-missing", "crashed", "no-trials", "analysis-failed"])
def test_no_other_reason_lets_a_failed_job_go_on(db: Database, slug: str) -> None:
    job = submitted(db)
    reporting.fail_job(db, taken(db).token, Reason(slug, "why"))
    with pytest.raises(IllegalMove, match="closing-lost"):
        jobs.resume_job(db, job.id, ME)
    assert not now(db, job).resumable


def test_a_failed_job_that_goes_on_is_one_of_its_owners_unfinished_jobs_again(db: Database) -> None:
    key, _ = keys.create_key(db, "narrow", frozenset({"submit"}), Quota(jobs=1))
    owner = Principal(key.id, key.name, key.scopes)
    job = confirmed(db, owner)
    claim = finalization.claim_closing(db, "w", 60.0)
    assert claim is not None
    reporting.fail_job(db, claim.token, Reason("closing-lost", "before"))
    other = submitted(db, owner)
    with pytest.raises(QuotaExceeded, match="without this one"):
        jobs.resume_job(db, job.id, owner)
    jobs.cancel_job(db, other.id, owner)
    assert jobs.resume_job(db, job.id, owner).state is JobState.ANALYSING


def test_a_user_may_pause_a_job_while_its_answer_is_worked_out(db: Database) -> None:
    job = confirmed(db)
    late = finalization.claim_closing(db, "w", 60.0)
    assert late is not None
    assert jobs.pause_job(db, job.id, ME).state is JobState.PAUSED
    with pytest.raises(LeaseLost):
        finalization.complete(db, late.token, job.id, {})
    assert jobs.resume_job(db, job.id, ME).state is JobState.ANALYSING
    complete(db, job)


def test_a_paused_closing_is_extended_and_its_pause_costs_no_time(db: Database) -> None:
    job = submitted(db, baselines={"share": 0}, budget={"trials": 4, "seconds": 1000})
    train_all(db)
    for _ in range(ATTEMPTS):
        attempt(db, FULL)
    with db.write() as connection:  # the search has ended, and then the job stood still, an hour ago
        long_ago = {"paused_at": tables.jobs.c.paused_at - 3600, "started_at": tables.jobs.c.started_at - 3600}
        connection.execute(update(tables.jobs).values(**long_ago))
    extended = jobs.extend_job(db, job.id, ME, trials=6)
    assert (extended.state, extended.budget_trials) == (JobState.PAUSED, 6)
    resumed = jobs.resume_job(db, job.id, ME)
    assert resumed.state is JobState.RUNNING
    train_all(db)
    stages = [trial.stage for trial in list_trials(db, job.id, ME, limit=1000).items]
    assert stages.count(Stage.SEARCH) == 6, "an hour of standing still is none of the search's seconds"
    complete(db, job)


def cancelled(db: Database, job: Job) -> None:
    assert jobs.cancel_job(db, job.id, ME).state is JobState.CANCELLED


def not_stopped(db: Database, job: Job) -> None:
    with pytest.raises(IllegalMove, match="a paused job cannot be stopped"):
        jobs.stop_job(db, job.id, ME)


@pytest.mark.parametrize("act", [cancelled, not_stopped])
def test_what_else_may_be_done_with_a_paused_closing(db: Database, act: Callable[[Database, Job], None]) -> None:
    job = confirmed(db)
    for _ in range(ATTEMPTS):
        attempt(db, FULL)
    act(db, job)


def test_what_a_machine_lacks_pauses_a_job_that_was_trained(db: Database) -> None:
    job = submitted(db, baselines={"share": 0})
    train(db, taken(db))
    other, claim = taken(db), taken(db, "lacking")
    assert reporting.suspend_job(db, claim.token, Reason("dataset-missing", "it is not there")) is JobState.PAUSED
    paused = now(db, job)
    assert (paused.state, problem(db, job)) == (JobState.PAUSED, "dataset-missing")
    assert paused.problem is not None
    assert "(on lacking)" in paused.problem.detail
    train(db, other)  # what runs elsewhere ends
    assert jobs.resume_job(db, job.id, ME).state is JobState.RUNNING
    states = {trial.number: trial.state for trial in list_trials(db, job.id, ME).items}
    assert states[claim.number] is TrialState.WAITING
    train_all(db)
    complete(db, job)


def test_what_a_machine_lacks_fails_a_job_of_which_nothing_was_trained(db: Database) -> None:
    job, claim = submitted(db), taken(db)
    assert reporting.suspend_job(db, claim.token, Reason("dataset-missing", "fetch it")) is JobState.FAILED
    assert now(db, job).problem == Reason("dataset-missing", "fetch it")


def test_a_job_that_cannot_be_made_ready_costs_no_trial(db: Database) -> None:
    job = submitted(db, budget={"trials": 4}, baselines={"share": 0})
    for number in range(ATTEMPTS):
        leases.fail_attempt(db, taken(db, f"w{number}").token, Failure("MemoryError: "))
    paused = now(db, job)
    assert (paused.state, problem(db, job)) == (JobState.PAUSED, "preparing-failed")
    jobs.resume_job(db, job.id, ME)
    done = train_all(db)
    assert {claim.number for claim in done if claim.stage is Stage.SEARCH} == set(range(4))
    complete(db, job)


def test_a_job_that_is_made_ready_in_between_goes_on(db: Database) -> None:
    job = submitted(db, budget={"trials": 8})
    for _ in range(2 * ATTEMPTS):
        leases.fail_attempt(db, taken(db, "small").token, Failure("MemoryError: "))
        train(db, taken(db, "large"))
    assert now(db, job).state is JobState.RUNNING


def test_an_error_is_stored_as_far_as_anybody_reads_it(db: Database) -> None:
    confirmed(db)
    claim = finalization.claim_closing(db, "w", 60.0)
    assert claim is not None
    leases.fail_attempt(db, claim.token, Failure("x" * 10_000))
    [said] = [event for event in read_events(db, claim.job_id, ME, limit=1000) if event.kind == "closing_failed"]
    assert len(said.payload["error"]) == 500
