"""Data of any size: read once, a block at a time, from one file or many, and the same to the bit."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trainers.data import datasets, images, photos, pixel_storage, sources, views
from trainers.disk_budget import DiskBudget
from trainers.errors import DatasetInvalid
from trainers.spec import Data, TestPermit

PERMIT = TestPermit("job", confirmed_at=1.0)
SHARDS = Data("npz", path="shards")
ALONE = Data("npz", path="alone.npz")
LABELS = np.arange(90) % 3


def pixels(count: int = 90, seed: int = 0, size: int = 8) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def save_shards(root: Path, count: int = 4, **arrays: Any) -> None:
    """The arrays cut into so many files, of different lengths."""
    (root / "shards").mkdir()
    for number in range(count):
        cut = {name: np.split(values, [5, len(values) // 2, -7])[number] for name, values in arrays.items()}
        np.savez(root / "shards" / f"{number:03}.npz", **cut)


def save_pictures(root: Path, count: int, size: int) -> None:
    for number in range(count):
        folder = root / "pictures" / f"class{number % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (size, size), (number % 256, 5, 9)).save(folder / f"{number:03}.png")


def digests(data: Data, root: Path, budget: DiskBudget | None = None) -> tuple[Any, ...]:
    split = datasets.load(data, root, budget)
    test = datasets.load_test(data, root, PERMIT, budget)
    return split.train.digest(), split.validation.digest(), test.digest(), split.mean, split.std, split.classes


@pytest.mark.parametrize(
    "labels",
    [LABELS, np.array(["ant", "bee", "cow"])[LABELS], np.eye(3, dtype=np.uint8)[LABELS]],
    ids=["numbers", "names", "one-hot"],
)
@pytest.mark.parametrize("kind", ["u1", "f4", ">u2"])
def test_a_folder_of_npz_files_is_the_file_that_they_were_cut_from(tmp_path: Path, labels: Any, kind: str) -> None:
    whole = {"u1": pixels(), "f4": pixels() / np.float32(255), ">u2": pixels().astype(">u2") * 257}[kind]
    np.savez(tmp_path / "alone.npz", images=whole, labels=labels)
    save_shards(tmp_path, images=whole, labels=labels)
    assert digests(SHARDS, tmp_path) == digests(ALONE, tmp_path)
    assert sources.class_names(SHARDS, tmp_path) == sources.class_names(ALONE, tmp_path)


def test_parts_lie_in_any_of_the_files(tmp_path: Path) -> None:
    parts = {name: (pixels(30, seed), LABELS[:30]) for seed, name in enumerate(("train", "val", "test"))}
    arrays = {
        f"{name}_{what}": values
        for name, pair in parts.items()
        for what, values in zip(("images", "labels"), pair, strict=True)
    }
    np.savez(tmp_path / "alone.npz", **arrays)
    (tmp_path / "shards").mkdir()
    for name in parts:
        np.savez(
            tmp_path / "shards" / f"{name}-0", **{key: value for key, value in arrays.items() if key.startswith(name)}
        )
    assert digests(SHARDS, tmp_path) == digests(ALONE, tmp_path)
    split = datasets.load(SHARDS, tmp_path)
    assert datasets.check_test(SHARDS, tmp_path, split, tmp_path) == 30


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"images": pixels(9).astype(np.float32)}, "b.npz are float32 .*a.npz are uint8"),
        ({"images": pixels(9, size=7)}, r"b.npz are uint8 \[7, 7, 3\], those of shards/a.npz are uint8 \[8, 8, 3\]"),
        ({"labels": np.array(["a", "b", "c"] * 3)}, "labels of shards/b.npz are <U1"),
        ({"labels": LABELS[:8]}, "labels of shards/b.npz must be one integer for each of 9 images"),
        ({"labels": LABELS[:9] - 1}, "must not be negative"),
    ],
)
def test_files_that_are_not_alike_are_named(tmp_path: Path, second: dict[str, Any], words: str) -> None:
    (tmp_path / "shards").mkdir()
    np.savez(tmp_path / "shards" / "a", images=pixels(), labels=LABELS)
    np.savez(tmp_path / "shards" / "b", **{"images": pixels(9), "labels": LABELS[:9], **second})
    with pytest.raises(DatasetInvalid, match=words):
        datasets.load(SHARDS, tmp_path)


def test_a_damaged_file_among_many_is_named(tmp_path: Path) -> None:
    save_shards(tmp_path, images=pixels(), labels=LABELS)
    broken = tmp_path / "shards" / "001.npz"
    content = bytearray(broken.read_bytes())
    content[2000] ^= 255
    broken.write_bytes(content)
    with pytest.raises(DatasetInvalid, match=r"images of shards/001.npz cannot be read .*CRC"):
        datasets.load(SHARDS, tmp_path)
    broken.write_bytes(content[:3000])
    with pytest.raises(DatasetInvalid, match=r"shards/001\.npz is not an npz file"):
        datasets.load(SHARDS, tmp_path)


@pytest.mark.parametrize("name", ["test-00.npz", "my_val.npz"])
def test_what_sounds_like_another_part_is_not_trained_on(tmp_path: Path, name: str) -> None:
    (tmp_path / "shards").mkdir()
    for file in ("train-00.npz", name):
        np.savez(tmp_path / "shards" / file, images=pixels(), labels=LABELS)
    with pytest.raises(DatasetInvalid, match=f"{name} sounds like a .* would be trained on: name them"):
        datasets.load(SHARDS, tmp_path)


def test_a_folder_without_npz_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    (tmp_path / "shards" / "._a.npz").write_bytes(b"")
    with pytest.raises(DatasetInvalid, match="the folder shards has no npz files"):
        datasets.load(SHARDS, tmp_path)
    np.savez(tmp_path / "elsewhere", images=pixels(), labels=LABELS)
    (tmp_path / "root" / "shards").mkdir(parents=True)
    (tmp_path / "root" / "shards" / "a.npz").symlink_to(tmp_path / "elsewhere.npz")
    with pytest.raises(DatasetInvalid, match=r"shards/a\.npz leads out of the data root"):
        datasets.load(SHARDS, tmp_path / "root")


def test_a_changed_file_among_many_renews_what_was_pretrained(tmp_path: Path) -> None:
    save_shards(tmp_path, images=pixels(), labels=LABELS)
    before = sources.stamp(SHARDS, tmp_path)
    assert before == sources.stamp(SHARDS, tmp_path)
    np.savez(tmp_path / "shards" / "002", images=pixels(9), labels=LABELS[:9])
    assert sources.stamp(SHARDS, tmp_path) != before


def _folder(root: Path) -> Data:
    save_pictures(root, 400, 64)
    return Data("image_folder", path="pictures", image_size=64)


def _npz(root: Path) -> Data:
    np.savez(root / "alone.npz", images=pixels(400, size=64), labels=np.arange(400) % 3)
    return ALONE


def _floats(root: Path) -> Data:
    np.savez_compressed(root / "alone.npz", images=np.zeros((400, 1, 64, 64)), labels=np.arange(400) % 3)
    return ALONE


def _shards(root: Path) -> Data:
    save_shards(root, images=pixels(400, size=64), labels=np.arange(400) % 3)
    return SHARDS


@pytest.mark.parametrize("make", [_folder, _npz, _floats, _shards])
def test_a_few_images_are_in_memory_at_once(
    tmp_path: Path, make: Callable[[Path], Data], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make(tmp_path)
    plain = digests(data, tmp_path)
    monkeypatch.setattr(images, "BLOCK_BYTES", 10 * 3 * 64 * 64)
    monkeypatch.setattr(pixel_storage, "MEMORY_BYTES", 100_000)
    tracemalloc.start()
    try:
        assert digests(data, tmp_path, DiskBudget(tmp_path / "scratch")) == plain
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1_500_000  # of 4,900,000 bytes of pixels
    assert not list((tmp_path / "scratch").iterdir())


def test_each_picture_is_decoded_once_and_of_the_test_part_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_pictures(tmp_path, 40, 8)
    data = Data("image_folder", path="pictures", image_size=8)
    decoded: list[int] = []
    fit = photos.fit
    monkeypatch.setattr(photos, "fit", lambda image, size: (decoded.append(1), fit(image, size))[1])
    datasets.load(data, tmp_path)
    assert len(decoded) == 40
    assert len(datasets.load_test(data, tmp_path, PERMIT).labels) == 8
    assert len(decoded) == 48


def test_a_broken_picture_of_the_part_that_is_cut_for_the_test_is_named_before(tmp_path: Path) -> None:
    save_pictures(tmp_path, 40, 8)
    for path in (tmp_path / "pictures").rglob("*.png"):
        path.write_bytes(b"no picture")
    data = Data("image_folder", path="pictures", image_size=8)
    with pytest.raises(DatasetInvalid, match="40 things are wrong"):
        datasets.load(data, tmp_path)


def test_large_images_are_judged_fewer_at_a_time(tmp_path: Path) -> None:
    np.savez(tmp_path / "alone.npz", images=pixels(size=8), labels=LABELS)
    sizes = ((8, 1024, 1024), (28, 83, 1024), (64, 32, 1024), (128, 32, 256), (224, 32, 83), (4096, 16, 16))
    for size, batch, accelerated in sizes:
        split = datasets.load(ALONE, tmp_path)
        shown = torch.empty((1, 3, 1, 1), dtype=torch.uint8).expand(1, 3, size, size)
        large = datasets.Split(datasets.Part(shown, split.train.labels), split.validation, 3, split.mean, split.std)
        assert views.Normaliser.of(large, torch.device("cpu")).batch == batch
        assert views.prediction_batch(size, size, torch.device("cuda")) == accelerated
