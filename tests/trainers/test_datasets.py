"""Loading from below the data root: every layout, every refusal, and the seal on the test part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trainers.data import datasets
from trainers.errors import DatasetInvalid, DatasetMissing, TestSplitSealed
from trainers.spec import Data, TestPermit

PERMIT = TestPermit("job", confirmed_at=1.0)


def arrays(shape: tuple[int, ...] = (60, 5, 6, 3), classes: int = 3, seed: int = 0) -> dict[str, Any]:
    chance = np.random.default_rng(seed)
    return {
        "images": chance.integers(0, 256, shape).astype(np.uint8),
        "labels": np.arange(shape[0]) % classes,
    }


@pytest.fixture
def npz(tmp_path: Path) -> Callable[..., Data]:
    """Writes arrays to set.npz below the root and answers the data that names it."""

    def write(**content: Any) -> Data:
        np.savez(tmp_path / "set.npz", **content)
        return Data("npz", path="set.npz")

    return write


def rows(part: datasets.Part) -> set[bytes]:
    return {image.numpy().tobytes() for image in part.images}


def test_digits_are_whole_disjoint_and_eight_bit(tmp_path: Path) -> None:
    split = datasets.load(Data("digits"), tmp_path)
    test = datasets.load_test(Data("digits"), tmp_path, PERMIT)
    parts = (split.train, split.validation, test)
    assert [len(part.labels) for part in parts] == [1079, 359, 359]
    assert split.train.images.shape[1:] == (1, 8, 8)
    assert (split.train.images.dtype, split.train.labels.dtype) == (torch.uint8, torch.int64)
    assert (int(split.train.images.max()), split.classes, split.channels, split.size) == (255, 10, 1, (8, 8))
    # the raw images are all different but for a few: parts share none
    assert not rows(split.train) & rows(split.validation)
    assert not rows(split.train) & rows(test)
    assert not rows(split.validation) & rows(test)


def test_normalisation_is_that_of_the_training_part(tmp_path: Path) -> None:
    split = datasets.load(Data("digits", train_size=200), tmp_path)
    scaled = split.train.images.double() / 255
    assert len(split.train.labels) == 200
    assert split.mean == pytest.approx([float(scaled.mean())])
    assert split.std == pytest.approx([float(scaled.std(correction=0))])


def test_splits_follow_the_seed(tmp_path: Path) -> None:
    first, again, other = (datasets.load(Data("digits", split_seed=seed), tmp_path) for seed in (0, 0, 1))
    assert first.train.digest() == again.train.digest()
    assert first.train.digest() != other.train.digest()


@pytest.mark.parametrize("permit", [None, "yes", TestPermit("", 1.0), TestPermit("job", 0.0), TestPermit("j", np.inf)])
def test_the_test_part_is_sealed(tmp_path: Path, permit: Any) -> None:
    with pytest.raises(TestSplitSealed):
        datasets.load_test(Data("digits"), tmp_path, permit)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((60, 5, 6, 3), (3, 5, 6)), ((60, 3, 5, 6), (3, 5, 6)), ((60, 1, 5, 6), (1, 5, 6)), ((60, 5, 6), (1, 5, 6))],
)
def test_npz_layouts(
    npz: Callable[..., Data], tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    split = datasets.load(npz(**arrays(shape)), tmp_path)
    assert split.train.images.shape[1:] == expected
    assert split.classes == 3


def test_npz_pixels_stay_in_place(npz: Callable[..., Data], tmp_path: Path) -> None:
    content = arrays()
    split = datasets.load(npz(**content), tmp_path)
    originals = {image.transpose(2, 0, 1).tobytes() for image in content["images"]}
    assert rows(split.train) <= originals


def test_npz_with_a_test_part_never_reads_it_before_the_permit(npz: Callable[..., Data], tmp_path: Path) -> None:
    content = arrays()
    test = {"test_images": content["images"][:9], "test_labels": content["labels"][:9]}
    data = npz(**content, **test)
    before = datasets.load(data, tmp_path)
    assert len(before.train.labels) + len(before.validation.labels) == 60
    assert len(datasets.load_test(data, tmp_path, PERMIT).labels) == 9
    data = npz(**content, test_images=test["test_images"], test_labels=np.array([object()] * 9))
    after = datasets.load(data, tmp_path)
    assert before.train.digest() == after.train.digest()
    with pytest.raises(DatasetInvalid, match="objects are refused"):
        datasets.load_test(data, tmp_path, PERMIT)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"images": arrays()["images"]}, "has no labels"),
        ({**arrays(), "images": arrays()["images"].astype(np.float32)}, "must be uint8"),
        ({**arrays(), "labels": np.arange(60) / 2}, "one integer for each"),
        ({**arrays(), "labels": np.arange(7)}, "one integer for each"),
        ({**arrays(), "labels": np.arange(60) - 1}, "not be negative"),
        ({**arrays(), "labels": np.arange(60) % 3 * 2}, "each at least once"),
        ({**arrays(), "labels": np.zeros(60, int)}, "each at least once"),
        (arrays((60, 3, 5, 3)), "not clearly"),
        (arrays((60, 5, 6, 2)), "not clearly"),
        ({**arrays(), "labels": np.array([object()] * 60)}, "objects are refused"),
    ],
)
def test_npz_refusals(npz: Callable[..., Data], tmp_path: Path, content: dict[str, Any], words: str) -> None:
    with pytest.raises(DatasetInvalid, match=words):
        datasets.load(npz(**content), tmp_path)


def test_a_test_label_outside_the_classes_is_refused(npz: Callable[..., Data], tmp_path: Path) -> None:
    content = arrays()
    data = npz(**content, test_images=content["images"][:2], test_labels=np.array([0, 9]))
    with pytest.raises(DatasetInvalid, match="label 9"):
        datasets.load_test(data, tmp_path, PERMIT)


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "one.npy", np.zeros(3))
    for name in ("text.npz", "one.npy"):
        with pytest.raises(DatasetInvalid):
            datasets.load(Data("npz", path=name), tmp_path)


@pytest.mark.parametrize("path", ["../outside.npz", "/etc/passwd", "a/../../outside.npz", "", None, "link.npz", "a\0b"])
def test_paths_cannot_leave_the_root(tmp_path: Path, path: str | None) -> None:
    np.savez(tmp_path / "outside.npz", **arrays())
    root = tmp_path / "root"
    root.mkdir()
    (root / "link.npz").symlink_to(tmp_path / "outside.npz")
    with pytest.raises(DatasetInvalid, match="data root"):
        datasets.load(Data("npz", path=path), root)


@pytest.mark.parametrize(
    "name",
    ["MNIST", "FashionMNIST", "CIFAR10", "CIFAR100", "SVHN", "STL10", "Flowers102", "OxfordIIITPet", "Food101"],
)
def test_missing_sets_name_the_command(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetMissing, match=f"thermowell data fetch {name}"):
        datasets.load(Data(name), tmp_path)
    with pytest.raises(DatasetMissing, match=f"thermowell data fetch {name}"):
        datasets.load_test(Data(name), tmp_path, PERMIT)
    assert list(tmp_path.iterdir()) == []


def test_missing_files_of_one_s_own(tmp_path: Path) -> None:
    for name in ("npz", "image_folder"):
        with pytest.raises(DatasetMissing, match="put it there"):
            datasets.load(Data(name, path="absent"), tmp_path)


def test_unknown_names_and_impossible_sizes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetInvalid, match="did you mean"):
        datasets.load(Data("digit"), tmp_path)
    with pytest.raises(DatasetInvalid, match="train_size is 5000"):
        datasets.load(Data("digits", train_size=5000), tmp_path)


def paint(folder: Path, colours: dict[str, tuple[int, int, int]], count: int) -> None:
    for name, colour in colours.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (20 + i, 14), colour).save(folder / name / f"{i}.png")


COLOURS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


def test_image_folder_resizes_photographs_of_varied_size(tmp_path: Path) -> None:
    paint(tmp_path / "pictures", COLOURS, 10)
    split = datasets.load(Data("image_folder", path="pictures", image_size=12), tmp_path)
    assert split.train.images.shape == (12, 3, 12, 12)
    reds = split.train.images[split.train.labels == 1]  # blue sorts first
    assert bool((reds[:, 0] == 255).all() and (reds[:, 2] == 0).all())
    assert len(datasets.load_test(Data("image_folder", path="pictures"), tmp_path, PERMIT).labels) == 4


def test_image_folder_with_a_test_part(tmp_path: Path) -> None:
    paint(tmp_path / "pictures/train", COLOURS, 10)
    paint(tmp_path / "pictures/test", COLOURS, 3)
    data = Data("image_folder", path="pictures", image_size=8)
    split = datasets.load(data, tmp_path)
    assert len(split.train.labels) + len(split.validation.labels) == 20
    assert len(datasets.load_test(data, tmp_path, PERMIT).labels) == 6


def test_image_folder_refusals(tmp_path: Path) -> None:
    data = Data("image_folder", path="pictures", image_size=8)
    paint(tmp_path / "pictures", {"red": (255, 0, 0)}, 3)
    with pytest.raises(DatasetInvalid, match="two or more classes"):
        datasets.load(data, tmp_path)
    (tmp_path / "pictures/blue").mkdir()
    with pytest.raises(DatasetInvalid, match="blue has no pictures"):
        datasets.load(data, tmp_path)
    (tmp_path / "pictures/blue/0.png").write_bytes(b"no picture")
    with pytest.raises(DatasetInvalid, match="not a picture"):
        datasets.load(data, tmp_path)
    outside = tmp_path.parent / f"{tmp_path.name}-outside.png"
    Image.new("RGB", (8, 8)).save(outside)
    (tmp_path / "pictures/blue/0.png").unlink()
    (tmp_path / "pictures/blue/0.png").symlink_to(outside)
    with pytest.raises(DatasetInvalid, match="leads out"):
        datasets.load(data, tmp_path)


def test_images_of_one_size_are_resized_on_demand(tmp_path: Path) -> None:
    split = datasets.load(Data("digits", image_size=16, train_size=50), tmp_path)
    assert split.train.images.shape == (50, 1, 16, 16)
