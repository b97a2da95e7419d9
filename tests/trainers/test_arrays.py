"""npz files as people have them: the names of Keras and MedMNIST, labels and images of every type, and refusals."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trainers.data import datasets, sources
from trainers.errors import DatasetInvalid
from trainers.spec import Data, TestPermit

PERMIT = TestPermit("job", confirmed_at=1.0)
DATA = Data("npz", path="set.npz")
LABELS = np.arange(60) % 3
OWN = ("images", "labels", "val_images", "val_labels", "test_images", "test_labels")
KERAS = ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test")
MEDMNIST = ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels")


def images(count: int = 60, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, 5, 6), dtype=np.uint8)


def check(root: Path) -> tuple[datasets.Split, int]:
    split = datasets.load(DATA, root)
    return split, datasets.check_test(DATA, root, split, root / "store")


def save(root: Path, **arrays: Any) -> None:
    np.savez(root / "set.npz", **arrays)


@pytest.mark.parametrize("names", [OWN, KERAS, MEDMNIST, tuple(name.upper() for name in KERAS)])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_parts_by_their_usual_names(tmp_path: Path, names: tuple[str, ...], parts: int) -> None:
    values = [images(), LABELS[:, None], images(12, 1), LABELS[:12, None], images(9, 2), LABELS[:9]]
    save(tmp_path, **dict(list(zip(names, values, strict=True))[: 2 * parts]))
    split, tests = check(tmp_path)
    test = datasets.load_test(DATA, tmp_path, PERMIT)
    assert (len(split.train.labels), len(split.validation.labels), tests) == [
        (36, 12, 12), (48, 12, 12), (60, 12, 9),
    ][parts - 1]  # fmt: skip
    assert len(test.labels) == tests
    if parts > 1:
        assert torch.equal(split.validation.images[:, 0], torch.from_numpy(values[2]))
    if parts > 2:
        assert torch.equal(split.train.images[:, 0], torch.from_numpy(values[0]))


@pytest.mark.parametrize("absent", range(6))
@pytest.mark.parametrize("names", [OWN, KERAS, MEDMNIST])
def test_a_missing_mate_is_named(tmp_path: Path, names: tuple[str, ...], absent: int) -> None:
    values = dict(zip(names, [images(), LABELS] * 3, strict=True))
    del values[names[absent]]
    save(tmp_path, **values)
    with pytest.raises(DatasetInvalid, match=f"has no {names[absent]}, the mate of {names[absent ^ 1]}"):
        datasets.load(DATA, tmp_path)


def test_a_part_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    save(tmp_path, images=images(), labels=LABELS, x_train=images(), y_train=LABELS)
    with pytest.raises(DatasetInvalid, match="train part twice, as images with labels and x_train with y_train"):
        datasets.load(DATA, tmp_path)


def test_a_validation_part_renews_what_was_pretrained_without_it(tmp_path: Path) -> None:
    save(tmp_path, images=images(), labels=LABELS)
    alone = sources.stamp(DATA, tmp_path)
    assert alone == hashlib.sha256((tmp_path / "set.npz").read_bytes()).hexdigest()
    save(tmp_path, images=images(), labels=LABELS, val_images=images(), val_labels=LABELS)
    assert sources.stamp(DATA, tmp_path) != hashlib.sha256((tmp_path / "set.npz").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "labels",
    [
        *(LABELS.astype(kind) for kind in ("u1", "i2", ">i4", "u8", "f2", "f8")),
        LABELS[:, None].astype(float),
        np.array(["ant", "bee", "cow"])[LABELS],
        np.array([b"ant", b"bee", b"cow"])[LABELS][:, None],
        *(np.eye(3, dtype=kind)[LABELS] for kind in ("f4", "u1", "bool")),
    ],
    ids=lambda labels: f"{labels.dtype}-{labels.ndim}",
)
def test_labels_of_every_kind_are_taken(tmp_path: Path, labels: Any) -> None:
    save(tmp_path, images=images(), labels=labels, test_images=images(9), test_labels=labels[1:10])
    split, tests = check(tmp_path)
    assert (split.classes, tests) == (3, 9)
    assert datasets.load_test(DATA, tmp_path, PERMIT).labels.tolist() == LABELS[1:10].tolist()


def test_truth_values_are_two_classes(tmp_path: Path) -> None:
    save(tmp_path, images=images(), labels=np.arange(60) % 2 == 1)
    assert datasets.load(DATA, tmp_path).classes == 2


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (LABELS + 0.5, "0.5 of image 0 is no whole number"),
        (np.where(LABELS == 2, np.nan, LABELS), "nan of image 2 is no whole number"),
        (LABELS - 1, "image 0 has -1"),
        (LABELS + 1, "none is 0; they begin at 1: subtract 1"),
        (LABELS * 2, "none is 1, 3"),
        (np.where(LABELS == 2, 2**63, LABELS).astype(np.uint64), "the label 9223372036854775808"),
        (LABELS * 10**7, "label 20000000"),
        (np.array(["only"] * 60), "two or more classes"),
        (np.array(["a", "b", ""])[LABELS], "no name for image 2"),
        (np.array([b"\xff", b"b", b"c"])[LABELS], "no UTF-8"),
        (np.ones((60, 14), int), "image 0 has 14 ones"),
        (np.eye(3)[LABELS] * 0.9, "image 0 has 0 ones"),
        (np.eye(4)[LABELS], "none is 3"),
        (LABELS.astype("datetime64[s]"), "datetime64"),
        (LABELS.astype(complex), "complex128"),
        (np.array(list(LABELS), dtype=object), "objects are refused"),
        (LABELS[:59], "60 images.*shape \\(59,\\)"),
    ],
)
@pytest.mark.parametrize("part", ["", "test_", "val_"])
def test_labels_that_cannot_be_are_refused_with_the_reason(tmp_path: Path, labels: Any, words: str, part: str) -> None:
    """In whatever part they are; of the test part, before anything is trained."""
    if part and "none is" in words:
        words = "label|columns"
    if part and ("two or more" in words or "label 2" in words or "label 9" in words):
        words = "label|names"
    if part and ("no name" in words or "UTF-8" in words):
        words = "are names, those of the training part are numbers"
    good = {"images": images(), "labels": LABELS, "test_images": images(), "test_labels": LABELS}
    save(tmp_path, **(good | {f"{part}images": images(), f"{part}labels": labels}))
    if part and labels.tolist() == (LABELS * 2).tolist():
        words = "a label 4, training has 3"
    with pytest.raises(DatasetInvalid, match=words):
        check(tmp_path)


@pytest.mark.parametrize(
    ("kind", "factor"), [("f4", 1 / 255), ("f8", 1 / 255), ("u2", 257), (">u2", 257), ("f2", 1 / 255)]
)
def test_images_of_other_types_are_scaled(tmp_path: Path, kind: str, factor: float) -> None:
    save(tmp_path, images=(images().astype("f8") * factor).astype(kind), labels=LABELS)
    deep = datasets.load(DATA, tmp_path).train
    save(tmp_path, images=images(), labels=LABELS)
    assert torch.equal(deep.images, datasets.load(DATA, tmp_path).train.images)


def test_masks_are_black_and_white(tmp_path: Path) -> None:
    save(tmp_path, images=images() > 127, labels=LABELS)
    assert datasets.load(DATA, tmp_path).train.images.flatten().bincount().nonzero().flatten().tolist() == [0, 255]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (images().astype("f4"), "float32 from 0 to 255.*uint8"),
        (images() / 127.5 - 1, "float64 from -1 to 1"),
        (np.where(images() == 7, np.nan, 0.5), "not finite"),
        (images().astype("u2"), "uint16 from 0 to 255"),
        (images().astype("i8"), "int64 from 0 to 255"),
        (np.zeros((60, 5, 6, 4), "u1"), "not clearly"),
        (np.zeros((60, 5, 0), "u1"), "not clearly"),
        (np.zeros((60, 30), "u1"), "not clearly"),
        (images().astype("c8"), "must be uint8, they are complex64"),
    ],
)
@pytest.mark.parametrize("part", ["", "test_", "val_"])
def test_images_that_could_be_meant_in_more_than_one_way_are_refused(
    tmp_path: Path, wrong: Any, words: str, part: str
) -> None:
    good = {"images": images(), "labels": LABELS, "test_images": images(), "test_labels": LABELS}
    save(tmp_path, **(good | {f"{part}images": wrong, f"{part}labels": LABELS}))
    with pytest.raises(DatasetInvalid, match=words):
        check(tmp_path)


@pytest.mark.parametrize("part", ["test", "val"])
@pytest.mark.parametrize(
    "other",
    [images()[:, :4], np.repeat(images()[..., None], 3, -1), images() / 255, images()[:0]],
    ids=["smaller", "colour", "floats", "none"],
)
def test_a_part_unlike_training_is_found_at_the_start(tmp_path: Path, part: str, other: Any) -> None:
    mates = {f"{part}_images": other, f"{part}_labels": LABELS[: len(other)]}
    save(tmp_path, images=images(), labels=LABELS, **mates)
    with pytest.raises(DatasetInvalid, match=r"channels, height, width|those of training are|at least one"):
        check(tmp_path)


@pytest.mark.parametrize("part", ["images", "labels", "test_images", "test_labels"])
def test_an_array_that_is_damaged_is_found_at_the_start(tmp_path: Path, part: str) -> None:
    save(tmp_path, images=images(), labels=LABELS, test_images=images(), test_labels=LABELS)
    content = bytearray((tmp_path / "set.npz").read_bytes())
    at = content.index(f"{part}.npy".encode() + b"\x01") if f"{part}.npy".encode() + b"\x01" in content else -1
    at = content.index(f"\0{part}.npy".encode()) if at < 0 and f"\0{part}.npy".encode() in content else at
    content[at + 250] ^= 255
    (tmp_path / "set.npz").write_bytes(content)
    with pytest.raises(DatasetInvalid, match="cannot be read"):
        check(tmp_path)


def test_names_of_classes_are_those_of_training(tmp_path: Path) -> None:
    names = np.array(["ant", "bee", "cow"])[LABELS]
    save(tmp_path, images=images(), labels=names, test_images=images(2), test_labels=np.array(["ant", "dog"]))
    with pytest.raises(DatasetInvalid, match="test_labels names dog, which training does not have"):
        check(tmp_path)


@pytest.mark.parametrize("shape", [(1, 60), (60, 1), (60,)])
def test_labels_of_every_shape_name_the_same_classes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    labels = (np.arange(60) % 3).reshape(shape)
    np.savez(tmp_path / "own.npz", images=np.zeros((60, 4, 4), dtype=np.uint8), labels=labels)
    assert sources.class_names(Data("npz", path="own.npz"), tmp_path) == ["0", "1", "2"]
