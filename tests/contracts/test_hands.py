"""Claims, leases, reports and ends: what is promised of our own workers' ledger and of the door over HTTP alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.requests import jobs, trials
from search.states import JobState, TrialState
from search.storage.db import Database
from tests.claimed import Gone, Hand, Held, Worker, program
from tests.search.factories import EPOCHS, ME, at_once


@pytest.fixture(params=["worker", "http"])
def hand(request: pytest.FixtureRequest, db: Database, tmp_path: Path) -> Iterator[Hand]:
    if request.param == "worker":
        yield Worker(db)
        return
    with program(db, tmp_path / "var") as one:
        yield one


def taken(hand: Hand, name: str = "w") -> Held:
    held = hand.take(name)
    assert held is not None
    return held


def trained(hand: Hand, held: Held) -> None:
    for epoch in range(1, EPOCHS + 1):
        hand.report(held, epoch, held.number / 1000)
    hand.complete(held, held.number / 1000)


def test_a_job_runs_to_its_end(hand: Hand, db: Database) -> None:
    job = hand.submit()
    stages: Counter[tuple[str, str]] = Counter()
    while (held := hand.take()) is not None:
        stages[held.stage, held.arm] += 1
        trained(hand, held)
    assert stages["search", "joint"] == 4
    assert [stages["baseline", arm] for arm in ("label_only", "t1", "t4")] == [1, 1, 1]
    assert [stages["estimate", arm] for arm in ("joint", "label_only", "t1", "t4")] == [2, 4, 4, 4]
    done = jobs.get_job(db, job.id, ME)
    assert done.state in (JobState.ANALYSING, JobState.COMPLETED)
    assert done.progress.trials_done == sum(stages.values())


def test_the_budget_is_never_overshot(hand: Hand, db: Database) -> None:
    job = hand.submit(budget={"trials": 9}, baselines={"share": 0})

    def take_all(name: str) -> list[int]:
        numbers = []
        while (held := hand.take(name)) is not None and held.stage == "search":
            numbers.append(held.number)
        return numbers

    claimed = at_once([lambda name=f"w{one}": take_all(name) for one in range(4)])  # type: ignore[misc]
    assert sorted(number for numbers in claimed for number in numbers) == list(range(9))
    assert jobs.get_job(db, job.id, ME).progress.trials_running == 9


def test_who_lost_a_trial_writes_nothing(hand: Hand, db: Database) -> None:
    job = hand.submit()
    lost = taken(hand, "one")
    hand.reap()
    again = taken(hand, "two")
    assert (again.number, again.attempt) == (lost.number, 2)
    for say in (
        lambda: hand.report(lost, 1, 0.9),
        lambda: hand.complete(lost, 0.9),
        lambda: hand.diverge(lost),
        lambda: hand.give_back(lost),
    ):
        with pytest.raises(Gone):
            say()
    assert not hand.renew(lost, "one")
    assert hand.renew(again, "two")
    trained(hand, again)
    trial, curve = trials.get_trial(db, job.id, lost.number, ME)
    assert (trial.state, trial.value, len(curve)) == (TrialState.COMPLETED, 0.0, EPOCHS)


def test_a_trial_that_was_given_back_is_taken_before_a_new_one_and_counts_no_loss(hand: Hand, db: Database) -> None:
    job = hand.submit()
    for attempt in range(1, 8):
        held = taken(hand)
        assert (held.number, held.attempt) == (0, attempt)
        hand.give_back(held)
    assert jobs.get_job(db, job.id, ME).state is JobState.RUNNING


def test_an_epoch_said_twice_is_said_once(hand: Hand, db: Database) -> None:
    job = hand.submit()
    held = taken(hand)
    for value in (0.4, 0.4, 0.9):
        hand.report(held, 1, value)
    trial, curve = trials.get_trial(db, job.id, held.number, ME)
    assert [(report.epoch, report.accuracy) for report in curve] == [(1, 0.4)]
    assert trial.epoch == 1


def test_reports_come_back_as_they_went(hand: Hand, db: Database) -> None:
    job = hand.submit()
    held = taken(hand)
    trained(hand, held)
    trial, curve = trials.get_trial(db, job.id, held.number, ME)
    assert [report.epoch for report in curve] == [1, 2, 3]
    assert trial.state is TrialState.COMPLETED
    assert trial.value == trial.metrics["accuracy"] == 0.0  # type: ignore[index]


def test_a_cancelled_job_fences_its_holders(hand: Hand, db: Database) -> None:
    job = hand.submit()
    held = taken(hand)
    jobs.cancel_job(db, job.id, ME)
    assert not hand.renew(held)
    with pytest.raises(Gone):
        hand.complete(held, 0.5)
    assert hand.take() is None


def test_a_cap_of_trials_at_once_holds(hand: Hand) -> None:
    hand.submit(fleet={"parallel": 2})
    assert [taken(hand, f"w{one}").number for one in range(2)] == [0, 1]
    assert hand.take("w3") is None
