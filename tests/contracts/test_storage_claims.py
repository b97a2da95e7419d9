"""A trial is claimed once, and the budget never overshot, however many ask at the same time."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import update

from search.claims import claiming, reporting
from search.requests import jobs
from search.spec.job import JobSpec
from search.states import Arm, JobState, Stage, TrialState
from search.storage import tables
from search.storage.db import Database
from tests.processes import Processes
from tests.search.factories import (  # fmt: skip
    DIVERGED,
    EPOCHS,
    FIXED,
    ME,
    at_once,
    attach,
    epoch,
    lose,
    opened,
    spec,
    submitted,
    take,
    taken,
    train,
    train_all,
)


def test_budget_is_never_overshot_by_threads(db: Database, storage_url: str) -> None:
    job = submitted(db, budget={"trials": 13}, baselines={"share": 0})

    def claim_until_nothing() -> list[int]:
        with opened(storage_url) as own:
            numbers = []
            while (claim := take(own)) is not None and claim.stage is Stage.SEARCH:
                numbers.append(claim.number)
            return numbers

    claimed = [number for numbers in at_once([claim_until_nothing] * 8) for number in numbers]
    assert sorted(claimed) == list(range(13))
    assert jobs.get_job(db, job.id, ME).progress.trials_running == 13


@pytest.mark.slow
def test_whole_job_by_many_processes(db: Database, storage_url: str, processes: Processes) -> None:
    job = submitted(db, budget={"trials": 30})
    script = (
        "import sys, json; from tests.search.factories import opened, train_all\n"
        "with opened(sys.argv[1]) as db: print(json.dumps([c.number for c in train_all(db)]))"
    )
    started = [
        processes.start(sys.executable, "-c", script, storage_url, cwd=Path(__file__).parents[2]) for _ in range(4)
    ]
    assert [each.wait() for each in started] == [0] * 4
    trained = Counter(number for each in started for number in json.loads(each.output()))
    while left := train_all(db):  # a process that finds nothing to claim ends, though others are still training
        trained.update(claim.number for claim in left)
    done = jobs.get_job(db, job.id, ME)
    assert done.state is JobState.ANALYSING
    assert done.progress.search_done == 30
    assert set(trained) == set(range(done.progress.trials_done))
    assert set(trained.values()) == {1}


def test_epochs_are_reserved_and_what_is_not_used_comes_back(db: Database) -> None:
    job = submitted(db, budget={"trials": 100, "epochs": 3 * EPOCHS}, baselines={"share": 0})
    first, second, third = taken(db), taken(db), taken(db)
    assert take(db) is None  # all epochs are promised
    for claim, state in ((first, TrialState.PRUNED), (second, TrialState.FAILED)):
        attach(db, claim)
        reporting.report(db, claim.token, claim.trial_id, epoch(1))
        assert take(db) is None  # what the first gave back alone does not pay for a whole trial
        reporting.finish(db, claim.token, claim.trial_id, state, reason=DIVERGED)
    fourth = taken(db)
    assert fourth.stage is Stage.SEARCH
    for claim in (third, fourth):
        train(db, claim)
    following = taken(db)
    assert following.stage is Stage.SELECT  # nothing is left that would pay for another
    assert jobs.get_job(db, job.id, ME).progress.epochs_done == 1 + 1 + EPOCHS + EPOCHS


def test_wall_clock_ends_the_search(db: Database) -> None:
    submitted(db, budget={"trials": 100, "seconds": 1e-6})
    train(db, taken(db))
    assert taken(db).stage is Stage.BASELINE


def test_pauses_do_not_count_as_wall_clock(db: Database) -> None:
    job = submitted(db, budget={"trials": 100, "seconds": 3600.0})
    train(db, taken(db))
    jobs.pause_job(db, job.id, ME)
    with db.write() as connection:  # two hours ago, all of it
        began, stood = tables.jobs.c.started_at - 7200, tables.jobs.c.paused_at - 7200
        connection.execute(update(tables.jobs).values(started_at=began, paused_at=stood))
    jobs.resume_job(db, job.id, ME)
    assert taken(db).stage is Stage.SEARCH


def test_the_job_with_the_fewest_running_trials_comes_first_then_the_oldest(db: Database) -> None:
    old, new = submitted(db, name="old"), submitted(db, name="new")
    assert [taken(db).job_id for _ in range(4)] == [old.id, new.id, old.id, new.id]


def test_a_job_without_work_holds_up_no_other(db: Database) -> None:
    waiting = submitted(db, budget={"trials": 1}, baselines={"share": 0})
    assert taken(db).job_id == waiting.id
    other = submitted(db)
    assert [taken(db).job_id for _ in range(3)] == [other.id] * 3


def test_a_trial_that_was_given_up_is_taken_before_a_new_one(db: Database) -> None:
    submitted(db)
    lost, second = lose(db), taken(db)
    assert (second.trial_id, second.attempt) == (lost.trial_id, 2)
    assert taken(db).number == 1


def test_what_trials_share_is_fixed_by_the_first_claim(db: Database) -> None:
    job = submitted(db)
    assert taken(db).fixed == FIXED
    second = claiming.claim(db, "other", 60.0, fixed=lambda _: {"views": 9, "precision": "bf16"})
    assert second is not None
    assert second.fixed == FIXED == jobs.get_job(db, job.id, ME).fixed


def test_no_lock_is_held_while_it_is_found_out_what_trials_share(db: Database) -> None:
    """Which may take seconds: in which precision a student is trained faster is tried."""
    submitted(db)

    def begun_by_another(_: JobSpec) -> dict[str, object]:
        assert taken(db).number == 0
        return {"views": 9, "precision": "bf16"}

    second = claiming.claim(db, "other", 60.0, fixed=begun_by_another)
    assert second is not None
    assert (second.number, second.fixed) == (1, FIXED)


def test_a_worker_may_decline_a_job(db: Database) -> None:
    job = submitted(db)
    asked: list[object] = []

    def never(_: JobSpec, fixed: object) -> bool:
        asked.append(fixed)
        return False

    assert claiming.claim(db, "w", 60.0, fixed=lambda _: FIXED, allowed=never) is None
    assert jobs.get_job(db, job.id, ME).state is JobState.QUEUED
    taken(db)
    assert claiming.claim(db, "w", 60.0, fixed=lambda _: FIXED, allowed=never) is None
    assert asked == [None, FIXED]


def test_a_job_runs_to_its_end(db: Database) -> None:
    job = submitted(db)
    stages = Counter((claim.stage, claim.arm) for claim in train_all(db))
    assert stages[Stage.SEARCH, Arm.JOINT] == 4
    assert [stages[Stage.BASELINE, arm] for arm in (Arm.LABEL_ONLY, Arm.T1, Arm.T4)] == [1, 1, 1]
    assert stages[Stage.SELECT, Arm.JOINT] == 2  # two finalists on one seed; the others stand alone
    assert [stages[Stage.ESTIMATE, arm] for arm in Arm] == [2, 4, 4, 4]
    done = jobs.get_job(db, job.id, ME)
    assert done.state is JobState.ANALYSING
    assert done.progress.trials_done == done.progress.trials_planned == sum(stages.values())
    assert take(db) is None


def test_a_job_whose_search_trained_nothing_fails(db: Database) -> None:
    job = submitted(db, baselines={"share": 0})
    while (claim := take(db)) is not None:
        reporting.finish(db, claim.token, claim.trial_id, TrialState.FAILED, reason=DIVERGED)
    done = jobs.get_job(db, job.id, ME)
    assert done.state is JobState.FAILED
    assert done.problem is not None
    assert done.problem.type == "no-trials"
    assert "4 of 4 diverged; the last, trial 3: " in done.problem.detail
    assert DIVERGED.detail.rstrip(".") in done.problem.detail
    assert "Try: lower the upper ends of the learning rates" in done.problem.detail


def test_numbers_and_seeds_of_trials_are_all_different(db: Database) -> None:
    submitted(db, budget={"trials": 20}, baselines={"share": 0})
    claims = at_once([lambda: taken(db)] * 8)
    assert {claim.number for claim in claims} == set(range(8))
    assert len({claim.seed for claim in claims}) == 8


def test_the_spec_comes_back_as_it_went(db: Database) -> None:
    sent = spec(space={"optimizer": {"sgd": {"momentum": {"low": 0.1, "high": 0.9}}}, "temperature": 4})
    jobs.submit(db, sent, ME)
    assert taken(db).spec == sent


def test_what_a_trial_costs_does_not_creep_up(db: Database) -> None:
    """Statements are half of a busy worker's time. Optuna's tables come on top: seven, and two to read what is new."""
    submitted(db)
    train(db, taken(db))
    said: Counter[str] = Counter()
    doing = "claim"
    sqlalchemy.event.listen(db.engine, "before_cursor_execute", lambda *_: said.update([doing]))
    claim, epochs = taken(db), [epoch(number) for number in range(1, EPOCHS + 1)]
    doing = "attach"
    attach(db, claim)
    doing = "finish"
    reporting.finish(db, claim.token, claim.trial_id, TrialState.COMPLETED, value=0.0, epoch_reports=epochs)
    # SQLite's driver is told to begin by a statement
    begins = {"claim": 2, "attach": 1, "finish": 1} if db.dialect == "sqlite" else {}
    assert said - Counter(begins) == {"claim": 7, "attach": 2, "finish": 7}
