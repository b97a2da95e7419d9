"""A worker keeps its lanes full, as far as the sampler bears it, and finds out how many its memory bears."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy
import structlog
import torch

from search.claims import claiming, reporting, trial_counts
from search.claims.workers import list_workers
from search.requests import jobs
from search.settings import Settings
from search.states import JobState, Stage, TrialState
from search.storage import tables
from search.storage.db import Database
from search.worker import admission, engine_cache, training_loop
from search.worker import process as worker
from search.worker.engine_choice import EngineChooser
from tests.processes import Processes
from tests.search import factories
from tests.search.interrupted import JOB, rows, settings_for, starts, stop_after, submitted
from trainers import run
from trainers.engines import choose, memory
from trainers.engines.forms import Form
from trainers.engines.loop import LoopEngine
from trainers.engines.processes import ProcessesEngine

ROOT = Path(__file__).parents[3]


class Tight(LoopEngine):
    """An engine on a machine whose memory bears three students, and finds out in the middle of an epoch."""

    bears = 3
    opened: list[int]

    def step_epoch(self) -> Any:
        if self.lanes - self.free() > self.bears:
            super().step_epoch()
            raise torch.OutOfMemoryError("Tried to allocate 2.00 GiB.")
        return super().step_epoch()


@pytest.fixture
def settings(db: Database, tmp_path: Path) -> Settings:
    return settings_for(db, tmp_path, lanes=8, engine="loop")


def together(monkeypatch: pytest.MonkeyPatch) -> list[Counter[str]]:
    """How many trials of each job were reported at once, epoch by epoch."""
    said: list[Counter[str]] = []
    report_all = reporting.report_all

    def noted(database: Database, entries: Any) -> Any:
        said.append(Counter(jobs_of[trial] for _, trial, _ in entries))
        return report_all(database, entries)

    jobs_of: dict[int, str] = {}
    claim_many = claiming.claim_many

    def claimed(*given: Any, **named: Any) -> Any:
        claims = claim_many(*given, **named)
        jobs_of.update({claim.trial_id: f"{claim.job_id} {claim.stage}" for claim in claims})
        return claims

    monkeypatch.setattr(training_loop.reporting, "report_all", noted)
    monkeypatch.setattr(training_loop, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(admission.claiming, "claim_many", claimed)
    return said


@pytest.mark.parametrize(
    ("sampler", "most", "steps"),
    [({"startup_trials": 1}, 3, 16), ({"startup_trials": 6}, 6, 12), ({"name": "qmc", "startup_trials": 6}, 3, 16)],
)
def test_lanes_are_kept_full_with_a_quarter_of_the_search_at_once(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, sampler: dict[str, Any], most: int, steps: int
) -> None:
    """Eight lanes are allowed: three are as many as a search of twelve trials bears once its sampler learns; confirming
    takes all of them.
    """
    job = submitted(db, budget={"trials": 12}, sampler=sampler, training={"epochs": 4}, pruner={"name": "none"})
    said = together(monkeypatch)
    worker.run_worker(settings, exit_when_idle=True)
    assert jobs.get_job(db, job.id, factories.ME).state is JobState.COMPLETED
    both = {stage: max(each[f"{job.id} {stage}"] for each in said) for stage in (Stage.SEARCH, Stage.ESTIMATE)}
    assert both == {Stage.SEARCH: most, Stage.ESTIMATE: 8}
    assert {row.state for row in rows(db, job)} == {TrialState.COMPLETED}
    # four epochs of each, so many at a time: a lane is never empty while there is something to search
    assert sum(each[f"{job.id} search"] > 0 for each in said) == steps


def test_a_grid_takes_all_lanes(db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """No sampler is asked, so that as many are trained at once as an engine bears."""
    grid = {"temperatures": [1, 4, 10], "settings": 4}
    changes: dict[str, Any] = {"grid": grid, "budget": {"trials": 24}, "baselines": {"share": 0.2}}
    job = submitted(db, **changes, confirmation="none", training={"epochs": 2}, pruner={"name": "none"})
    said = together(monkeypatch)
    worker.run_worker(settings, exit_when_idle=True)
    assert jobs.get_job(db, job.id, factories.ME).state is JobState.COMPLETED
    assert max(sum(each.values()) for each in said) == 8


@pytest.mark.parametrize(
    ("changes", "lanes"),
    [
        ({"budget": {"trials": 64}}, {Stage.SEARCH: 16, Stage.BASELINE: 16, Stage.SELECT: 16, Stage.ESTIMATE: 16}),
        ({"budget": {"trials": 8}}, {Stage.SEARCH: 2, Stage.BASELINE: 2, Stage.SELECT: 8, Stage.ESTIMATE: 8}),
        ({"budget": {"trials": 8}, "confirmation": "none"}, dict.fromkeys(Stage, 2)),
        ({"budget": {"trials": 24}, "grid": {"temperatures": [1, 4, 10], "settings": 4}}, dict.fromkeys(Stage, 32)),
        ({"budget": {"trials": 64}, "sampler": {"name": "random"}}, dict.fromkeys(Stage, 64 + 3 * 16)),
        (
            {"budget": {"trials": 1}, "sampler": {"name": "random"}},
            {Stage.SEARCH: 1, Stage.BASELINE: 1, Stage.SELECT: 7, Stage.ESTIMATE: 8},
        ),
    ],
)
def test_an_engine_holds_what_is_trained_at_once(changes: dict[str, Any], lanes: dict[Stage, int]) -> None:
    """As many as the search bears, all of a grid and of what is drawn at random, and a confirmation's where these are
    twice as many.
    """
    spec = factories.spec(**{"baselines": {"share": 0.25}, "pruner": {"name": "none"}, **changes})
    assert {stage: trial_counts.side_by_side(spec, stage, 10) for stage in Stage} == lanes


@pytest.mark.parametrize(("trials", "lanes"), [(4, 4), (12, 10), (24, 10), (64, 16)])
def test_an_engine_holds_what_depends_on_nothing(trials: int, lanes: int) -> None:
    """All startup trials that there are, whatever a search bears later."""
    spec = factories.spec(budget={"trials": trials})
    assert trial_counts.side_by_side(spec, Stage.SEARCH, 9) == lanes
    assert trial_counts.side_by_side(spec, Stage.SEARCH, 10) == max(1, trials // 4)
    assert trial_counts.side_by_side(spec, Stage.ESTIMATE, 9) == trial_counts.side_by_side(spec, Stage.ESTIMATE, 10)


def test_an_empty_engine_is_opened_anew_where_other_lanes_make_sense() -> None:
    """With more, or half as many or fewer, not for a few less."""
    asked: list[int] = []

    class Chooser:
        def choose(self, _prepared: Any, most: int, _work: int) -> Any:
            asked.append(most)
            return choose._choice(Form("loop", most, 1), (), "")

        def open(self, _prepared: Any, choice: Any) -> Any:
            return SimpleNamespace(lanes=choice.lanes, close=lambda: None)

    session = engine_cache.EngineSession(cast("Any", None), cast("Any", Chooser()))
    opened = [session.open(most, 1) for most in (4, 3, 4, 5, 20, 16, 11, 10)]
    assert opened == [True, False, False, True, True, False, False, True]
    assert asked == [4, 5, 20, 10]


def test_the_fleet_shares_what_the_sampler_bears(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker has as many trials of the search as it bears: this one takes a single trial rather than none."""
    job = submitted(db, budget={"trials": 12}, pruner={"name": "none"})
    fixed = {"views": 1, "precision": "fp32", "device": "cpu"}
    others = claiming.claim_many(db, "other", 600.0, 3, fixed=lambda _: fixed, room=lambda *_: True)
    said = together(monkeypatch)
    worker.run_worker(settings, interruption=stop_after(5, monkeypatch))
    assert [len(others), *(each[f"{job.id} search"] for each in said)] == [3, 1, 1, 1, 1, 1]


def test_two_jobs_are_trained_side_by_side(db: Database, settings: Settings) -> None:
    """A small job submitted behind a large one starts at once, and gets its share of the lanes."""
    large = submitted(db, budget={"trials": 24}, training={"epochs": 2}, pruner={"name": "none"})
    small = submitted(db, budget={"trials": 8}, training={"epochs": 3}, pruner={"name": "none"})
    worker.run_worker(settings, exit_when_idle=True)
    begun = sorted((row.started_at, row.job_id) for row in rows(db, large) + rows(db, small))
    assert [job_id for _, job_id in begun[:8]].count(small.id) == 2  # a quarter of its search
    for job in (large, small):
        assert jobs.get_job(db, job.id, factories.ME).state is JobState.COMPLETED


def test_a_worker_that_is_full_asks_no_job_for_a_trial(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five problems, of which four are trained side by side, one student each: the fifth waits, and is not asked."""
    for seed in range(engine_cache.MOST + 1):
        submitted(db, dataset=JOB["dataset"] | {"split_seed": seed}, training={"epochs": 1}, pruner={"name": "none"})
    held, claim_many = list[int](), claiming.claim_many

    def counted(*given: Any, **named: Any) -> Any:
        with db.read() as connection:
            of_trials = sqlalchemy.select(sqlalchemy.func.count()).select_from(tables.leases)
            held.append(connection.execute(of_trials.where(tables.leases.c.job_id.is_not(None))).scalar_one())
        return claim_many(*given, **named)

    monkeypatch.setattr(admission.claiming, "claim_many", counted)
    worker.run_worker(settings_for(db, tmp_path, engine="loop"), exit_when_idle=True)
    assert {job.state for job in jobs.list_jobs(db, factories.ME).items} == {JobState.COMPLETED}
    assert set(held) == set(range(engine_cache.MOST))


def test_a_quarter_is_at_least_one() -> None:
    spec = factories.spec(budget={"trials": 3}, baselines={"share": 0.1})
    assert trial_counts.at_once(spec, Stage.SEARCH) == 1
    assert trial_counts.at_once(spec, Stage.BASELINE) == 3  # one of each arm
    assert trial_counts.at_once(spec, Stage.SELECT) is None
    spec = factories.spec(budget={"trials": 64}, baselines={"share": 0.25})
    assert (trial_counts.at_once(spec, Stage.SEARCH), trial_counts.at_once(spec, Stage.BASELINE)) == (16, 12)


def test_a_job_s_trials_are_counted_beforehand(db: Database, settings: Settings) -> None:
    apart = {"share": 0.5, "by": "arm"}  # of a field at most so many are known, whose race may end early
    job = submitted(db, training={"epochs": 1}, pruner={"name": "none"}, baselines=apart)
    worker.run_worker(settings, exit_when_idle=True)
    assert trial_counts.trials_of(factories.spec(**(JOB | {"baselines": apart}))) == len(rows(db, job))


def test_the_worker_says_with_what_it_trains(db: Database, settings: Settings) -> None:
    submitted(db, budget={"trials": 8})
    with structlog.testing.capture_logs() as said:
        worker.run_worker(settings, exit_when_idle=True)
    [row] = list_workers(db)
    [engine] = row.engines
    assert (engine["engine"], engine["lanes"], engine["student"], row.lanes) == ("loop", 8, "mlp", 8)
    chosen = [(each["engine"], each["lanes"]) for each in said if each["event"] == "engine chosen"]
    assert chosen == [("loop", 2), ("loop", 8)]  # for the search, and for what confirms it


def test_out_of_memory_halves_the_lanes_and_fails_nobody(
    db: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen trials, four at once, on a machine that bears three: from then on two, from where they stood."""
    settings = settings.model_copy(update={"lanes": 4})
    changes: dict[str, Any] = {"budget": {"trials": 16}, "sampler": {"name": "random"}, "pruner": {"name": "none"}}
    changes |= {"training": {"epochs": 4}}
    one_by_one = settings.model_copy(update={"lanes": 1})
    expected = submitted(db, **changes)
    worker.run_worker(one_by_one, exit_when_idle=True)
    opened: list[int] = []

    def tight(self: EngineChooser, prepared: run.Prepared, choice: Any) -> Tight:
        opened.append(choice.lanes)
        return Tight(prepared, choice.lanes)

    monkeypatch.setattr(EngineChooser, "open", tight)
    job = submitted(db, **changes)
    with structlog.testing.capture_logs() as said:
        worker.run_worker(settings, exit_when_idle=True)
    assert opened == [4, 2]
    assert [each["lanes"] for each in said if each["event"].startswith("out of memory")] == [2]
    assert {row.state for row in rows(db, job)} == {TrialState.COMPLETED}
    assert max(row.attempt for row in rows(db, job)) == 2
    assert len([start for start in starts(db, job) if start["attempt"] == 2]) == 4
    configurations = [(row.seed, row.configuration, row.value) for row in rows(db, expected)[:16]]
    assert [(row.seed, row.configuration, row.value) for row in rows(db, job)[:16]] == configurations


def test_a_student_that_never_fits_fails_alone(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even one lane is too many: nothing is halved for ever."""
    monkeypatch.setattr(Tight, "bears", 0)
    monkeypatch.setattr(EngineChooser, "open", lambda _, prepared, choice: Tight(prepared, choice.lanes))
    job = submitted(db, budget={"trials": 8})
    worker.run_worker(settings, exit_when_idle=True)
    problem = jobs.get_job(db, job.id, factories.ME).problem
    assert problem is not None
    assert problem.type == "crashed"
    assert "OutOfMemoryError" in problem.detail


@pytest.mark.slow
@pytest.mark.parametrize("when", ["within an epoch", "between epochs"])
def test_a_training_process_that_is_killed_takes_no_trial_with_it(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Its trials and their neighbours go on from their checkpoints, one by one, for nobody knows whose fault it was."""
    settings = settings.model_copy(update={"engine": "processes", "threads": 2, "lanes": 2})
    step, calls = training_loop.EngineSession.step, [0]

    def killing(session: training_loop.EngineSession) -> Any:
        calls[0] += 1
        engine = session.running
        assert isinstance(engine, ProcessesEngine)
        if calls[0] == 3 and when == "within an epoch":
            os.kill(engine.pids()[0], signal.SIGKILL)
        said = step(session)
        if calls[0] == 3 and when == "between epochs":
            os.kill(engine.pids()[0], signal.SIGKILL)
        return said

    monkeypatch.setattr(training_loop.EngineSession, "step", killing)
    job = submitted(db, budget={"trials": 8}, training={"epochs": 6}, pruner={"name": "none"})
    worker.run_worker(settings, exit_when_idle=True)
    assert jobs.get_job(db, job.id, factories.ME).state is JobState.COMPLETED
    assert {row.state for row in rows(db, job)} == {TrialState.COMPLETED}
    again = [start for start in starts(db, job) if start["attempt"] == 2]
    assert [(start["trial"], start["epoch"]) for start in again] == [(0, 2), (1, 2)]


@pytest.mark.slow
def test_a_trial_that_kills_its_training_process_each_time_fails_alone(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"engine": "processes", "threads": 2, "lanes": 2})
    step = training_loop.EngineSession.step

    def poisoned(session: training_loop.EngineSession) -> Any:
        if 1 in {running_trial.claim.number for running_trial in session.trials.values()}:
            engine = session.running
            assert isinstance(engine, ProcessesEngine)
            os.kill(engine.pids()[0], signal.SIGKILL)
        return step(session)

    monkeypatch.setattr(training_loop.EngineSession, "step", poisoned)
    job = submitted(db, budget={"trials": 6}, training={"epochs": 3}, pruner={"name": "none"})
    worker.run_worker(settings, exit_when_idle=True)
    assert jobs.get_job(db, job.id, factories.ME).state is JobState.COMPLETED
    of = {row.number: row for row in rows(db, job)}
    assert {number for number, row in of.items() if row.state != TrialState.COMPLETED} == {1}
    assert of[1].reason["type"] == "worker-lost"
    assert "a training process ended by signal 9" in of[1].reason["detail"]


def test_what_the_cpu_s_allocator_says_counts_as_memory(processes: Processes) -> None:
    """In a process that may not have more: torch raises a plain RuntimeError there."""
    script = """
import resource, torch
from trainers.engines import memory
from trainers.engines.memory import ran_out
size = 1024 * int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmSize")))
resource.setrlimit(resource.RLIMIT_AS, (size + 2**28, size + 2**28))
try:
    torch.empty(2**30)
except Exception as error:
    print(type(error).__name__, ran_out(error))
memory.give_back()
"""
    started = processes.start(sys.executable, "-c", script, cwd=ROOT)
    assert started.wait() == 0, started.output()
    assert started.output().split() == ["RuntimeError", "True"]
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY  # here nothing has changed
    assert not memory.ran_out(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not memory.ran_out(ValueError("can't allocate memory"))
