"""A whole job where API and workers share no folder, only a bucket, and a worker is killed."""

from __future__ import annotations

import hashlib
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from search.requests import jobs
from search.schema import migrate
from search.settings import Settings
from search.states import JobState, TrialState
from search.storage.bucket import Bucket
from search.storage.db import Database, open_database
from service.settings import Settings as ServiceSettings
from tests.buckets import KEY, SECRET
from tests.processes import Processes, Started
from tests.search.factories import ME
from tests.search.interrupted import rows, starts, submitted, until
from tests.service.server_fixtures import serving


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    opened = open_database(sqlite_url)
    migrate(opened)
    yield opened
    opened.close()


def machine(processes: Processes, settings: Settings, *arguments: str) -> Started:
    """A worker of its own; where the bucket is stands in the environment that all share."""
    wanted = ("database_url", "var", "artifact_store", "lease_seconds", "poll_seconds", "threads", "checkpoint_seconds")
    env = {f"THERMOWELL_{name.upper()}": str(getattr(settings, name)) for name in wanted}
    return processes.start(sys.executable, "-m", "search.worker", *arguments, env=env)


@pytest.mark.slow
def test_a_job_without_a_common_folder_survives_a_killed_worker(
    database: Database, bucket_url: str, processes: Processes, tmp_path: Path
) -> None:
    def settings(name: str) -> Settings:
        return Settings(
            var=tmp_path / name,
            database_url=database.url,
            artifact_store=bucket_url,
            lease_seconds=4.0,
            poll_seconds=0.1,
            threads=1,
            checkpoint_seconds=1e-6,
        )

    job = submitted(database)
    victim = machine(processes, settings("victim"))

    def in_the_middle() -> bool:
        return any(row.state == TrialState.RUNNING and row.checkpoint is not None for row in rows(database, job))

    until(in_the_middle, victim)
    victim.signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    # Had it gone on by itself, its successor would find nothing to go on from.
    held = {row.number: row.checkpoint for row in rows(database, job) if row.state == TrialState.RUNNING}
    assert any(held.values())
    successor = machine(processes, settings("successor"), "--exit-when-idle")
    assert successor.wait(120.0) == 0, successor.output()

    assert jobs.get_job(database, job.id, ME).state is JobState.COMPLETED
    resumed = [start for start in starts(database, job) if start["attempt"] > 1]
    assert any(start["epoch"] > 0 for start in resumed), "another machine went on from the checkpoint in the bucket"
    assert "trial starts over" not in successor.output()
    for said in (victim.output(), successor.output()):
        assert SECRET not in said
        assert KEY not in said
    for name in ("victim", "successor"):
        local = {path.name for path in (tmp_path / name / "artifacts").iterdir()}
        assert local <= {"teachers", "engines"}, "answers, students and checkpoints are in the bucket alone"

    with closing(Bucket(bucket_url)) as bucket:
        api = ServiceSettings(var=tmp_path / "api", database_url=database.url, artifact_store=bucket_url)
        with serving(api) as url, httpx.Client(base_url=url, timeout=20) as client:
            listed = client.get(f"/v1/jobs/{job.id}/artifacts").json()["items"]
            assert {each["name"] for each in listed} >= {"student.safetensors", "student.json", "test-right.npz"}
            for each in listed:
                answer = client.get(f"/v1/jobs/{job.id}/artifacts/{each['name']}")
                assert hashlib.sha256(answer.content).hexdigest() == each["sha256"]
            assert client.delete(f"/v1/jobs/{job.id}").status_code == 204
        assert bucket.names("work") == []
        assert not any(bucket.exists(f"{each['sha256'][:2]}/{each['sha256']}") for each in listed)
        assert len(bucket.names("teachers")) == 1
    assert not (tmp_path / "api" / "artifacts").exists(), "what was sent has gone from the API's own disk"
