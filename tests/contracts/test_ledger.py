"""Claims, leases, reports and ends: what is promised of our own workers' ledger and of the door over HTTP alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.requests import jobs, trials
from search.states import JobState, TrialState
from search.storage.db import Database
from tests.claimed import Gone, Held, LedgerClient, Worker, program
from tests.search.factories import EPOCHS, ME, at_once


@pytest.fixture(params=["worker", "http"])
def ledger(request: pytest.FixtureRequest, db: Database, tmp_path: Path) -> Iterator[LedgerClient]:
    if request.param == "worker":
        yield Worker(db)
        return
    with program(db, tmp_path / "var") as one:
        yield one


def taken(ledger: LedgerClient, name: str = "w") -> Held:
    held = ledger.take(name)
    assert held is not None
    return held


def trained(ledger: LedgerClient, held: Held) -> None:
    for epoch in range(1, EPOCHS + 1):
        ledger.report(held, epoch, held.number / 1000)
    ledger.complete(held, held.number / 1000)


def test_a_job_runs_to_its_end(ledger: LedgerClient, db: Database) -> None:
    job = ledger.submit()
    stages: Counter[tuple[str, str]] = Counter()
    while (held := ledger.take()) is not None:
        stages[held.stage, held.arm] += 1
        trained(ledger, held)
    assert stages["search", "joint"] == 4
    assert [stages["baseline", arm] for arm in ("label_only", "t1", "t4")] == [1, 1, 1]
    assert [stages["estimate", arm] for arm in ("joint", "label_only", "t1", "t4")] == [2, 4, 4, 4]
    done = jobs.get_job(db, job.id, ME)
    assert done.state in (JobState.ANALYSING, JobState.COMPLETED)
    assert done.progress.trials_done == sum(stages.values())


def test_the_budget_is_never_overshot(ledger: LedgerClient, db: Database) -> None:
    job = ledger.submit(budget={"trials": 9}, baselines={"share": 0})

    def take_all(name: str) -> list[int]:
        numbers = []
        while (held := ledger.take(name)) is not None and held.stage == "search":
            numbers.append(held.number)
        return numbers

    claimed = at_once([lambda name=f"w{one}": take_all(name) for one in range(4)])  # type: ignore[misc]
    assert sorted(number for numbers in claimed for number in numbers) == list(range(9))
    assert jobs.get_job(db, job.id, ME).progress.trials_running == 9


def test_who_lost_a_trial_writes_nothing(ledger: LedgerClient, db: Database) -> None:
    job = ledger.submit()
    lost = taken(ledger, "one")
    ledger.reap()
    again = taken(ledger, "two")
    assert (again.number, again.attempt) == (lost.number, 2)
    for say in (
        lambda: ledger.report(lost, 1, 0.9),
        lambda: ledger.complete(lost, 0.9),
        lambda: ledger.diverge(lost),
        lambda: ledger.give_back(lost),
    ):
        with pytest.raises(Gone):
            say()
    assert not ledger.renew(lost, "one")
    assert ledger.renew(again, "two")
    trained(ledger, again)
    trial, curve = trials.get_trial(db, job.id, lost.number, ME)
    assert (trial.state, trial.value, len(curve)) == (TrialState.COMPLETED, 0.0, EPOCHS)


def test_a_trial_that_was_given_back_is_taken_before_a_new_one_and_counts_no_loss(
    ledger: LedgerClient, db: Database
) -> None:
    job = ledger.submit()
    for attempt in range(1, 8):
        held = taken(ledger)
        assert (held.number, held.attempt) == (0, attempt)
        ledger.give_back(held)
    assert jobs.get_job(db, job.id, ME).state is JobState.RUNNING


def test_an_epoch_said_twice_is_said_once(ledger: LedgerClient, db: Database) -> None:
    job = ledger.submit()
    held = taken(ledger)
    for value in (0.4, 0.4, 0.9):
        ledger.report(held, 1, value)
    trial, curve = trials.get_trial(db, job.id, held.number, ME)
    assert [(report.epoch, report.accuracy) for report in curve] == [(1, 0.4)]
    assert trial.epoch == 1


def test_reports_come_back_as_they_went(ledger: LedgerClient, db: Database) -> None:
    job = ledger.submit()
    held = taken(ledger)
    trained(ledger, held)
    trial, curve = trials.get_trial(db, job.id, held.number, ME)
    assert [report.epoch for report in curve] == [1, 2, 3]
    assert trial.state is TrialState.COMPLETED
    assert trial.value == trial.metrics["accuracy"] == 0.0  # type: ignore[index]


def test_a_cancelled_job_fences_its_holders(ledger: LedgerClient, db: Database) -> None:
    job = ledger.submit()
    held = taken(ledger)
    jobs.cancel_job(db, job.id, ME)
    assert not ledger.renew(held)
    with pytest.raises(Gone):
        ledger.complete(held, 0.5)
    assert ledger.take() is None


def test_a_cap_of_trials_at_once_holds(ledger: LedgerClient) -> None:
    ledger.submit(fleet={"parallel": 2})
    assert [taken(ledger, f"w{one}").number for one in range(2)] == [0, 1]
    assert ledger.take("w3") is None
