"""Workers that share no folder, only a bucket: what one has begun another goes on with, and an outage loses nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import structlog
import torch

from search.claims import artifacts, reporting
from search.errors import StoreUnavailable
from search.requests import jobs
from search.settings import Settings
from search.states import JobState, TrialState
from search.storage.bucket import Bucket
from search.storage.db import Database
from search.worker import process as worker
from search.worker import shared_files, training_loop
from tests.buckets import Server
from tests.search import factories
from tests.search.interrupted import calm_alone, outcome, rows, settings_for, starts, stop_after, submitted
from trainers.errors import TeacherInvalid


@pytest.fixture(scope="module")
def undisturbed(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What the job comes to when nobody disturbs it, in a folder."""
    return calm_alone(migrated_file, tmp_path_factory.mktemp("calm"))


@pytest.fixture
def bucket(bucket_url: str) -> Iterator[Bucket]:
    opened = Bucket(bucket_url)
    yield opened
    opened.close()


def machine(db: Database, tmp_path: Path, name: str, bucket: Bucket) -> Settings:
    """A machine of its own: it shares the database and the bucket with the others, and no folder."""
    return settings_for(db, tmp_path / name, artifact_store=bucket.url)


def teachers(bucket: Bucket) -> list[str]:
    return [f"{each}/{name}" for each in bucket.names("teachers") for name in bucket.names(f"teachers/{each}")]


@pytest.mark.slow
def test_another_machine_goes_on_from_what_is_in_the_bucket(
    db: Database, bucket: Bucket, undisturbed: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submitted(db)
    for number, reports in enumerate((3, 7)):
        with monkeypatch.context() as patch:
            worker.run_worker(
                machine(db, tmp_path, f"machine-{number}", bucket), interruption=stop_after(reports, patch)
            )
        [waiting] = [row for row in rows(db, job) if row.checkpoint is not None]
        assert waiting.state == TrialState.WAITING
        folder = f"{artifacts.work(job.id)}/checkpoints/{waiting.number}"
        assert bucket.names(folder) == [waiting.checkpoint], "older ones are gone"
    [taught] = teachers(bucket)
    last = machine(db, tmp_path, "last", bucket)
    with monkeypatch.context() as patch:
        patch.setattr(
            "trainers.teaching.supervised.train_on_labels", None
        )  # a teacher that was trained again would fail on this
        worker.run_worker(last, exit_when_idle=True)
    assert outcome(db, job, last) == undisturbed, "to the bit, teacher and checkpoints came through the bucket"
    assert teachers(bucket) == [taught]
    resumed = [start for start in starts(db, job) if start["attempt"] > 1]
    assert [start["epoch"] > 0 for start in resumed] == [True, True]
    assert bucket.names("work") == []
    assert not list(tmp_path.glob("*/artifacts/work"))
    kept = [each.sha256 for each in artifacts.list_artifacts(db, job.id, factories.ME)]
    jobs.delete_job(db, job.id, factories.ME, bucket)
    assert not any(bucket.exists(artifacts.place(sha256)) for sha256 in kept)
    assert teachers(bucket) == [taught], "other jobs may ask it"


def test_an_outage_loses_no_trial(
    db: Database,
    bucket: Bucket,
    s3: Server,
    undisturbed: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It begins in the middle of a trial and outlasts it; saving fails with a warning, and goes on later."""
    report_all, said = reporting.report_all, [0]

    def report(*given: Any) -> Any:
        said[0] += 1
        if said[0] == 3:
            s3.stop()
        if said[0] == 20:
            s3.start()
        return report_all(*given)

    monkeypatch.setattr(training_loop.reporting, "report_all", report)
    monkeypatch.setattr(training_loop, "REPORT_SECONDS", 0.0)
    job, settings = submitted(db), machine(db, tmp_path, "one", bucket)
    with structlog.testing.capture_logs() as told:
        worker.run_worker(settings, exit_when_idle=True)
    assert outcome(db, job, settings) == undisturbed
    assert {row.attempt for row in rows(db, job)} == {1}
    warned = {each["event"] for each in told if each["log_level"] == "warning"}
    assert warned == {"not saved", "not deleted"}
    assert bucket.names("work") == []


@pytest.mark.parametrize("what", ["students", "the answer", "the beginning"])
@pytest.mark.slow
def test_what_needs_the_store_waits_for_it(
    db: Database, bucket: Bucket, undisturbed: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Students that could not be kept are trained again; a job that cannot be closed, or a trial begun, is later."""
    put, failed = Bucket.put, [0]
    name = {"students": ".safetensors", "the answer": "/", "the beginning": "teachers/"}[what]

    def failing(self: Bucket, key: str, source: Path) -> Any:
        students = key.startswith("work/") and key.count("/") == 2
        ours = {"students": students, "the answer": key.count("/") == 1, "the beginning": key.startswith("teachers/")}
        if ours[what] and failed[0] < 2:
            failed[0] += 1
            raise StoreUnavailable(f"{name} cannot be put")
        return put(self, key, source)

    monkeypatch.setattr(Bucket, "put", failing)
    if what == "the beginning":
        put_new = Bucket.put_new

        def refused(self: Bucket, key: str, source: Path) -> bool:
            failing(self, key, source)
            self.delete(key)
            return put_new(self, key, source)

        monkeypatch.setattr(Bucket, "put_new", refused)
    job = submitted(db)
    settings = machine(db, tmp_path, "one", bucket).model_copy(update={"lease_seconds": 4.0})
    worker.run_worker(settings, exit_when_idle=True)
    assert failed == [2]
    done = jobs.get_job(db, job.id, factories.ME)
    assert (done.state, done.problem) == (JobState.COMPLETED, None)
    assert outcome(db, job, settings) == undisturbed


def test_of_two_machines_that_train_a_teacher_at_once_the_first_one_s_counts(bucket: Bucket, tmp_path: Path) -> None:
    paths = []
    for number, name in enumerate(("first", "second")):
        root = tmp_path / name
        made, path = root / "teachers" / "of" / "made-weights", root / "teachers" / "of" / "weights"
        made.parent.mkdir(parents=True)
        made.write_text(f"weights {number}")
        shared_files.Shared(bucket, root).settle(made, path)
        assert not made.exists()
        paths.append(path)
    assert [path.read_text() for path in paths] == ["weights 0", "weights 0"]


def test_a_teacher_s_weights_are_brought_once_and_checked(bucket: Bucket, tmp_path: Path) -> None:
    source, shared = tmp_path / "teacher", shared_files.Shared(bucket, tmp_path / "machine")
    safetensors.torch.save_file({"weight": torch.zeros(3)}, source)
    sha256 = artifacts.keep(bucket, source)
    path = shared.root / artifacts.place(sha256)
    shared.bring(sha256)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    source.write_bytes(b"changed")
    bucket.put(artifacts.place(sha256), source)
    shared.bring(sha256)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256, "the copy is whole; nobody asks the bucket"
    path.write_bytes(b"damaged here as well")
    with pytest.raises(TeacherInvalid, match="damaged"):
        shared.bring(sha256)
    assert not path.exists()
    bucket.delete(artifacts.place(sha256))
    shared.bring(sha256)  # training says that it is missing
    assert not path.exists()


def test_a_worker_with_a_wrong_bucket_ends_at_once(db: Database, bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="NoSuchBucket"):
        worker.run_worker(settings_for(db, tmp_path, artifact_store="s3://no-such-bucket-here"))
