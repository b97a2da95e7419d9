"""In a folder and in a bucket: what is put there is found there, whole, by whoever comes next; what is not, is said."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.claims import artifacts
from search.errors import StoreUnavailable
from search.settings import Settings
from search.storage.bucket import Bucket
from search.storage.folder import Folder
from search.storage.store import Store, open_store
from tests.buckets import KEY, SECRET, Server, closed

DIES_WHILE_WRITING = """
import os, signal, sys
from search.settings import Settings
from search.storage.store import open_store
with open_store(Settings()).adding(sys.argv[1]) as path:
    path.write_bytes(b"half of it")
    os.kill(os.getpid(), signal.SIGKILL)
"""
DIES_WHILE_SENDING = """
import os, signal, sys
from pathlib import Path
from search.settings import Settings
from search.storage.store import open_store
store, parts = open_store(Settings()), []
def second(**_):
    parts.append(1)
    if len(parts) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
store._client.meta.events.register("before-call.s3.UploadPart", second)
store.put(sys.argv[1], Path(sys.argv[2]))
"""


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Of a folder, or of a bucket with or without a prefix: the parameter says which; a bucket unless there is one."""
    kind = getattr(request, "param", "bucket")
    if kind == "folder":
        return Settings(var=tmp_path)
    url: str = request.getfixturevalue("bucket_url")
    return Settings(var=tmp_path, artifact_store=f"{url}/some/prefix" if kind == "prefix" else url)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = open_store(settings)
    yield opened
    opened.close()


everywhere = pytest.mark.parametrize("settings", ["folder", "bucket", "prefix"], indirect=True)


def contents(store: Store, key: str) -> dict[str, bytes]:
    with store.reading(key) as path:
        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        return {each.relative_to(path).as_posix(): each.read_bytes() for each in files}


def run(script: str, settings: Settings, *arguments: str) -> int:
    """A program's exit status; it has the store that the settings name."""
    environ = os.environ | {"THERMOWELL_VAR": str(settings.var)}
    if settings.artifact_store is not None:
        environ["THERMOWELL_ARTIFACT_STORE"] = settings.artifact_store
    return subprocess.run([sys.executable, "-c", script, *arguments], env=environ, timeout=60, check=False).returncode


@everywhere
def test_files_are_put_found_replaced_and_deleted(store: Store, tmp_path: Path) -> None:
    store.check()
    source = tmp_path / "source"
    for content in (b"one", b"", b"x" * 20_000_000):  # the last one is sent in parts
        source.write_bytes(content)
        store.put("ab/file", source)
        assert contents(store, "ab/file") == {".": content}
    assert store.exists("ab/file")
    assert not store.exists("ab/fil")
    assert source.exists()
    store.put("ab/file2", source)
    assert store.names("ab") == ["file", "file2"]
    store.delete("ab/file")
    store.delete("ab/file")
    assert store.names("ab") == ["file2"], "its name begins alike, and it stays"
    with pytest.raises(FileNotFoundError), store.reading("ab/file"):
        pass


@everywhere
def test_folders_are_added_and_replaced(store: Store) -> None:
    assert store.names("work") == []
    for content in (b"one", b"two"):
        with store.adding("work/job/1-2") as folder:
            (folder / "inner").mkdir(parents=True)
            (folder / "inner" / "state").write_bytes(content)
            (folder / "lane.json").write_bytes(content)
        assert contents(store, "work/job/1-2") == {"inner/state": content, "lane.json": content}
    assert store.names("work") == ["job"]
    assert store.names("work/job") == ["1-2"]
    store.delete("work/job")
    assert store.names("work") == []


@everywhere
def test_what_fails_while_it_is_written_is_not_there(store: Store) -> None:
    def fail() -> None:
        with store.adding("half") as path:
            path.write_bytes(b"half of it")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not store.exists("half")


@everywhere
def test_a_writer_that_is_killed_leaves_nothing_that_can_be_read(store: Store, settings: Settings) -> None:
    assert run(DIES_WHILE_WRITING, settings, "half") == -signal.SIGKILL
    assert not store.exists("half")


@pytest.mark.slow
def test_an_upload_that_is_killed_in_the_middle_is_no_object(
    store: Store, settings: Settings, s3: Server, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(b"x" * 20_000_000)
    assert run(DIES_WHILE_SENDING, settings, "large", str(tmp_path / "large")) == -signal.SIGKILL
    with closed(s3.client()) as client:
        begun = client.list_multipart_uploads(Bucket=str(settings.artifact_store).removeprefix("s3://"))["Uploads"]
    assert [each["Key"] for each in begun] == ["large"], "it was in the middle of it"
    assert not store.exists("large")
    store.put("large", tmp_path / "large")
    assert store.exists("large")


@everywhere
def test_artifacts_are_kept_under_their_digest(store: Store, tmp_path: Path) -> None:
    (tmp_path / "teacher").write_bytes(b"weights")
    digest = artifacts.keep(store, tmp_path / "teacher")
    assert contents(store, artifacts.place(digest)) == {".": b"weights"}


def test_who_is_first_is_first(settings: Settings, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"one")
    two.write_bytes(b"two")
    bucket = open_store(settings)
    assert isinstance(bucket, Bucket)
    assert [bucket.put_new("teacher", each) for each in (one, two)] == [True, False]
    assert contents(bucket, "teacher") == {".": b"one"}
    bucket.close()


@pytest.mark.parametrize("key", ["work/job/../../../evil", "work/job//tmp/evil"])
def test_names_in_the_bucket_do_not_leave_the_folder(store: Store, settings: Settings, s3: Server, key: str) -> None:
    with closed(s3.client()) as client:
        client.put_object(Bucket=str(settings.artifact_store).removeprefix("s3://"), Key=key, Body=b"evil")
    with pytest.raises(StoreUnavailable, match="leads out"), store.reading("work/job"):
        pass


def test_many_files_are_listed_whole(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A list comes in pages: of a thousand, and here of two."""
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    (tmp_path / "file").touch()
    for number in range(5):
        store.put(f"work/{number}/file", tmp_path / "file")
    assert store.names("work") == ["0", "1", "2", "3", "4"]
    store.delete("work")
    assert not store.exists("work")


def test_a_bucket_that_is_not_there_is_said_at_once(settings: Settings) -> None:
    store = Bucket("s3://no-such-bucket-here/prefix")
    with pytest.raises(StoreUnavailable, match=r"no-such-bucket-here.*NoSuchBucket.*THERMOWELL_ARTIFACT_STORE"):
        store.check()
    store.close()


def test_wrong_credentials_are_said_at_once_and_never_shown(
    store: Store, s3: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    s3.guard(True)
    try:
        with pytest.raises(StoreUnavailable, match=r"InvalidAccessKeyId.*AWS_ACCESS_KEY_ID") as refused:
            store.check()
    finally:
        s3.guard(False)
    store.check()
    told = f"{refused.value} {refused.value!r} {store!r} {vars(store)} {caplog.text}"
    assert SECRET not in told
    assert KEY not in told
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__, "what the library raised holds the request, headers and all"


def test_without_credentials_the_way_out_is_said(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(StoreUnavailable, match=r"credentials.*AWS_ACCESS_KEY_ID"):
        store.check()
    store.close()
    file = tmp_path / "credentials"  # a secret that is mounted as a file, say
    file.write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    store.check()


def test_an_outage_is_an_error_of_its_own_and_ends(store: Store, s3: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"kept")
    store.put("file", tmp_path / "file")
    s3.stop()
    try:
        with pytest.raises(StoreUnavailable, match="Could not connect"):
            store.put("file", tmp_path / "file")
        with pytest.raises(StoreUnavailable), store.reading("file"):
            pass
    finally:
        s3.start()
    assert contents(store, "file") == {".": b"kept"}


def test_an_endpoint_with_a_password_is_not_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, s3: Server
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://somebody:s3cret@127.0.0.1:1")
    store = open_store(settings)
    with pytest.raises(StoreUnavailable) as refused:
        store.check()
    assert "s3cret" not in str(refused.value)
    store.close()


def test_a_store_goes_to_other_processes_without_its_secrets(store: Store) -> None:
    store.check()
    packed = pickle.dumps(store)
    assert SECRET.encode() not in packed
    other = pickle.loads(packed)
    other.check()
    other.close()


def test_without_boto3_the_way_out_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3.exceptions", None)
    with pytest.raises(StoreUnavailable, match=r"pip install 'thermowell\[s3\]'"):
        open_store(settings).check()


def test_a_folder_needs_no_boto3(tmp_path: Path) -> None:
    script = "import sys, search.storage.store; assert not {'boto3', 'botocore'} & set(sys.modules)"
    assert run(script, Settings(var=tmp_path)) == 0
    assert isinstance(open_store(Settings(var=tmp_path)), Folder)
