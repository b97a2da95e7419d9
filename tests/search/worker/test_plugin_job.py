"""A job that names plugins is trained by workers that have them, with the code with which it began."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy

from search.claims import artifacts, workers
from search.records import Job
from search.requests import jobs, results, trials
from search.settings import Settings
from search.states import Arm, JobState
from search.storage import tables
from search.storage.db import Database
from search.worker import process as worker
from search.worker.context import Interruption
from tests import distributions
from tests.search import factories
from tests.search.worker.test_worker import SMALL
from trainers.registry import plugins

PLUGGED: dict[str, Any] = SMALL | {
    "dataset": {"name": "acme/words"},
    "teacher": {"model": {"name": "acme/bag"}, "training": {"epochs": 4, "batch_size": 16}, "optimizer": {}},
    "student": {"name": "acme/bag", "arguments": {"width": 4}},
}
ARITHMETIC: dict[str, Any] = {
    "dataset": {"name": "digits", "train_size": 100, "augmentation": "acme/grain"},
    "distillation": {"method": "acme/soft", "alpha": 0.5},
    "space": {"optimizer": {"acme/heavy": {"momentum": [0.5, 0.9]}}},
}


@pytest.fixture
def settings(db: Database, tmp_path: Path) -> Settings:
    changes: dict[str, Any] = {"lease_seconds": 30, "poll_seconds": 0.05, "threads": 1, "plugins": "acme-kd, gone-kd"}
    return Settings(var=tmp_path, database_url=db.url, **changes)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "site"
    place.mkdir()
    distributions.write(place, "acme-kd", distributions.TABLE)
    with distributions.importable(place) as load:
        load()
        yield place


def seen(db: Database, job: Job) -> Job:
    return jobs.get_job(db, job.id, factories.ME)


@pytest.mark.slow
def test_a_whole_job(db: Database, settings: Settings, folder: Path) -> None:
    job = factories.submitted(db, **PLUGGED)
    worker.run_worker(settings, exit_when_idle=True)
    done = seen(db, job)
    assert done.state is JobState.COMPLETED, done.problem
    assert done.fixed is not None
    assert set(done.fixed["plugins"]) == {"dataset acme/words", "model acme/bag"}
    names = {artifact.name for artifact in artifacts.list_artifacts(db, job.id, factories.ME)}
    assert {"student.safetensors", "student.json", "README.md"} <= names
    assert "student.py" not in names
    (entry,) = workers.list_workers(db)
    assert {document["name"] for document in entry.capabilities["plugins"]} >= {"acme/words", "acme/bag"}
    assert "gone-kd" in entry.capabilities["plugin_errors"]


@pytest.mark.slow
def test_a_whole_job_with_a_loss_an_optimizer_and_an_augmentation_of_a_plugin(
    db: Database, settings: Settings, folder: Path
) -> None:
    distributions.write(folder, "sums-kd", distributions.ARITHMETIC)
    job = factories.submitted(db, **(SMALL | ARITHMETIC))
    worker.run_worker(settings.model_copy(update={"plugins": "sums-kd", "lanes": 2}), exit_when_idle=True)
    done = seen(db, job)
    assert done.state is JobState.COMPLETED, done.problem
    assert done.fixed is not None
    names = {"augmentation acme/grain", "loss acme/soft", "optimizer acme/heavy"}
    assert set(done.fixed["plugins"]) == names
    rows = list(trials.iter_trials(db, job.id, factories.ME))
    searched = [trial.configuration for trial in rows if trial.arm is Arm.JOINT]
    assert {row["optimizer"]["name"] for row in searched} == {"acme/heavy"}
    assert {row.configuration.get("method") for row in rows if row.arm is Arm.T4} == {"kl"}
    result = results.get_result(db, job.id, factories.ME)
    assert "with acme/soft with acme/heavy" in result.summary


def test_a_job_waits_for_a_worker_that_has_its_plugins(db: Database, settings: Settings, folder: Path) -> None:
    job = factories.submitted(db, **PLUGGED)
    without = settings.model_copy(update={"plugins": ""})
    worker.run_worker(without, interruption=_Looked())
    assert seen(db, job).state is JobState.QUEUED
    assert "the plugin acme/words and the plugin acme/bag" in str(seen(db, job).progress.waits_for)


def test_other_code_than_that_of_the_first_claim_is_refused(db: Database, settings: Settings, folder: Path) -> None:
    job = factories.submitted(db, **PLUGGED)
    pinned = {"views": 1, "precision": "fp32", "device": "cpu", "plugins": {"model acme/bag": "0123456789abcdef"}}
    with db.write() as connection:
        connection.execute(sqlalchemy.update(tables.jobs).values(fixed=pinned))
    worker.run_worker(settings, interruption=_Looked())
    assert seen(db, job).state is JobState.QUEUED
    waits = str(seen(db, job).progress.waits_for)
    assert "acme/bag with fingerprint 0123456789abcdef, with which the job began" in waits


def test_what_workers_publish_is_what_a_spec_may_name(db: Database, folder: Path) -> None:
    found = plugins.load(["acme-kd"])
    published = [record.document() for record in found.records.values()]
    capabilities = {"device": "cpu", "plugins": published, "plugin_errors": {"gone-kd": "no such package"}}
    workers.worker_seen(db, "w", host="here", pid=1, lanes=1, capabilities=json.loads(json.dumps(capabilities)))
    merged = workers.published_plugins(db)
    assert merged.records == found.records
    assert merged.errors == {"gone-kd": "no such package"}
    workers.worker_seen(
        db, "v", host="here", pid=1, lanes=1, capabilities={"device": "cpu", "plugins": [{"name": "x"}]}
    )
    assert workers.published_plugins(db).records == found.records, "one that cannot be read changes nothing"
    workers.worker_stopped(db, "w")
    assert not workers.published_plugins(db).records


class _Looked(Interruption):
    """An interruption that is asked for by whoever waits for it: an idle worker does."""

    def __init__(self) -> None:
        super().__init__()
        wait = self.asked.wait

        def wait_and_ask(timeout: float | None = None) -> bool:
            self.ask()
            return wait(timeout)

        self.asked.wait = wait_and_ask  # type: ignore[method-assign]
