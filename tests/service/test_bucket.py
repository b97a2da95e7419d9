"""The service over a bucket: files are checked before they are sent, and an outage is told without a word of where."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy
import pytest
from optuna.artifacts.exceptions import ArtifactNotFound
from safetensors.numpy import save

from search.errors import StoreUnavailable
from search.optuna_bridge.dashboard import Files
from search.storage.bucket import Bucket
from service.server import run
from service.settings import Settings
from tests.buckets import SECRET, Server
from tests.processes import Processes
from tests.service.problems import refused
from tests.service.server_fixtures import Jobs, serving


@pytest.fixture
def bucket(bucket_url: str, settings: Settings) -> Iterator[Bucket]:
    """A bucket with all that lies below the artifact root: the keys are the paths there."""
    opened = Bucket(bucket_url)
    for path in settings.artifact_root.rglob("*"):
        if path.is_file():
            opened.put(path.relative_to(settings.artifact_root).as_posix(), path)
    yield opened
    opened.close()


@pytest.fixture
def elsewhere(settings: Settings, bucket: Bucket, tmp_path: Path) -> Settings:
    """Those of a machine that has no file of its own."""
    return settings.model_copy(update={"artifact_store": bucket.url, "artifact_root": tmp_path / "elsewhere"})


@pytest.fixture
def client(elsewhere: Settings) -> Iterator[httpx.Client]:
    """The service on such a machine."""
    with serving(elsewhere) as url, httpx.Client(base_url=url, timeout=20) as asking:
        yield asking


def student(jobs: Jobs) -> str:
    """The digest of the student of the job that was completed."""
    return hashlib.sha256(b"weights of " + jobs.completed.id.encode()).hexdigest()


def test_files_come_whole_and_leave_no_copy(
    elsewhere: Settings, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    path = f"/v1/jobs/{jobs.completed.id}/artifacts/student.safetensors"
    with serving(elsewhere) as url, httpx.Client(base_url=url, timeout=20) as client:
        assert client.get(path).content == b"weights of " + jobs.completed.id.encode()
        assert client.get(path, headers={"Range": "bytes=0-6"}).content == b"weights"
    assert list(scratch.iterdir()) == [], "a copy goes once it has been sent, which the service waits for at its end"


@pytest.mark.parametrize("harm", ["changed", "deleted"])
def test_what_is_damaged_is_not_served(
    client: httpx.Client, bucket: Bucket, jobs: Jobs, tmp_path: Path, harm: str
) -> None:
    key, other = f"{student(jobs)[:2]}/{student(jobs)}", tmp_path / "other"
    other.write_bytes(b"something else")
    if harm == "changed":
        bucket.put(key, other)
    else:
        bucket.delete(key)
    refused(client.get(f"/v1/jobs/{jobs.completed.id}/artifacts/student.safetensors"), 500, "artifact-corrupt")


def test_an_outage_is_told_and_deletes_no_record(client: httpx.Client, s3: Server, jobs: Jobs) -> None:
    path = f"/v1/jobs/{jobs.completed.id}"
    s3.stop()
    try:
        for answer in (client.get(f"{path}/artifacts/student.safetensors"), client.delete(path)):
            problem = refused(answer, 503, "store-unavailable")
            assert "Retry-After" in answer.headers
            assert "127.0.0.1" not in problem["detail"]
            assert "s3://" not in problem["detail"]
    finally:
        s3.start()
    assert client.get(f"{path}/artifacts/student.safetensors").status_code == 200
    assert client.delete(path).status_code == 204


def test_the_dashboard_s_files_are_in_the_bucket(bucket: Bucket, jobs: Jobs) -> None:
    files = Files(bucket)
    with files.open_reader(student(jobs)) as reader:
        assert reader.read().startswith(b"weights of")
    files.write("1-2-3", io.BytesIO(b"an upload"))
    assert bucket.exists("dashboard/1-2-3")
    with files.open_reader("1-2-3") as reader:
        assert reader.read() == b"an upload"
    files.remove("1-2-3")
    for unknown in ("1-2-3", "0" * 64, "../../etc/passwd"):
        with pytest.raises(ArtifactNotFound):
            files.open_reader(unknown)


def test_a_service_with_a_wrong_bucket_does_not_start(settings: Settings, bucket: Bucket) -> None:
    with pytest.raises(StoreUnavailable, match="NoSuchBucket"):
        run(settings.model_copy(update={"artifact_store": "s3://no-such-bucket-here"}))


@pytest.mark.slow
def test_commands_use_the_bucket_and_say_what_is_wrong(processes: Processes, bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "teacher").write_bytes(save({"weight": numpy.zeros(2)}))
    kept = processes.thermowell("data", "keep", tmp_path / "teacher", env={"THERMOWELL_ARTIFACT_STORE": bucket.url})
    assert kept.wait() == 0, kept.output()
    digest = kept.output().strip()
    assert bucket.exists(f"{digest[:2]}/{digest}")
    wrong = processes.thermowell("serve", env={"THERMOWELL_ARTIFACT_STORE": "s3://no-such-bucket-here"})
    assert wrong.wait() not in (0, 1), wrong.output()
    assert "NoSuchBucket" in wrong.output()
    assert "AWS_ENDPOINT_URL" in wrong.output()
    assert SECRET not in wrong.output()
    assert "Traceback" not in wrong.output()
    odd = processes.thermowell("serve", env={"THERMOWELL_ARTIFACT_STORE": "s3://key:s3cret@bucket"})
    assert odd.wait() != 0
    assert "THERMOWELL_ARTIFACT_STORE" in odd.output()
    assert "s3cret" not in odd.output()
