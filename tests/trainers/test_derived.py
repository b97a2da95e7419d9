"""A cache is not trusted blindly: whatever happened to a derived file, the answer is that of a fresh cache."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainers.elsewhere import lay, quarters
from tests.trainers.problems import SGD, problem, teacher
from trainers import derived, run
from trainers.spec import Data, Initial, TestPermit, Training
from trainers.zoo import weights

PERMIT = TestPermit("job", confirmed_at=1.0)
WANTED = problem(
    data=Data("digits", train_size=100),
    teacher=teacher(training=Training(2, 32), pretrained_on=quarters(1)),
    initial=Initial("trained", training=Training(1, 32), optimizer=SGD),
)
Damage = Callable[[Path], None]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 3 // 4] ^= 4
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace(path: Path) -> None:
    """By another file of its kind, of another problem, say."""
    if path.suffix == ".json":
        path.write_text(path.read_text().replace('"classes": 10', '"classes": 11').replace("0.", "0.1"))
        return
    weights.save({name: tensor + 1 for name, tensor in weights.load(path).items()}, path)


DAMAGES = pytest.mark.parametrize("damage", [flip, truncate, empty, replace])
KINDS = {
    "logits": "teachers/*/[0-9]*.safetensors",
    "facts": "teachers/*/*.json",
    "a teacher": "teachers/*/weights-*.safetensors",
    "pretrained weights": "pretrained/*/*.safetensors",
    "initial weights": "initial/*/*.safetensors",
}


def answer(data: Path, store: Path) -> list[torch.Tensor]:
    """All that students learn from and are judged by."""
    ready = run.prepare(WANTED, run.Roots(data, store), "cpu")
    assert isinstance(ready, run.Prepared)
    figures = [value for value in dataclasses.asdict(ready.facts.validation).values() if value is not None]
    facts = torch.tensor(figures, dtype=torch.float64)
    assert ready.start is not None
    tests = ready.test.open(PERMIT)[1]
    return [ready.train_logits.clone(), ready.validation_logits.clone(), tests, facts, *ready.start.values()]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[torch.Tensor]]:
    """A root with data and a store that a problem was prepared in, and its answer."""
    root = tmp_path_factory.mktemp("fresh")
    (root / "data").mkdir()
    lay(root / "data")
    return root, answer(root / "data", root / "store")


@pytest.fixture
def store(fresh: tuple[Path, list[torch.Tensor]], tmp_path: Path) -> Path:
    shutil.copytree(fresh[0] / "store", tmp_path / "store")
    return tmp_path / "store"


def test_each_derived_file_has_its_digest_beside_it(store: Path) -> None:
    for pattern in KINDS.values():
        (path,) = store.glob(pattern)
        subprocess.run(["sha256sum", "--check", "--quiet", f"{path.name}{derived.SUFFIX}"], cwd=path.parent, check=True)


@DAMAGES
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_damaged_is_set_aside_and_made_anew_once(
    fresh: tuple[Path, list[torch.Tensor]], store: Path, kind: str, damage: Damage, caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = store.glob(KINDS[kind])
    whole = path.read_bytes()
    damage(path)
    damaged = path.read_bytes()
    if kind == "pretrained weights":  # only read where they are needed
        for made in store.glob("teachers/*/*"):
            made.unlink()
    with caplog.at_level(logging.WARNING):
        assert same(answer(fresh[0] / "data", store), fresh[1])
    assert path.read_bytes() == whole
    assert path.with_name(f".damaged-{path.name}.1").read_bytes() == damaged
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert [path.name in message for message in warned] == [True]
    times = {each: each.stat().st_mtime_ns for each in store.rglob("*.safetensors")}
    assert same(answer(fresh[0] / "data", store), fresh[1])
    assert times == {each: each.stat().st_mtime_ns for each in store.rglob("*.safetensors")}, "and once"


def test_files_from_before_there_were_digests_are_taken_and_get_theirs(
    fresh: tuple[Path, list[torch.Tensor]], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in store.rglob(f"*{derived.SUFFIX}"):
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr("trainers.teaching.supervised.train_on_labels", None)  # nothing is trained again
        patch.setattr("trainers.teaching.teacher._write_logits", None)
        assert same(answer(fresh[0] / "data", store), fresh[1])
    assert len(list(store.rglob(f"*{derived.SUFFIX}"))) >= len(KINDS) - 1


@pytest.mark.parametrize("kind", ["logits", "a teacher", "initial weights"])
def test_of_files_without_a_digest_what_can_be_told_is_told(
    fresh: tuple[Path, list[torch.Tensor]], store: Path, kind: str
) -> None:
    (path,) = store.glob(KINDS[kind])
    path.with_name(path.name + derived.SUFFIX).unlink()
    tensors = weights.load(path)
    tensors[next(name for name in sorted(tensors, reverse=True) if tensors[name].is_floating_point())] *= float("nan")
    weights.save(tensors, path)
    assert same(answer(fresh[0] / "data", store), fresh[1])
    assert path.with_name(f".damaged-{path.name}.1").is_file()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"0" * 64, b"no digest"])
def test_a_damaged_digest_costs_no_more_than_making_it_anew(
    fresh: tuple[Path, list[torch.Tensor]], store: Path, content: bytes
) -> None:
    (path,) = store.glob(KINDS["initial weights"])
    path.with_name(path.name + derived.SUFFIX).write_bytes(content)
    assert same(answer(fresh[0] / "data", store), fresh[1])
    assert derived.check(path)


def test_damaged_files_are_kept_up_to_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for number in range(derived.KEPT + 2):
        path.write_text(str(number))
        derived.set_aside(path, "a test")
    assert sorted(each.read_text() for each in tmp_path.iterdir()) == ["2", "3", "4"]


@settings(max_examples=60, deadline=None)
@given(
    content=st.binary(min_size=1, max_size=400), at=st.integers(0, 399), bit=st.integers(0, 7), cut=st.integers(0, 400)
)
def test_no_change_of_a_file_or_its_digest_is_taken_for_what_was_written(
    content: bytes, at: int, bit: int, cut: int
) -> None:
    """Whatever bit is flipped, wherever it is cut off."""
    with tempfile.TemporaryDirectory() as folder:
        path, made = Path(folder, "file"), list[int]()

        def make() -> None:
            made.append(1)
            path.write_bytes(content)

        def opened() -> bytes:
            return derived.opened([path], path.read_bytes, make)

        assert opened() == content
        for target in (path, path.with_name(path.name + derived.SUFFIX)):
            whole = target.read_bytes()
            flipped = bytearray(whole)
            flipped[at % len(whole)] ^= 1 << bit
            for changed in (bytes(flipped), whole[: cut % len(whole)], whole + content):
                target.write_bytes(changed)
                assert opened() == content
        assert len(made) >= 4, "the file's own changes were all seen"
        count = len(made)
        assert opened() == content
        assert len(made) == count


def test_of_many_who_find_it_damaged_one_makes_it_anew(tmp_path: Path) -> None:
    path, made, gate = tmp_path / "file", list[int](), threading.Barrier(6)

    def make() -> None:
        made.append(1)
        path.write_text("whole")

    derived.opened([path], path.read_text, make)
    path.write_text("damaged")
    answers: list[str] = []

    def ask() -> None:
        gate.wait()
        answers.append(derived.opened([path], path.read_text, make))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers, len(made)) == (["whole"] * 6, 2)


def test_what_the_machine_does_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("whole")
    derived.seal(path)

    def broken(_: Path) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(derived, "digest_of", broken)
    with pytest.raises(OSError, match="Input/output"):
        derived.opened([path], path.read_text, lambda: None)
    assert path.read_text() == "whole"


@DAMAGES
def test_figures_of_engines_are_guarded_alike(tmp_path: Path, damage: Damage) -> None:
    from trainers.engines import choose
    from trainers.engines.forms import Form
    from trainers.engines.warmup import Figure, Figures

    path = tmp_path / "figures.json"
    figures = Figures([Figure(Form("loop", 1, 1), 1000.5, 0.25)])
    choose._write(figures, path)
    assert derived.read(path, lambda: choose._read_figures(path)) == figures
    damage(path)
    if json.dumps(dataclasses.asdict(figures)) == path.read_text():
        return
    assert derived.read(path, lambda: choose._read_figures(path)) is None
    assert not path.exists()
    assert (tmp_path / ".damaged-figures.json.1").is_file()
