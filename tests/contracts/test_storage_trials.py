"""Every trial is found once, in the order that was asked for, with the curve that was reported."""

from __future__ import annotations

import itertools

import pytest
from sqlalchemy import update

from search.claims import reporting
from search.errors import CursorInvalid, LeaseLost, NotFound
from search.records import Trial
from search.requests import jobs
from search.requests.trials import SORTS, get_trial, iter_trials, list_trials
from search.states import Arm, Stage, TrialState
from search.storage import tables
from search.storage.db import Database
from tests.search.factories import (  # fmt: skip
    DIVERGED,
    EPOCHS,
    ME,
    OTHER,
    attach,
    configuration,
    epoch,
    submitted,
    take,
    taken,
    train,
)


def in_pages(db: Database, job_id: str, size: int, sort: str) -> list[Trial]:
    seen: list[Trial] = []
    cursor = None
    while cursor is not None or not seen:
        page = list_trials(db, job_id, ME, sort=sort, cursor=cursor, limit=size)
        seen, cursor = [*seen, *page.items], page.next_cursor
    return seen


@pytest.mark.parametrize("direction", ["", "-"])
@pytest.mark.parametrize("sort", SORTS)
def test_pages_hold_every_trial_once_and_in_order(db: Database, sort: str, direction: str) -> None:
    job = submitted(db, budget={"trials": 9}, baselines={"share": 0})
    for number in range(9):  # ties, and trials without a value
        claim = taken(db)
        if number % 3:
            train(db, claim, value=[0.5, 0.25, 1 / 3][number % 2])
    seen = in_pages(db, job.id, 2, direction + sort)
    assert sorted(trial.number for trial in seen) == list(range(9))
    whole = list_trials(db, job.id, ME, sort=direction + sort, limit=100).items
    assert [trial.number for trial in seen] == [trial.number for trial in whole]
    keys = [getattr(trial, sort) for trial in seen]
    known = [key for key in keys if key is not None]
    assert keys == known + [None] * (len(keys) - len(known))
    assert known == sorted(known, reverse=bool(direction))


def test_a_cursor_belongs_to_its_sort(db: Database) -> None:
    job = submitted(db)
    for _ in range(3):
        taken(db)
    cursor = list_trials(db, job.id, ME, sort="number", limit=1).next_cursor
    with pytest.raises(CursorInvalid):
        list_trials(db, job.id, ME, sort="value", cursor=cursor)
    with pytest.raises(CursorInvalid):
        jobs.list_jobs(db, ME, cursor=cursor)
    with pytest.raises(ValueError, match="number, value"):
        list_trials(db, job.id, ME, sort="state; --")


def test_trials_are_filtered(db: Database) -> None:
    job = submitted(db)
    train(db, taken(db))
    while taken(db).stage is not Stage.BASELINE:
        pass
    for wanted, numbers in (
        ({"state": TrialState.COMPLETED}, [0]),
        ({"stage": Stage.SEARCH, "state": TrialState.RUNNING}, [1, 2, 3]),
        ({"arm": Arm.LABEL_ONLY}, [4]),
        ({"arm": Arm.T4}, []),
    ):
        assert [trial.number for trial in list_trials(db, job.id, ME, **wanted).items] == numbers  # type: ignore[arg-type]


def test_all_trials_come_page_by_page(db: Database) -> None:
    job = submitted(db, budget={"trials": 7}, baselines={"share": 0})
    for _ in range(7):
        taken(db)
    assert [trial.number for trial in iter_trials(db, job.id, ME, page_size=3)] == list(range(7))
    with pytest.raises(NotFound):  # at the call: an answer must not begin before it is known to exist
        iter_trials(db, job.id, OTHER)


def test_a_trial_shows_what_was_reported(db: Database) -> None:
    job = submitted(db)
    claim = taken(db, "worker 1")
    attach(db, claim)
    for number in (1, 2, 3):
        reporting.report(db, claim.token, claim.trial_id, epoch(number, number / 10))
    trial, curve = get_trial(db, job.id, 0, ME)
    assert (trial.state, trial.epoch, trial.worker_id, trial.attempt) == (TrialState.RUNNING, 3, "worker 1", 1)
    assert trial.configuration is not None
    assert trial.configuration["temperature"] == configuration(claim).temperature
    assert trial.metrics is not None
    assert trial.metrics["accuracy"] == 0.3
    assert [(report.epoch, report.accuracy, report.nll) for report in curve] == [
        (1, 0.1, 0.6),
        (2, 0.2, 0.6),
        (3, 0.3, 0.6),
    ]
    reporting.finish(db, claim.token, claim.trial_id, TrialState.PRUNED, value=0.3, reason=DIVERGED, train_seconds=1.5)
    trial, _ = get_trial(db, job.id, 0, ME)
    assert (trial.state, trial.value, trial.reason, trial.train_seconds) == (TrialState.PRUNED, 0.3, DIVERGED, 1.5)
    assert trial.started_at is not None
    assert trial.ended_at is not None
    assert trial.created_at <= trial.started_at <= trial.ended_at


def test_saying_an_epoch_twice_changes_nothing(db: Database) -> None:
    job = submitted(db)
    claim = taken(db)
    entries = [(claim.token, claim.trial_id, epoch(number, 0.1)) for number in (1, 2)]
    assert reporting.report_all(db, entries) == set()
    assert reporting.report_all(db, [(claim.token, claim.trial_id, epoch(1, 0.9))]) == set()
    trial, curve = get_trial(db, job.id, 0, ME)
    assert (trial.epoch, [report.accuracy for report in curve]) == (2, [0.1, 0.1])


def test_of_many_reports_the_fenced_ones_alone_are_lost(db: Database) -> None:
    job, other = submitted(db), submitted(db)
    claims = [taken(db), taken(db)]
    jobs.cancel_job(db, other.id, ME)
    lost = reporting.report_all(db, [(claim.token, claim.trial_id, epoch(1)) for claim in claims])
    assert lost == {claim.token for claim in claims if claim.job_id == other.id}
    assert get_trial(db, job.id, 0, ME)[0].epoch == 1
    assert get_trial(db, other.id, 0, ME)[0].epoch == 0


@pytest.mark.parametrize("number", [-1, 7, 2**31, 2**63, 10**40])
def test_there_is_no_such_trial(db: Database, number: int) -> None:
    job = submitted(db)
    with pytest.raises(NotFound):
        get_trial(db, job.id, number, ME)


def test_numbers_that_are_not_finite_are_refused(db: Database) -> None:
    job = submitted(db)
    claim = taken(db)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="diverged"):
            reporting.report(db, claim.token, claim.trial_id, epoch(1, bad))
        with pytest.raises(ValueError, match="diverged"):
            reporting.finish(db, claim.token, claim.trial_id, TrialState.COMPLETED, value=bad)
    with pytest.raises(ValueError, match="value"):
        reporting.finish(db, claim.token, claim.trial_id, TrialState.COMPLETED)
    with pytest.raises(ValueError, match="cancelled"):
        reporting.finish(db, claim.token, claim.trial_id, TrialState.CANCELLED)
    assert get_trial(db, job.id, 0, ME)[0].state is TrialState.RUNNING


def test_one_number_of_optunas_is_one_trial(db: Database) -> None:
    submitted(db)
    first, second = taken(db), taken(db)
    attach(db, first)
    with pytest.raises(Exception, match=r"(?i)unique"):
        reporting.attach(db, second.token, second.trial_id, first.number, configuration(second))


@pytest.mark.parametrize(("by", "raced"), [("arm", 2), ("surface", 2 + 3 * 2)])
def test_progress_tells_the_best_and_the_speed(db: Database, by: str, raced: int) -> None:
    """Finalists that may be raced: where each arm is searched by itself, untuned baselines have none."""
    job = submitted(db, budget={"trials": 20}, baselines={"share": 0, "by": by})
    claims = [taken(db) for _ in range(4)]
    for claim, value in zip(claims[:3], (0.5, 0.75, 0.25), strict=True):
        train(db, claim, value)
    with db.write() as connection:  # the first report came ten seconds ago
        earlier = update(tables.reports).where(tables.reports.c.epoch == 1)
        connection.execute(earlier.values(reported_at=tables.reports.c.reported_at - 10))
    progress = jobs.get_job(db, job.id, ME).progress
    assert (progress.best_value, progress.best_trial) == (0.75, claims[1].number)
    assert (progress.search_done, progress.search_budget, progress.trials_running) == (3, 20, 1)
    assert progress.epochs_done == 3 * EPOCHS
    assert progress.epochs_per_second == pytest.approx(3 * EPOCHS / 10, rel=0.3)
    assert progress.trials_planned == 20 + raced + 4 * 2  # the winner and three baselines on two seeds
    left = (20 - 3 + raced + 8) * EPOCHS
    assert progress.seconds_left == pytest.approx(left / progress.epochs_per_second)


def test_the_best_of_an_error_is_the_smallest(db: Database) -> None:
    job = submitted(db, objective={"metric": "nll"})
    for value in (0.5, 0.75, 0.25):
        train(db, taken(db), value)
    progress = jobs.get_job(db, job.id, ME).progress
    assert (progress.best_value, progress.best_trial) == (0.25, 2)


def test_planned_trials_are_what_a_job_comes_to(db: Database) -> None:
    job = submitted(db, budget={"trials": 12})
    planned = set()
    for _ in itertools.count():
        planned.add(jobs.get_job(db, job.id, ME).progress.trials_planned)
        claim = take(db)
        if claim is None:
            break
        train(db, claim)
    assert planned == {jobs.get_job(db, job.id, ME).progress.trials_done}


def test_a_fenced_report_is_an_error(db: Database) -> None:
    job = submitted(db)
    claim = taken(db)
    jobs.cancel_job(db, job.id, ME)
    with pytest.raises(LeaseLost):
        reporting.report(db, claim.token, claim.trial_id, epoch(1))
