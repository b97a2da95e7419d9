"""Jobs that a worker of this process trains to their answer, and the files that belong to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from search.claims import artifacts
from search.records import Job
from search.requests import jobs
from search.settings import Settings
from search.states import JobState
from search.storage.db import Database
from search.storage.store import open_store
from search.worker import process as worker
from tests.search import factories


def answered(db: Database, settings: Settings, folder: Path, **document: Any) -> Job:
    """A job that was trained and answered, its test part opened; its files are written into the new folder."""
    job = factories.submitted(db, **document)
    worker.run_worker(settings, exit_when_idle=True)
    factories.open_sealed(db, job, lambda: worker.run_worker(settings, exit_when_idle=True))
    job = jobs.get_job(db, job.id, factories.ME)
    assert job.state is JobState.COMPLETED, job.problem
    folder.mkdir()
    files = open_store(settings)
    for file in artifacts.list_artifacts(db, job.id, factories.ME):
        with artifacts.open_artifact(db, files, job.id, file.name, factories.ME) as (_, path):
            (folder / file.name).write_bytes(path.read_bytes())
    return job
