"""Whatever a disk does below the artifact root, and whichever library tells of it, is StoreUnavailable, and leaves no
file half written."""

from __future__ import annotations

import errno
import os
import pickle
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import safetensors.torch
import torch

from search.claims import artifacts
from search.errors import ScratchUnavailable, StoreFull, StoreUnavailable
from search.storage import disk_faults
from search.storage.bucket import Bucket
from search.storage.folder import Folder
from tests.disks import KINDS, Faulty, mounted
from trainers import disk, locks
from trainers.engines import checkpoints, choose
from trainers.engines.checkpoints import StudentState
from trainers.engines.warmup import Figures
from trainers.errors import DatasetInvalid, StorageFault, TeacherInvalid
from trainers.spec import Assignment, Configuration, Optimizer
from trainers.teaching.weight_cache import cached
from trainers.zoo import weights

TENSORS = {"weight": torch.zeros(64)}
LARGE = np.zeros(1_000_000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store with a file and a folder in it."""
    root = tmp_path / "artifacts"
    with Folder(root).adding("ab/kept") as path:
        path.write_bytes(b"kept")
    checkpoints.write(root / "work" / "1-1", state(), "problem", assignment())
    return root


@pytest.fixture
def faulty(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faulty]:
    """The disk below it, which does as it is told."""
    disk = Faulty(root, monkeypatch)
    yield disk
    disk.fail(0)


def state() -> StudentState:
    return StudentState(1, 0.5, TENSORS, {}, {})


def assignment() -> Assignment:
    return Assignment(
        "1",
        Configuration(temperature=4.0, kd_weight=0.5, label_weight=0.5, optimizer=Optimizer("sgd", 0.1, momentum=0.9)),
        0,
    )


def add(store: Folder, write: Callable[[Path], object], key: str = "work/new/file") -> None:
    with store.adding(key) as path:
        write(path)


def read(store: Folder) -> None:
    with store.reading("ab/kept") as path:
        path.read_bytes()


WRITING: dict[str, Callable[[Folder], object]] = {
    "add": lambda store: add(store, lambda path: path.write_bytes(b"new")),
    "put": lambda store: store.put("ab/new", Path(__file__)),
    "keep": lambda store: artifacts.keep(store, Path(__file__)),
    "checkpoint": lambda store: add(store, lambda path: checkpoints.write(path, state(), "problem", assignment())),
    "student": lambda store: add(store, lambda path: weights.save(TENSORS, path)),
    "check": lambda store: store.check(),
}
REMOVING: dict[str, Callable[[Folder], object]] = {
    "remove": lambda store: store.delete("ab/kept"),
    "forget": lambda store: store.delete("work"),
}
READING: dict[str, Callable[[Folder], object]] = {
    "read": read,
    "list": lambda store: store.names("ab"),
    "look": lambda store: store.exists("ab/kept"),
}
CASES = [
    (kind, name)
    for kind, (number, _) in KINDS.items()
    for name in {**WRITING, **REMOVING, **READING}
    if name in WRITING or (number not in (errno.ENOSPC, errno.EDQUOT) and (name in REMOVING or number != errno.EROFS))
]


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_folder_s_faults_are_the_store_s(faulty: Faulty, root: Path, kind: str, name: str) -> None:
    store, before = Folder(root), files(root)
    number, calls = KINDS[kind]
    faulty.fail(number, *calls)
    with pytest.raises(StoreUnavailable) as told:
        {**WRITING, **REMOVING, **READING}[name](store)
    faulty.fail(0)
    assert isinstance(told.value, StoreFull) == (number in (errno.ENOSPC, errno.EDQUOT))
    assert files(root) == before, "nothing half written stays, and nothing is gone"
    {**WRITING, **REMOVING, **READING}[name](store)


OF_TRAINERS: dict[str, Callable[[Path], object]] = {
    "teacher": lambda root: cached(root / "teachers" / "of" / "weights.safetensors", lambda: TENSORS),
    "weights": lambda root: weights.save(TENSORS, root / "weights.safetensors"),
    "checkpoint": lambda root: checkpoints.write(root / "work" / "2-2", state(), "problem", assignment()),
    "figures": lambda root: choose._write(Figures(), root / "figures.json"),
    "lock": lambda root: locked(root / "engines" / "figures.json"),
}


def locked(path: Path) -> None:
    with locks.locked(path):
        pass


@pytest.mark.parametrize("name", OF_TRAINERS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_training_writes_below_the_root_fails_alike(faulty: Faulty, root: Path, kind: str, name: str) -> None:
    before = files(root)
    number, calls = KINDS[kind]
    faulty.fail(number, *calls)
    with pytest.raises(StorageFault) as told:
        OF_TRAINERS[name](root)
    faulty.fail(0)
    assert told.value.errno == number
    assert isinstance(pickle.loads(pickle.dumps(told.value)), StorageFault), "it comes out of a training process"
    assert isinstance(disk_faults.unavailable(told.value), StoreUnavailable)
    assert {path: content for path, content in files(root).items() if not path.endswith(".lock")} == before
    OF_TRAINERS[name](root)


@pytest.mark.parametrize("kind", ["broken", "stale", "refused"])
def test_a_file_that_cannot_be_read_now_is_not_damaged(faulty: Faulty, root: Path, kind: str) -> None:
    """A checkpoint is not started over for it, nor a teacher given up."""
    number, calls = KINDS[kind]
    faulty.fail(number, *calls)
    with pytest.raises(StorageFault):
        checkpoints.read_checkpoint(root / "work" / "1-1", "problem", assignment())
    with pytest.raises(StorageFault):
        weights.load_artifact(root, "0" * 64)
    faulty.fail(0)
    assert checkpoints.read_checkpoint(root / "work" / "1-1", "problem", assignment()).epochs == 1
    with pytest.raises(TeacherInvalid, match="not in the artifact store"):
        weights.load_artifact(root, "0" * 64)


def npz(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive, archive.open("a", "w") as file:
        file.write(LARGE.tobytes())


LIBRARIES: dict[str, Callable[[Path], object]] = {
    "safetensors": lambda path: safetensors.torch.save_file({"a": torch.zeros(1_000_000)}, path),
    "torch": lambda path: torch.save(torch.zeros(1_000_000), path),
    "numpy": lambda path: np.save(path.with_suffix(".npy"), LARGE),
    "savez": lambda path: np.savez(path.with_suffix(".npz"), a=LARGE),
    "zipfile": npz,
    "pyarrow": lambda path: pyarrow.parquet.write_table(pyarrow.table({"a": np.random.rand(1_000_000)}), path),
    "plain": lambda path: path.write_bytes(LARGE.tobytes()),
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_disk_that_is_really_full_is_said_whichever_library_writes(tmp_path: Path, library: str) -> None:
    with mounted(tmp_path / "small", megabytes=2) as small:
        if small is None:
            pytest.xfail("this process may not mount a file system: the others stand for it")
        store = Folder(small.root)
        with pytest.raises(StoreFull, match="delete jobs that have ended"):
            add(store, lambda path: (path.mkdir(), LIBRARIES[library](path / "file")))
        assert files(small.root) == {}
        small.fill()
        for operation in WRITING.values():
            with pytest.raises(StoreFull):
                operation(store)
        assert set(files(small.root)) == {"ballast"}
        store.delete("ballast")  # which needs no room
        store.check()
        store.check_removal()
        small.remount("ro")
        with pytest.raises(StoreUnavailable):
            store.check()
        if os.access(small.root, os.W_OK):
            pytest.fail("it should be read-only")
        with pytest.raises(StoreUnavailable):
            store.check_removal()


def test_a_lost_mount_is_not_written_below(tmp_path: Path) -> None:
    root = tmp_path / "mount" / "artifacts"
    with mounted(tmp_path / "mount", megabytes=2) as small:
        if small is None:
            pytest.xfail("this process may not mount a file system: a folder that is moved away stands for it")
        store = Folder(root)
        store.put("ab/kept", Path(__file__))
        store.check()
    root.mkdir()
    for operation in (*WRITING.values(), *READING.values(), *REMOVING.values()):
        with pytest.raises(StoreUnavailable, match="gone"):
            operation(store)
    assert list(root.iterdir()) == []


def test_a_folder_that_was_moved_away_is_not_made_anew(root: Path, tmp_path: Path) -> None:
    store = Folder(root)
    store.check()
    root.rename(tmp_path / "away")
    for operation in (*WRITING.values(), *READING.values(), *REMOVING.values()):
        with pytest.raises(StoreUnavailable, match="gone"):
            operation(store)
    assert not root.exists()
    (tmp_path / "away").rename(root)
    read(store)


def test_a_folder_that_goes_while_it_is_written_to_is_the_store_s_fault(root: Path, tmp_path: Path) -> None:
    store = Folder(root)
    with pytest.raises(StoreUnavailable, match="gone"):
        add(store, lambda path: (root.rename(tmp_path / "away"), path.write_bytes(b"new")))


def test_a_bucket_s_temporary_folder_that_is_full_is_said_as_what_it_is(bucket_url: str, tmp_path: Path) -> None:
    bucket = Bucket(bucket_url)
    bucket.put("ab/kept", Path(__file__))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
        (tmp_path / "scratch").mkdir()
        full = Faulty(tmp_path / "scratch", patch)
        full.fail(errno.ENOSPC, "mkdir", "create")
        for operation in (READING["read"], WRITING["add"], WRITING["checkpoint"], WRITING["student"]):
            with pytest.raises(ScratchUnavailable, match="TMPDIR") as told:
                operation(bucket)  # type: ignore[arg-type]
            assert told.value.waits_for == "room in the temporary folder"
    read(bucket)  # type: ignore[arg-type]
    assert not bucket.exists("work")
    bucket.close()


def test_a_file_that_is_not_there_and_a_job_s_own_faults_stay_what_they_are(root: Path) -> None:
    store = Folder(root)
    with pytest.raises(FileNotFoundError), store.reading("ab/none"):
        pass
    for error in (ValueError("a metric"), PermissionError(errno.EACCES, "a data set"), DatasetInvalid("a label")):
        assert disk_faults.unavailable(error) is None
    wrapped = DatasetInvalid("it is no picture")
    wrapped.__cause__ = OSError(errno.EIO, "read")
    assert isinstance(disk_faults.unavailable(wrapped), StoreUnavailable), "what is behind it counts"
    assert disk.fault_of(FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")) is not None
