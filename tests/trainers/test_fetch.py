"""Fetching: from a system package, from the network, and what a user is told where it cannot be."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision

from trainers import fetch
from trainers.data import datasets
from trainers.spec import Data, TestPermit

SIZES = {"train": 40, "t10k": 20}


def idx(values: Any) -> bytes:
    array = np.asarray(values, dtype=np.uint8)
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package's folder with a Fashion-MNIST of 40 + 20 images."""
    folder = tmp_path / "package"
    folder.mkdir()
    for stem, count in SIZES.items():
        images = np.random.default_rng(0).integers(0, 256, (count, 28, 28))
        (folder / f"{stem}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(count) % 10)))
    monkeypatch.setitem(fetch.PACKAGED, "FashionMNIST", (folder, "the package"))
    return folder


def fetched(name: str, root: Path) -> int:
    return fetch.main([name, "--root", str(root)])


def visible(root: Path) -> list[str]:
    return sorted(entry.name for entry in root.iterdir() if not entry.name.endswith(".lock"))


def test_lays_a_package_where_torchvision_reads_it(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    assert not fetch.present(root)["FashionMNIST"]
    assert fetched("FashionMNIST", root) == fetch.EXIT_OK
    assert "the package" in capsys.readouterr().out
    assert visible(root) == ["FashionMNIST"]
    assert fetch.present(root)["FashionMNIST"]
    split = datasets.load(Data("FashionMNIST"), root)
    assert len(split.train.labels) + len(split.validation.labels) == 40
    assert len(datasets.load_test(Data("FashionMNIST"), root, TestPermit("job", 1.0)).labels) == 20
    assert fetched("FashionMNIST", root) == fetch.EXIT_OK
    assert "already" in capsys.readouterr().out


def test_an_incomplete_package_leaves_nothing(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (package / "t10k-labels-idx1-ubyte.gz").unlink()
    assert fetched("FashionMNIST", tmp_path / "root") == fetch.EXIT_UNREACHABLE
    assert "install it again" in capsys.readouterr().err
    assert visible(tmp_path / "root") == []


class Downloaded:
    """Stands in for one of torchvision's classes: its files are a folder and an archive."""

    def __init__(self, root: str, train: bool, download: bool) -> None:
        folder = Path(root) / "cifar-10-batches-py"
        if download:
            folder.mkdir(exist_ok=True)
            (folder / ("train" if train else "test")).write_text("whole")
            (Path(root) / "cifar-10-python.tar.gz").write_text("archive")
        if not (folder / ("train" if train else "test")).is_file():
            raise RuntimeError("Dataset not found or corrupted.")


def test_downloads_whole_and_replaces_what_lay_there_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Downloaded)
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "train").write_text("whole")
    assert "from the network" in fetch.fetch("CIFAR10", tmp_path)
    assert visible(tmp_path) == ["cifar-10-batches-py"]
    assert sorted(entry.name for entry in (tmp_path / "cifar-10-batches-py").iterdir()) == ["test", "train"]


def test_without_a_network_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def unreachable(root: str, download: bool, **_: object) -> None:
        if download:
            (Path(root) / "half").write_text("a half")
            raise OSError("name or service not known")
        raise RuntimeError("Dataset not found.")

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", unreachable)
    monkeypatch.setitem(fetch.PACKAGED, "FashionMNIST", (tmp_path / "absent", "Debian's dataset-fashion-mnist"))
    assert fetched("FashionMNIST", tmp_path) == fetch.EXIT_UNREACHABLE
    told = capsys.readouterr().err
    assert "name or service not known" in told
    assert "install Debian's dataset-fashion-mnist" in told
    assert visible(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "words"), [("mnist", "did you mean MNIST"), ("npz", "your own"), ("image_folder", "your own")]
)
def test_what_is_not_fetched(name: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetched(name, tmp_path) == fetch.EXIT_USAGE
    assert words in capsys.readouterr().err


def test_digits_need_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetched("digits", tmp_path / "root") == fetch.EXIT_OK
    assert "needs no fetching" in capsys.readouterr().out
    assert not (tmp_path / "root").exists()


def test_a_root_that_cannot_be_made(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert fetched("FashionMNIST", tmp_path / "file" / "root") == fetch.EXIT_UNWRITABLE
    assert "error:" in capsys.readouterr().err


def test_list_shows_what_is_there(package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch.fetch("FashionMNIST", tmp_path)
    assert fetched("list", tmp_path) == fetch.EXIT_OK
    lines = capsys.readouterr().out.splitlines()
    states = {line.split()[1]: line.split()[0] for line in lines}
    assert states["digits"] == states["FashionMNIST"] == "present"
    assert states["CIFAR10"] == "absent"
