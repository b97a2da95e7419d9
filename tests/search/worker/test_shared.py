"""Weights that machines share by a bucket: what was damaged there is made anew by one of them, for all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from search.storage.bucket import Bucket
from search.storage.folder import Folder
from search.storage.store import Store
from search.worker import students
from search.worker.shared_files import Shared
from tests.buckets import Server, closed
from trainers import derived
from trainers.teaching.weight_cache import cached
from trainers.zoo import weights

KEY = "teachers/one/weights.safetensors"
Tensors = dict[str, torch.Tensor]


@pytest.fixture
def bucket(bucket_url: str) -> Iterator[Bucket]:
    opened = Bucket(bucket_url)
    yield opened
    opened.close()


class Machine:
    """One that has a folder of its own, and trains weights of its own, of its number."""

    def __init__(self, root: Path, number: int, bucket: Bucket) -> None:
        self.path, self.number, self.trained = root / str(number) / KEY, number, 0
        self.shared = Shared(bucket, root / str(number))

    def train(self) -> Tensors:
        self.trained += 1
        return {"weight": torch.full((100,), float(self.number))}

    def ask(self, meanwhile: Callable[[], object] = lambda: None) -> int:
        """Whose weights it goes on with."""

        def make() -> Tensors:
            meanwhile()
            return self.train()

        return int(cached(self.path, make, self.shared)["weight"][0])


def damage(server: Server, bucket: Bucket) -> None:
    """Changes the object, whose digest stays."""
    name = bucket.url.removeprefix("s3://")
    with closed(server.client()) as client:
        found = client.get_object(Bucket=name, Key=KEY)
        content = bytearray(found["Body"].read())
        content[-2] = 0x7F  # with what comes before: another number, and a finite one
        client.put_object(Bucket=name, Key=KEY, Body=bytes(content), Metadata=found["Metadata"])


def test_damage_on_a_machine_is_mended_from_the_bucket(bucket: Bucket, tmp_path: Path) -> None:
    one, two = (Machine(tmp_path, number, bucket) for number in (1, 2))
    assert (one.ask(), two.ask()) == (1, 1)
    for machine in (one, two):
        machine.path.write_bytes(b"damaged")
        assert machine.ask() == 1
        assert machine.path.with_name(f".damaged-{machine.path.name}.1").read_bytes() == b"damaged"
    assert (one.trained, two.trained) == (1, 0)


def test_damage_in_the_bucket_is_mended_by_one_for_all(
    bucket: Bucket, s3: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two, three, four = (Machine(tmp_path, number, bucket) for number in (1, 2, 3, 4))
    one.ask()
    damage(s3, bucket)
    with caplog.at_level(logging.WARNING):
        assert two.ask(meanwhile=three.ask) == 3, "both found it damaged; the first to have made it counts"
    assert (two.trained, three.trained) == (1, 1)
    assert "made anew" in caplog.text
    assert (four.ask(), four.trained) == (3, 0)
    assert [machine.ask() for machine in (two, three)] == [3, 3]
    assert derived.digest_of(two.path) == bucket.described(KEY)[1]


def test_what_was_shared_before_there_were_digests_is_taken(bucket: Bucket, s3: Server, tmp_path: Path) -> None:
    one, two = (Machine(tmp_path, number, bucket) for number in (1, 2))
    weights.save(one.train(), one.path)
    with closed(s3.client()) as client:
        client.put_object(Bucket=bucket.url.removeprefix("s3://"), Key=KEY, Body=one.path.read_bytes())
    assert bucket.described(KEY)[1] == ""
    assert (two.ask(), two.trained) == (1, 0)
    assert derived.check(two.path)


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_a_waiting_student_is_whole_or_is_trained_again(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    files: Store = Folder(tmp_path / "store") if kind == "folder" else request.getfixturevalue("bucket")
    key, source = "work/job/3.safetensors", tmp_path / "other.safetensors"

    def save(path: Path) -> None:
        weights.save({"weight": torch.ones(10)}, path)

    assert not students.is_whole(files, key)
    students.keep(files, key, save)
    assert students.is_whole(files, key)
    with files.reading(key) as path:
        whole = path.read_bytes()
    weights.save({"weight": torch.zeros(10)}, source)
    for content in (source.read_bytes(), whole[:-1], b"", whole[:-1] + b"\1"):
        source.write_bytes(content)
        files.put(key, source)
        assert not students.is_whole(files, key)
    students.keep(files, key, save)
    assert students.is_whole(files, key)
    files.delete(key + derived.SUFFIX)
    assert students.is_whole(files, key), "of before there were digests"
