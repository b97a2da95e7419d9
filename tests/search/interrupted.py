"""Jobs whose workers are stopped, killed and frozen, and what the same job comes to when nobody disturbs it."""

from __future__ import annotations

import select
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import sqlalchemy

from search.claims import artifacts, reporting
from search.records import Job
from search.requests import jobs, trials
from search.settings import Settings
from search.states import JobState
from search.storage import tables
from search.storage.db import Database
from search.storage.store import open_store
from search.worker import process as worker
from search.worker import training_loop
from search.worker.context import Interruption
from tests.processes import Processes, Started
from tests.search import factories

PATIENCE = 120.0
EPOCHS = 12
PRUNER = {"name": "median", "min_epochs": 2, "startup_trials": 2}
# Dropout, momentum and a schedule: whatever a checkpoint could forget shows in the weights. The second trial is already
# proposed from what the first has come to: a sampler that does not propose the same again shows in all.
JOB: dict[str, Any] = {
    "dataset": {"name": "digits", "train_size": 100},
    "teacher": {"model": {"name": "mlp"}, "training": {"epochs": 2}, "optimizer": {}},
    "student": {"name": "mlp", "arguments": {"width": 8, "dropout": 0.1}},
    "training": {"epochs": EPOCHS},
    "pruner": PRUNER,
    "sampler": {"startup_trials": 1},
    "budget": {"trials": 3},
    "baselines": {"share": 0.0},
    "confirmation": {"finalists": 1, "select_seeds": 1, "estimate_seeds": 2},
}


def submitted(db: Database, **changes: Any) -> Job:
    return factories.submitted(db, **(JOB | changes))


def settings_for(db: Database, var: Path, **changes: Any) -> Settings:
    """One thread, polling often, a checkpoint after each epoch, and an engine that computes the same each time."""
    given: dict[str, Any] = {"lease_seconds": 60, "poll_seconds": 0.05, "threads": 1, "checkpoint_seconds": 1e-6}
    given["engine"] = "loop"
    return Settings(var=var, database_url=db.url, **(given | changes))


def stop_after(reports: int, monkeypatch: pytest.MonkeyPatch) -> Interruption:
    """Asks the worker to stop while it writes down its so-many-th epoch."""
    interruption, report_all, said = Interruption(), reporting.report_all, [0]

    def report_and_ask(*given: Any) -> Any:
        said[0] += 1
        if said[0] == reports:
            interruption.ask()
        return report_all(*given)

    monkeypatch.setattr(training_loop.reporting, "report_all", report_and_ask)
    monkeypatch.setattr(training_loop, "REPORT_SECONDS", 0.0)
    return interruption


def outcome(db: Database, job: Job, settings: Settings) -> list[Any]:
    """All that a job came to: every trial with every report, and the student's tensors. The same twice to the bit.

    Metadata of the student's file name the job, which is another one each time.
    """
    done = jobs.get_job(db, job.id, factories.ME)
    assert done.state is JobState.COMPLETED, done.problem
    answer: list[Any] = []
    for each in trials.iter_trials(db, job.id, factories.ME):
        said = trials.get_trial(db, job.id, each.number, factories.ME)[1]
        curve = [(one.epoch, one.train_loss, one.learning_rate, one.accuracy, one.nll, one.ece) for one in said]
        assert [one[0] for one in curve] == list(range(1, each.epoch + 1))
        answer.append((each.number, each.stage, each.configuration, each.seed, each.state, each.value, curve))
    with artifacts.open_artifact(db, open_store(settings), job.id, "student.safetensors", factories.ME) as (_, student):
        tensors = safetensors.torch.load(student.read_bytes())
        answer.append([(name, tensor.numpy().tobytes()) for name, tensor in sorted(tensors.items())])
    return answer


def calm(db: Database, settings: Settings) -> list[Any]:
    """The outcome of the job when one worker trains it from start to end."""
    job = submitted(db)
    worker.run_worker(settings, exit_when_idle=True)
    return outcome(db, job, settings)


def calm_alone(migrated: Path, folder: Path) -> list[Any]:
    """The same in a database of its own: a copy of a migrated SQLite file in an empty folder."""
    file = shutil.copy(migrated, folder / "thermowell.db")
    with factories.opened(f"sqlite:///{file}") as db:
        return calm(db, settings_for(db, folder))


def starts(db: Database, job: Job) -> list[dict[str, Any]]:
    """What was said each time that a trial was begun."""
    events = tables.events.c
    query = sqlalchemy.select(events.payload).where(events.job_id == job.id, events.kind == "trial_started")
    with db.read() as connection:
        return list(connection.scalars(query.order_by(events.number)))


def rows(db: Database, job: Job) -> list[Any]:
    with db.read() as connection:
        query = tables.trials.select().where(tables.trials.c.job_id == job.id)
        return list(connection.execute(query.order_by(tables.trials.c.number)).all())


def process(processes: Processes, settings: Settings, *arguments: str) -> Started:
    """A worker of its own, with these settings."""
    wanted = ("database_url", "var", "lease_seconds", "poll_seconds", "threads", "checkpoint_seconds", "engine")
    env = {f"THERMOWELL_{name.upper()}": str(getattr(settings, name)) for name in wanted}
    return processes.start(sys.executable, "-m", "search.worker", *arguments, env=env)


def until(happened: Callable[[], bool], started: Started) -> None:
    """Returns once something has happened in a process; says what the process said when it ends or never does it."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert started.process.poll() is None, started.output()
        assert time.monotonic() < deadline, started.output()
        select.select([], [], [], 0.01)  # another process's commit sends no event that could be awaited here
