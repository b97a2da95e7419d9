"""A trial that kills its workers fails alone, a job that does so is paused, and nobody else pays for either."""

from __future__ import annotations

import pytest

from search.claims import checkpointing, claiming, leases, reporting
from search.claims.checkpointing import Checkpoint
from search.claims.claiming import Claim
from search.claims.worker_loss import MAX_LOSSES, MAX_WORKERS, SUSPECT
from search.records import Trial
from search.requests import jobs
from search.requests.trials import get_trial
from search.states import JobState, TrialState
from search.storage.db import Database
from search.storage.events import read_events
from tests.search.factories import EXPIRED, FIXED, ME, attach, epoch, submitted, take, taken, train


def many(db: Database, worker: str, most: int = 4, seconds: float = EXPIRED) -> list[Claim]:
    return claiming.claim_many(db, worker, seconds, most, fixed=lambda _: FIXED, room=lambda *_: True)


def lost_again(db: Database, worker: str) -> Claim:
    """A worker takes one trial and is never heard of again."""
    claim = taken(db, worker, EXPIRED)
    leases.reap(db)
    return claim


def trial(db: Database, job_id: str, number: int = 0) -> Trial:
    return get_trial(db, job_id, number, ME)[0]


def test_a_poison_trial_fails_alone_with_what_is_known_of_it(db: Database) -> None:
    job = submitted(db, budget={"trials": 8})
    together = many(db, "w0")
    assert len(together) == 4
    leases.reap(db)
    assert {each.trial_id for each in many(db, "w1")} == {each.trial_id for each in together}
    leases.reap(db)
    poison = together[0].trial_id
    for attempt in range(SUSPECT + 1, MAX_LOSSES + 1):
        [alone] = many(db, f"w{attempt}")  # nobody beside it, though three others wait
        assert (alone.trial_id, alone.suspect, alone.attempt) == (poison, True, attempt)
        leases.reap(db)
    ended = trial(db, job.id)
    assert ended.state is TrialState.FAILED
    assert ended.reason is not None
    assert ended.reason.type == "worker-lost"
    assert f"w{MAX_LOSSES}, at epoch 0 of attempt {MAX_LOSSES}" in ended.reason.detail
    for innocent in together[1:]:  # each gets its turn alone, and then is as good as any other
        [alone] = many(db, "well", seconds=60.0)
        assert (alone.trial_id, alone.suspect) == (innocent.trial_id, True)
        train(db, alone)
    assert jobs.get_job(db, job.id, ME).state is JobState.RUNNING
    assert len(many(db, "well")) == 4


def test_who_holds_others_takes_no_suspect_but_is_not_idle_for_it(db: Database) -> None:
    submitted(db, budget={"trials": 8})
    busy = taken(db, "busy")
    lost_again(db, "w0")
    suspect = lost_again(db, "w1")
    assert take(db, "busy") is None  # the job has nothing else that waits; new trials come after it
    other = submitted(db, name="other")
    assert taken(db, "busy").job_id == other.id
    assert taken(db, "idle").trial_id == suspect.trial_id != busy.trial_id


def test_a_busy_fleet_takes_a_suspect_in_the_end(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted(db, budget={"trials": 8})
    taken(db, "busy")
    for number in range(SUSPECT):
        lost_again(db, f"w{number}")
    assert take(db, "busy") is None
    monkeypatch.setattr(claiming, "PATIENCE_LEASES", 0)
    assert taken(db, "busy").suspect


def test_a_trial_that_comes_further_each_time_is_not_poison(db: Database) -> None:
    job = submitted(db, training={"epochs": 40})
    for step in range(1, 2 * MAX_WORKERS):
        claim = taken(db, f"w{step}", EXPIRED)
        attach(db, claim)
        assert claim.epoch == step - 1
        reporting.report(db, claim.token, claim.trial_id, epoch(step))
        assert checkpointing.checkpoint_all(db, [Checkpoint(claim.token, claim.trial_id, step, f"at-{step}")]) == set()
        leases.reap(db)
        assert trial(db, job.id).state is TrialState.WAITING
    assert jobs.get_job(db, job.id, ME).state is JobState.RUNNING


def test_a_poison_job_is_paused_and_goes_on_when_it_is_resumed(db: Database) -> None:
    job = submitted(db, budget={"trials": 100})
    for number in range(MAX_WORKERS):
        lost_again(db, f"w{number}")
    paused = jobs.get_job(db, job.id, ME)
    assert paused.state is JobState.PAUSED
    assert paused.problem is not None
    assert paused.problem.type == "workers-lost"
    assert f"w{MAX_WORKERS - 1}" in paused.problem.detail
    assert take(db) is None
    failed = [trial(db, job.id, number).state for number in range(MAX_WORKERS // MAX_LOSSES)]
    assert set(failed) == {TrialState.FAILED}
    resumed = jobs.resume_job(db, job.id, ME)
    assert (resumed.state, resumed.problem) == (JobState.RUNNING, None)
    lost_again(db, "one more")
    assert jobs.get_job(db, job.id, ME).state is JobState.RUNNING


def test_a_job_that_ends_trials_in_between_goes_on(db: Database) -> None:
    job = submitted(db, budget={"trials": 100})
    for number in range(2 * MAX_WORKERS):
        lost_again(db, f"w{number}")
        if number % (MAX_WORKERS - 1) == 0:
            train(db, taken(db, f"well{number}"))
    assert jobs.get_job(db, job.id, ME).state is JobState.RUNNING


def test_a_job_beside_a_poison_one_is_not_blamed(db: Database) -> None:
    both = [submitted(db, name=name, budget={"trials": 100}) for name in ("poison", "innocent")]
    for number in range(SUSPECT):
        assert {taken(db, f"w{number}", EXPIRED).job_id for _ in both} == {job.id for job in both}
        leases.reap(db)
    for job in both:
        with db.read() as connection:
            lost = connection.exec_driver_sql(f"SELECT lost_workers FROM tw_jobs WHERE id = '{job.id}'").scalar_one()
        assert lost == 0


def test_a_worker_says_itself_how_a_training_process_ended(db: Database) -> None:
    job = submitted(db)
    for _ in range(MAX_LOSSES):
        claim = taken(db)
        leases.lose(db, claim.token, "a training process ended by signal 9")
    ended = trial(db, job.id)
    assert ended.state is TrialState.FAILED
    assert ended.reason is not None
    assert "ended by signal 9" in ended.reason.detail
    told = [event for event in read_events(db, job.id, ME) if event.kind == "trial_lost"]
    assert [event.payload["losses"] for event in told] == list(range(1, MAX_LOSSES + 1))
    assert {event.payload["how"] for event in told} == {"a training process ended by signal 9"}
