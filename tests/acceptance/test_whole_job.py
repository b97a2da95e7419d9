"""A whole job to its answer with an exact count of trials, also where a worker is killed in the middle of it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.serving import chaos_checks
from search.records import Job, Trial
from search.requests import jobs, results, trials
from search.spec.job import JobSpec
from search.states import TERMINAL_JOBS, JobState, Stage, TrialState
from search.storage.db import Database
from search.storage.events import read_events
from tests.processes import Processes, Started
from tests.search.factories import ME

LEASE_SECONDS = 4.0  # short: a killed worker's trials come back after this
CALM_LEASE_SECONDS = 60.0  # long enough for a busy machine, where nobody is killed
PATIENCE = 200.0


def spec(trials: int, **changes: object) -> JobSpec:
    """Real digits, a teacher of two epochs, students of eight: small, and yet every stage is gone through."""
    document: dict[str, object] = {
        "name": "whole",
        "dataset": {"name": "digits", "train_size": 200, "augmentation": "shift"},
        "teacher": {
            "model": {"name": "mlp", "arguments": {"width": 32}},
            "training": {"epochs": 2},
            "optimizer": {"name": "adamw", "learning_rate": 0.01},
            "views": 2,
        },
        "student": {"name": "mlp", "arguments": {"width": 16}},
        "training": {"epochs": 8, "batch_size": 32},
        "pruner": {"name": "median", "min_epochs": 2},
        "budget": {"trials": trials},
        "baselines": {"share": 0.1},
        "confirmation": {"finalists": 2, "select_seeds": 2, "estimate_seeds": 2},
    }
    return JobSpec.model_validate(document | changes)


def worker(processes: Processes, database_url: str, root: Path, lease: float = CALM_LEASE_SECONDS) -> Started:
    """A real worker process, which ends when no job is left."""
    return processes.start(
        sys.executable, "-m", "search.worker", "--exit-when-idle",
        env={
            "THERMOWELL_DATABASE_URL": database_url,
            "THERMOWELL_DATA_ROOT": str(root / "data"),
            "THERMOWELL_ARTIFACT_ROOT": str(root / "artifacts"),
            "THERMOWELL_LEASE_SECONDS": str(lease),
            "THERMOWELL_POLL_SECONDS": "0.1",
            "THERMOWELL_THREADS": "1",
        },
    )  # fmt: skip


def until(happened: Callable[[], bool], started: list[Started]) -> None:
    """Returns once something has happened in another process; says what the workers said when it never does."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError("\n".join(each.output()[-2000:] for each in started))
        time.sleep(0.05)  # another process's commit sends no event that could be awaited here


def ended(database: Database, job: Job) -> bool:
    return jobs.get_job(database, job.id, ME).state in TERMINAL_JOBS


def check_answer(database: Database, job: Job, budget: int) -> list[Trial]:
    """The job is completed, counts are exact, every trial ended once, and Optuna's tables agree with ours."""
    assert chaos_checks.violations(database, ME, [job]) == []
    rows = list(trials.iter_trials(database, job.id, ME))
    assert len([row for row in rows if row.stage is Stage.SEARCH]) == budget
    answer = results.get_result(database, job.id, ME)
    assert answer.winner.validation.mean is not None
    assert {gain.over for gain in answer.gains} == {"label_only", "t1", "t4"}
    return rows


@pytest.mark.parametrize(
    ("database_url", "workers", "budget"),
    [pytest.param("sqlite", 2, 24, marks=pytest.mark.slow), pytest.param("postgresql", 4, 64, marks=pytest.mark.slow)],
    indirect=["database_url"],
)
def test_a_killed_worker_loses_nothing(
    database: Database, database_url: str, processes: Processes, tmp_path: Path, workers: int, budget: int
) -> None:
    job = jobs.submit(database, spec(budget), ME)[0]
    started = [worker(processes, database_url, tmp_path, LEASE_SECONDS) for _ in range(workers)]

    def of(pid: int) -> list[Trial]:
        rows = trials.iter_trials(database, job.id, ME)
        return [row for row in rows if row.worker_id is not None and f"-{pid}-" in row.worker_id]

    # The victim has ended some trials and is in the middle of another one.
    victim = started[0]
    until(lambda: {TrialState.COMPLETED, TrialState.RUNNING} <= {row.state for row in of(victim.pid)}, started)
    victim.signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    held = [row.number for row in of(victim.pid) if row.state is TrialState.RUNNING]
    until(lambda: ended(database, job), started)
    rows = check_answer(database, job, budget)
    for number in held:
        assert rows[number].attempt > 1, "what the dead worker held was trained by another one"
        assert f"-{victim.pid}-" not in (rows[number].worker_id or "")
    for each in started[1:]:
        assert each.wait() == 0, each.output()


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_four_workers_share_a_job_without_losing_a_lease(
    database: Database, database_url: str, processes: Processes, tmp_path: Path
) -> None:
    job = jobs.submit(database, spec(64), ME)[0]
    started = [worker(processes, database_url, tmp_path) for _ in range(4)]
    until(lambda: ended(database, job), started)
    rows = check_answer(database, job, 64)
    assert {row.attempt for row in rows} == {1}
    kinds = {event.kind for event in read_events(database, job.id, ME, 0, 100_000)}
    assert not kinds & {"trial_lost", "trial_returned", "closing_lost"}
    assert len({row.worker_id for row in rows}) == 4


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_selection_does_not_change_when_the_test_labels_are_shuffled(
    database: Database, database_url: str, processes: Processes, tmp_path: Path
) -> None:
    """The same job on two sets that differ in their test labels alone: all is equal but the test figures."""
    chance = np.random.default_rng(0)
    labels = np.arange(400) % 4
    images = (chance.normal(60, 40, (400, 8, 8)) + 30 * labels[:, None, None]).clip(0, 255).astype(np.uint8)
    shuffled = chance.permutation(labels[200:])
    (tmp_path / "data").mkdir()
    for name, test in (("true", labels[200:]), ("shuffled", shuffled)):
        np.savez(
            tmp_path / "data" / f"{name}.npz",
            images=images[:200], labels=labels[:200], test_images=images[200:], test_labels=test,
        )  # fmt: skip
    runs = {}
    for name in ("true", "shuffled"):
        job = jobs.submit(database, spec(6, dataset={"name": "npz", "path": f"{name}.npz"}), ME)[0]
        for turn in range(2):
            started = worker(processes, database_url, tmp_path)
            assert started.wait(PATIENCE) == 0, started.output()
            assert jobs.get_job(database, job.id, ME).state is JobState.COMPLETED
            if turn or jobs.get_job(database, job.id, ME).test_opened_at is not None:
                break
            jobs.open_test(database, job.id, ME)  # nothing is decided
        runs[name] = results.get_result(database, job.id, ME), list(trials.iter_trials(database, job.id, ME))
    true, mixed = runs["true"], runs["shuffled"]
    # One worker proposes, trains and chooses the same things twice: whatever differs comes from the test labels.
    chosen = [
        [(row.stage, row.arm, row.variant, row.configuration, row.seed, row.state, row.value) for row in rows]
        for _, rows in (true, mixed)
    ]
    assert chosen[0] == chosen[1]
    assert true[0].winner.configuration == mixed[0].winner.configuration
    assert true[0].gains[0].mean == mixed[0].gains[0].mean
    assert true[0].winner.test is not None
    assert mixed[0].winner.test is not None
    assert true[0].winner.test["accuracy"].mean != mixed[0].winner.test["accuracy"].mean
