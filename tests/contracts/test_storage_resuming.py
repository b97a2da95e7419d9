"""A trial's next attempt goes on where its checkpoint stands, with the reports up to there, paid for once."""

from __future__ import annotations

from typing import Any

import pytest

from search.claims import checkpointing, claiming, leases, reporting
from search.claims.checkpointing import Checkpoint
from search.claims.claiming import Claim
from search.errors import LeaseLost
from search.records import Report
from search.requests import jobs, trials
from search.states import Stage, TrialState
from search.storage import tables
from search.storage.db import Database
from tests.search.factories import (  # fmt: skip
    DIVERGED,
    EPOCHS,
    EXPIRED,
    FIXED,
    ME,
    attach,
    epoch,
    submitted,
    take,
    taken,
    train,
)


def report(db: Database, claim: Claim, *epochs: int) -> None:
    reporting.report_all(db, [(claim.token, claim.trial_id, epoch(number, number / 10)) for number in epochs])


def saved(db: Database, claim: Claim, epochs: int) -> set[str]:
    return checkpointing.checkpoint_all(
        db, [Checkpoint(claim.token, claim.trial_id, epochs, f"{claim.attempt}-{epochs}")]
    )


def reported(db: Database, claim: Claim) -> list[Report]:
    return list(trials.get_trial(db, claim.job_id, claim.number, ME)[1])


def test_the_next_attempt_goes_on_where_the_checkpoint_stands(db: Database) -> None:
    job = submitted(db, budget={"trials": 1})
    first = taken(db, "w", EXPIRED)
    assert (first.checkpoint, first.epoch, first.seconds) == (None, 0, 0.0)
    attach(db, first)
    report(db, first, 1)
    assert saved(db, first, 1) == set()
    report(db, first, 2)
    leases.reap(db)
    second = taken(db)
    assert (second.trial_id, second.attempt) == (first.trial_id, 2)
    assert (second.checkpoint, second.epoch, second.seconds) == ("1-1", 1, 0.001)
    assert [each.epoch for each in reported(db, second)] == [1]
    row = next(iter(trials.iter_trials(db, job.id, ME)))
    assert (row.epoch, row.metrics and row.metrics["accuracy"]) == (1, 0.1)
    report(db, second, 2)
    assert saved(db, second, 2) == set()
    leases.give_back(db, second.token)
    third = taken(db)
    assert (third.checkpoint, third.epoch, third.seconds) == ("2-2", 2, 0.002)
    assert [each.epoch for each in reported(db, third)] == [1, 2]


def test_without_one_it_starts_over(db: Database) -> None:
    submitted(db)
    first = taken(db, "w", EXPIRED)
    report(db, first, 1, 2)
    leases.reap(db)
    second = taken(db)
    assert (second.trial_id, second.checkpoint, second.epoch) == (first.trial_id, None, 0)
    assert reported(db, second) == []


def test_a_useless_checkpoint_is_forgotten(db: Database) -> None:
    job = submitted(db)
    first = taken(db)
    report(db, first, 1)
    saved(db, first, 1)
    leases.give_back(db, first.token)
    second = taken(db)
    checkpointing.start_over(db, second.token, second.trial_id)
    assert reported(db, second) == []
    row = next(iter(trials.iter_trials(db, job.id, ME)))
    assert (row.epoch, row.metrics) == (0, None)
    leases.give_back(db, second.token)
    with pytest.raises(LeaseLost):
        checkpointing.start_over(db, second.token, second.trial_id)
    assert taken(db).checkpoint is None


def test_a_checkpoint_is_fenced(db: Database) -> None:
    """Who has lost its lease moves no checkpoint, and one worker's lost lease does not hold up its others."""
    submitted(db)
    lost, held = taken(db, "lost", EXPIRED), taken(db, "lost")
    for claim in (lost, held):
        report(db, claim, 1)
    leases.reap(db)
    again = taken(db)
    assert again.trial_id == lost.trial_id
    both = [Checkpoint(claim.token, claim.trial_id, 1, "late") for claim in (lost, held)]
    assert checkpointing.checkpoint_all(db, both) == {lost.token}
    with db.read() as connection:
        rows = connection.execute(tables.trials.select()).all()
    assert {row.id: row.checkpoint for row in rows} == {lost.trial_id: None, held.trial_id: "late"}


def test_epochs_are_paid_for_once(db: Database) -> None:
    job = submitted(db, budget={"trials": 100, "epochs": 2 * EPOCHS}, baselines={"share": 0})
    first = taken(db)
    attach(db, first)
    report(db, first, 1)
    saved(db, first, 1)
    leases.give_back(db, first.token)
    again = taken(db)
    report(db, again, 2)
    reporting.finish(db, again.token, again.trial_id, TrialState.PRUNED, reason=DIVERGED)
    train(db, taken(db))
    assert jobs.get_job(db, job.id, ME).progress.epochs_done == 2 + EPOCHS
    assert taken(db).stage is not Stage.SEARCH  # what is left pays for no whole trial


@pytest.mark.parametrize("end", ["finished", "cancelled"])
def test_no_checkpoint_outlives_its_trial(db: Database, end: str) -> None:
    job = submitted(db)
    claim = taken(db)
    report(db, claim, 1)
    saved(db, claim, 1)
    if end == "finished":
        reporting.finish(db, claim.token, claim.trial_id, TrialState.FAILED, reason=DIVERGED)
    else:
        jobs.cancel_job(db, job.id, ME)
    with db.read() as connection:
        [row] = connection.execute(tables.trials.select()).all()
    assert (row.checkpoint, row.checkpoint_epoch) == (None, None)


def many(db: Database, most: int, room: claiming.CapacityCheck = lambda *_: True) -> list[Claim]:
    return claiming.claim_many(db, "w", 60.0, most, fixed=lambda _: FIXED, room=room)


def test_several_are_claimed_at_once_and_never_too_many(db: Database) -> None:
    job = submitted(db, budget={"trials": 5}, baselines={"share": 0})
    first, second = many(db, 3), many(db, 3)
    assert [claim.number for claim in first + second] == [0, 1, 2, 3, 4]
    assert len({claim.token for claim in first + second}) == 5
    assert many(db, 3) == []
    assert jobs.get_job(db, job.id, ME).progress.trials_running == 5


def test_lanes_are_dealt_out_to_the_jobs_in_turn(db: Database) -> None:
    old, new = submitted(db, name="old"), submitted(db, name="new")
    assert [(claim.job_id, claim.number) for claim in many(db, 4)] == [(old.id, 0), (old.id, 1)]
    assert [(claim.job_id, claim.number) for claim in many(db, 4)] == [(new.id, 0), (new.id, 1)]


def test_a_worker_says_how_many_of_a_stage_it_takes(db: Database) -> None:
    submitted(db, name="full", sampler={"startup_trials": 1})
    other = submitted(db, name="other", budget={"trials": 1}, baselines={"share": 0})

    running: list[int] = []

    def room(job_id: str, _spec: object, _fixed: object, stage: Stage, together: object, under_way: int) -> bool:
        assert isinstance(together, list)
        running.append(under_way)
        return job_id == other.id or (stage is Stage.SEARCH and len(together) < 2)

    assert [claim.number for claim in many(db, 8, room)] == [0, 1]
    assert [claim.job_id for claim in many(db, 8, room)] == [other.id]
    assert take(db) is not None  # others take what this one leaves
    assert running[:4] == [0, 0, 1, 2]  # asked once before the job's first claim
    del running[:]
    many(db, 8, lambda job_id, _s, _f, _st, _t, under_way: bool(running.append(under_way)))
    assert max(running) == 3  # whoever has them


def test_trials_that_depend_on_none_count_for_nobody(db: Database) -> None:
    """Also one that was given back, and is proposed later than some that learned."""
    submitted(db, budget={"trials": 12}, sampler={"startup_trials": 5}, baselines={"share": 0})

    def few(*order: Any) -> bool:
        return bool(order[-1] < 3)

    first = many(db, 12, few)
    assert [claim.number for claim in first] == [0, 1, 2, 3, 4]
    leases.give_back(db, first[1].token)
    assert [claim.number for claim in many(db, 12, few)] == [1]
    for claim in first[2:]:
        train(db, claim)
    assert [claim.number for claim in many(db, 12, few)] == [5]
