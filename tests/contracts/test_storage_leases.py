"""A worker that has lost its lease writes nothing, and nothing is lost with it."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Connection, select, text

from search.claims import claiming, finalization, leases, reporting
from search.claims.leases import MAX_LOSSES
from search.errors import DatabaseUnavailable, LeaseLost
from search.records import Reason
from search.requests import jobs
from search.requests.trials import get_trial, list_trials
from search.states import JobState, Stage, TrialState
from search.storage import db as databases
from search.storage.db import Database
from search.storage.tables import metadata
from tests.search.factories import (  # fmt: skip
    DIVERGED,
    EPOCHS,
    EXPIRED,
    ME,
    at_once,
    attach,
    configuration,
    epoch,
    lose,
    opened,
    submitted,
    take,
    taken,
    train,
    train_all,
)
from trainers.spec import Metrics, TeacherFacts

METRICS = Metrics(0.5, 0.6, 0.05, 0.9, 1.2)
WRITES: dict[str, Callable[[Database, claiming.Claim], object]] = {
    "attach": lambda db, claim: reporting.attach(db, claim.token, claim.trial_id, 99, configuration(claim)),
    "report": lambda db, claim: reporting.report(db, claim.token, claim.trial_id, epoch(2)),
    "complete": lambda db, claim: reporting.finish(db, claim.token, claim.trial_id, TrialState.COMPLETED, value=1.0),
    "prune": lambda db, claim: reporting.finish(db, claim.token, claim.trial_id, TrialState.PRUNED, value=1.0),
    "fail": lambda db, claim: reporting.finish(db, claim.token, claim.trial_id, TrialState.FAILED, reason=DIVERGED),
    "give back": lambda db, claim: leases.give_back(db, claim.token),
    "set teacher": lambda db, claim: reporting.set_teacher(db, claim.token, TeacherFacts("f", 10, 90, 10, METRICS)),
    "fail job": lambda db, claim: reporting.fail_job(db, claim.token, Reason("dataset-missing", "fetch it")),
}


def everything(db: Database) -> dict[str, list[tuple[object, ...]]]:
    """All that our tables hold."""
    with db.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in metadata.sorted_tables
        }


@pytest.mark.parametrize("fenced", ["reaped", "taken over", "cancelled", "finished"])
def test_an_old_token_writes_nothing(db: Database, fenced: str) -> None:
    job = submitted(db)
    claim = taken(db, "slow", EXPIRED)
    attach(db, claim)
    reporting.report(db, claim.token, claim.trial_id, epoch(1))
    if fenced == "cancelled":
        jobs.cancel_job(db, job.id, ME)
    elif fenced == "finished":
        train(db, claim)
    else:
        leases.reap(db)
        assert fenced == "reaped" or taken(db, "quick").trial_id == claim.trial_id
    before = everything(db)
    for name, write in WRITES.items():
        with pytest.raises(LeaseLost):
            write(db, claim)
        assert everything(db) == before, name


@pytest.mark.parametrize("write", ["attach", "report", "complete"])
def test_a_token_is_good_for_its_own_trial_alone(db: Database, write: str) -> None:
    submitted(db)
    mine, other = taken(db), taken(db)
    before = everything(db)
    with pytest.raises(LeaseLost):
        WRITES[write](db, dataclasses.replace(other, token=mine.token))
    assert everything(db) == before


def test_a_lost_trial_waits_again_and_keeps_its_number(db: Database) -> None:
    job = submitted(db)
    lost = taken(db, "lost", EXPIRED)
    attach(db, lost)
    reporting.report(db, lost.token, lost.trial_id, epoch(1))
    assert leases.reap(db).trials == [(job.id, 0)]
    trial, _ = get_trial(db, job.id, 0, ME)
    assert (trial.state, trial.worker_id) == (TrialState.WAITING, None)
    again = taken(db)
    assert (again.number, again.optuna_number, again.configuration) == (0, 0, configuration(lost))
    assert (again.attempt, again.seed) == (2, lost.seed)
    assert again.token != lost.token
    trial, curve = get_trial(db, job.id, 0, ME)
    assert (trial.epoch, curve) == (0, [])  # the first attempt's curve is not the second's


def test_what_is_renewed_does_not_expire(db: Database) -> None:
    submitted(db)
    silent, alive = taken(db, "w", EXPIRED), taken(db, "w", EXPIRED)
    assert leases.renew(db, "w", [alive.token, "unknown"], 60.0) == {alive.token}
    assert leases.reap(db).trials == [(silent.job_id, silent.number)]
    train(db, alive)


def test_an_expired_lease_that_nobody_took_is_still_good(db: Database) -> None:
    submitted(db)
    claim = taken(db, "w", EXPIRED)
    train(db, claim)
    assert leases.reap(db).trials == []


def test_nobody_renews_for_another(db: Database) -> None:
    submitted(db)
    claim = taken(db, "mine")
    assert leases.renew(db, "other", [claim.token], 60.0) == set()
    assert leases.renew(db, "mine", [], 60.0) == set()


def test_nobody_takes_a_lease_away_while_its_holder_writes(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted(db)
    claim = taken(db, "slow", EXPIRED)
    monkeypatch.setattr(databases, "BUSY_SECONDS", 0)

    def take_away(impatient: Database) -> None:
        with impatient.write() as connection:
            if db.dialect == "postgresql":
                connection.execute(text("SET LOCAL lock_timeout = '50ms'"))
            leases.release(connection, claim.token)

    with opened(db.url) as impatient, db.write() as connection:
        leases.hold(connection, claim.token)
        with pytest.raises(DatabaseUnavailable):
            take_away(impatient)
    train(db, claim)


def test_reaping_at_once_loses_a_trial_once(db: Database) -> None:
    job = submitted(db, budget={"trials": 6}, baselines={"share": 0})
    for _ in range(6):
        taken(db, "lost", EXPIRED)
    reaped = at_once([lambda: leases.reap(db)] * 6)
    assert sorted(trial for each in reaped for trial in each.trials) == [(job.id, number) for number in range(6)]


def test_a_worker_that_goes_in_good_order_gives_back(db: Database) -> None:
    job = submitted(db)
    claim = taken(db)
    leases.give_back(db, claim.token)
    again = taken(db)
    assert (again.number, again.attempt) == (claim.number, 2)
    for _ in range(MAX_LOSSES + 1):  # as often as it likes: nobody was lost
        leases.give_back(db, again.token)
        again = taken(db)
    assert get_trial(db, job.id, 0, ME)[0].state is TrialState.RUNNING


def test_a_trial_that_kills_its_workers_fails(db: Database) -> None:
    job = submitted(db, budget={"trials": 2, "epochs": 2 * EPOCHS}, baselines={"share": 0})
    for _ in range(MAX_LOSSES):
        assert lose(db).number == 0
    trial, _ = get_trial(db, job.id, 0, ME)
    assert (trial.state, trial.reason and trial.reason.type) == (TrialState.FAILED, "worker-lost")
    train_all(db)
    assert jobs.get_job(db, job.id, ME).state is JobState.ANALYSING
    assert jobs.get_job(db, job.id, ME).progress.search_done == 2


def test_a_closing_that_kills_its_workers_pauses_the_job(db: Database) -> None:
    job = submitted(db, baselines={"share": 0})
    train_all(db)
    for _ in range(MAX_LOSSES):
        assert finalization.claim_closing(db, "lost", EXPIRED) is not None
        assert leases.reap(db).closings == [job.id]
    paused = jobs.get_job(db, job.id, ME)
    assert (paused.state, paused.problem and paused.problem.type) == (JobState.PAUSED, "closing-lost")


def test_a_cancelled_job_fences_all_its_workers(db: Database) -> None:
    job = submitted(db)
    claims = [taken(db, "w"), taken(db, "w")]
    jobs.cancel_job(db, job.id, ME)
    assert leases.renew(db, "w", [claim.token for claim in claims], 60.0) == set()
    assert {trial.state for trial in list_trials(db, job.id, ME).items} == {TrialState.CANCELLED}
    assert take(db) is None


def test_a_job_that_cannot_be_trained_fails_whole(db: Database) -> None:
    job = submitted(db)
    claim, other = taken(db), taken(db)
    reporting.fail_job(db, claim.token, Reason("dataset-missing", "run `thermowell data fetch CIFAR10`"))
    failed = jobs.get_job(db, job.id, ME)
    assert (failed.state, failed.problem) == (
        JobState.FAILED,
        Reason("dataset-missing", "run `thermowell data fetch CIFAR10`"),
    )
    with pytest.raises(LeaseLost):
        train(db, other)


def test_whoever_renews_reaps_and_cancels_at_once_waits_for_nobody_for_ever(db: Database) -> None:
    """A deadlock would be an error of the database in one of them."""
    chosen = [submitted(db, budget={"trials": 8}, baselines={"share": 0}) for _ in range(3)]
    claims = [taken(db, f"w{number % 2}", EXPIRED) for number in range(24)]
    calls: list[Callable[[], object]] = [lambda: leases.reap(db), lambda: leases.reap(db)]
    tokens = [claim.token for claim in claims]
    calls += [partial(leases.renew, db, f"w{number % 2}", tokens, 60.0) for number in range(6)]
    calls += [partial(jobs.cancel_job, db, job.id, ME) for job in chosen]
    entries = [(claim.token, claim.trial_id, epoch(1)) for claim in claims]
    calls.append(lambda: reporting.report_all(db, entries))
    at_once(calls)
    assert {jobs.get_job(db, job.id, ME).state for job in chosen} == {JobState.CANCELLED}


def test_only_the_search_and_the_baselines_are_mirrored(db: Database) -> None:
    submitted(db)
    trained = train_all(db)
    behind = reporting.unmirrored(db)
    asked = [claim for claim in trained if claim.stage in (Stage.SEARCH, Stage.BASELINE)]
    assert {each.trial_id for each in behind} == {claim.trial_id for claim in asked}
    assert {each.worst for each in behind} == {0.0}  # accuracy's, of a diverged student
    for each in behind:
        reporting.mark_mirrored(db, each.trial_id)
    assert reporting.unmirrored(db) == []


def test_a_trial_that_never_got_a_number_has_nothing_to_mirror(db: Database) -> None:
    job = submitted(db)
    asked, unasked = taken(db), taken(db)
    attach(db, asked)
    jobs.cancel_job(db, job.id, ME)
    assert [each.trial_id for each in reporting.unmirrored(db)] == [asked.trial_id]
    assert unasked.number == 1


def test_a_number_that_is_being_attached_stays(db: Database) -> None:
    """A worker whose connection was cut repeats itself, while the server may still be ending what it began."""
    submitted(db)
    claim, begun, going_on = taken(db), threading.Event(), threading.Event()

    def slowly(_: Connection) -> int:
        begun.set()
        assert going_on.wait(10)
        return 1

    def again() -> int:
        assert begun.wait(10)
        threading.Timer(0.2, going_on.set).start()
        return reporting.attach(db, claim.token, claim.trial_id, 2, configuration(claim))

    def first() -> int:
        return reporting.attach(db, claim.token, claim.trial_id, slowly, configuration(claim))

    assert at_once([first, again]) == [1, 1]
