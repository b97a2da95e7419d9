"""Pictures as people have them: every mode that Pillow knows, trees of every kind, and all faults told at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainers.data import datasets, modes, photos, sources
from trainers.errors import DatasetInvalid
from trainers.spec import Data, Layout, TestPermit

PERMIT = TestPermit("job", confirmed_at=1.0)
RED, BLUE = (255, 0, 0), (0, 0, 255)


def paint(folder: Path, *classes: str, count: int = 10, size: tuple[int, int] = (8, 8)) -> None:
    """So many pictures of noise for each class: the same for the same names."""
    for number, name in enumerate(classes):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            pixels = np.random.default_rng(1000 * number + i).integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def pictures(path: str = "set", layout: Layout | None = None) -> Data:
    return Data("image_folder", path=path, image_size=8, layout=layout)


def counts(root: Path, data: Data) -> tuple[int, int, int]:
    """Images of train, validation and test."""
    split = datasets.load(data, root)
    assert split.test_images is None or split.test_images > 0
    tests = datasets.check_test(data, root, split, root / "store")
    assert len(datasets.load_test(data, root, PERMIT).labels) == tests
    return len(split.train.labels), len(split.validation.labels), tests


@pytest.mark.parametrize("mode", Image.MODES)
def test_each_mode_is_read_as_it_looks_or_refused_by_its_name(mode: str) -> None:
    """A ramp from dark to light is one afterwards; nothing is cut off in silence."""
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (8, 1))
    if mode.startswith("I;16"):
        order = ">u2" if mode.endswith("B") else "<u2"
        image = Image.frombytes(mode, (64, 8), (ramp.astype(np.uint16) * 257).astype(order).tobytes())
    elif mode in ("I", "F"):
        image = Image.fromarray(ramp.astype(np.int32 if mode == "I" else np.float32))
    elif mode in ("La", "RGBa"):
        image = Image.fromarray(ramp).convert({"La": "LA", "RGBa": "RGBA"}[mode]).convert(mode)
    elif mode == "LAB":
        image = Image.merge("LAB", [Image.fromarray(ramp), *[Image.new("L", (64, 8), 128)] * 2])
    elif mode in ("P", "PA"):
        image = Image.fromarray(ramp).convert("P").convert(mode)
    else:
        image = Image.fromarray(ramp).convert("RGB").convert(mode)
    if mode in ("I", "F"):
        with pytest.raises(modes.ModeRefused, match=f"mode is {mode}"):
            modes.rgb(image)
        return
    read = np.asarray(modes.rgb(image))[..., 1].astype(int)
    if mode == "1":
        assert set(np.unique(read)) == {0, 255}
    else:
        assert np.abs(read - ramp).max() <= 12, "the same brightness, but for the mode's own rounding"


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits_are_scaled_from_their_whole_range(tmp_path: Path, suffix: str) -> None:
    ramp = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / f"deep.{suffix}")
    with Image.open(tmp_path / f"deep.{suffix}") as image:
        assert np.array_equal(photos.fit(image, 8)[0], np.rint(ramp / 257).astype(np.uint8))


def test_white_is_zero_and_twelve_bits_are_as_tiff_says(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64).round().astype(np.uint16).reshape(8, 8)
    Image.fromarray(ramp).save(tmp_path / "white.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "white.tif") as image:
        assert image.mode == "I;16"
        assert np.array_equal(photos.fit(image, 8)[0], np.rint((65535 - ramp.astype(float)) / 257).astype(np.uint8))


def test_deep_pictures_that_would_be_black_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(5):
            Image.fromarray(np.full((8, 8), i, np.uint16)).save(tmp_path / "set" / name / f"{i}.png")
    with pytest.raises(DatasetInvalid, match="no value above 4 of 65,535"):
        datasets.load(pictures(), tmp_path)


def test_transparent_palettes_are_read_without_a_warning(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.save(tmp_path / "p.png", transparency=bytes([0, 128]))
    with Image.open(tmp_path / "p.png") as opened:
        assert photos.fit(opened, 8)[:, 0, 0].tolist() == list(BLUE)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("train", "val", "test"), (20, 20, 20)),
        (("Train", "Valid", "Test"), (20, 20, 20)),
        (("TRAINING", "Validation", "Testing"), (20, 20, 20)),
        (("train", "val"), (16, 20, 4)),
        (("train", "test"), (16, 4, 20)),
        (("train",), (12, 4, 4)),
    ],
)
def test_parts_by_their_usual_names(tmp_path: Path, parts: tuple[str, ...], expected: tuple[int, int, int]) -> None:
    for part in parts:
        paint(tmp_path / "set" / part, "a", "b")
    assert counts(tmp_path, pictures()) == expected
    assert counts(tmp_path, pictures(layout="parts")) == expected


def test_classes_that_are_called_as_parts_are(tmp_path: Path) -> None:
    paint(tmp_path / "set", "bus", "train", "test")
    assert datasets.load(pictures(), tmp_path).classes == 3
    assert counts(tmp_path, pictures()) == (18, 6, 6)


Tree = Callable[[Path], None]


def two_ways(root: Path) -> None:
    paint(root / "train", "a", "b")
    paint(root, "bus")


def part_beside_classes(root: Path) -> None:
    paint(root, "a", "b")
    paint(root / "test", "a", "b")


def parts_below_classes(root: Path) -> None:
    for name in ("a", "b"):
        paint(root / name, "train", "test")


def flat_parts(root: Path) -> None:
    paint(root, "train", "test")


def unknown_part(root: Path) -> None:
    for part in ("train", "test", "holdout"):
        paint(root / part, "a", "b")


@pytest.mark.parametrize("lay", [two_ways, part_beside_classes, parts_below_classes, flat_parts, unknown_part])
def test_an_ambiguous_tree_is_refused_with_what_was_seen_and_how_to_say_it(tmp_path: Path, lay: Tree) -> None:
    lay(tmp_path / "set")
    seen = "|".join(path.name for path in (tmp_path / "set").iterdir())
    with pytest.raises(DatasetInvalid, match=rf"(?s)({seen})/ \(.*dataset\.layout: parts.*dataset\.layout: classes"):
        datasets.load(pictures(), tmp_path)
    assert datasets.load(pictures(layout="classes"), tmp_path).classes >= 2


def two_names(root: Path) -> None:
    paint(root / "train", "a", "b")
    paint(root / "Training", "a", "b")


def other_classes(root: Path) -> None:
    paint(root / "Train", "cat", "dog")
    paint(root / "Valid", "Cat", "dog")


def too_deep(root: Path) -> None:
    paint(root / "name" / "train", "a", "b")


def deep_in_a_part(root: Path) -> None:
    paint(root / "train" / "name", "a", "b")


def loose_alone(root: Path) -> None:
    paint(root, ".")


def unlabelled_test(root: Path) -> None:
    paint(root / "train", "a", "b")
    paint(root, "test")


@pytest.mark.parametrize(
    ("lay", "words"),
    [
        (two_names, "two folders for train, Training/ and train/"),
        (other_classes, "has no cat and it has Cat, which Train has not"),
        (too_deep, "one folder deeper.*name"),
        (deep_in_a_part, "one folder deeper.*name"),
        (loose_alone, "10 pictures lie in it without one"),
        (unlabelled_test, "10 pictures lie in it without one"),
    ],
)
def test_uneven_trees_are_refused_in_clear_words(tmp_path: Path, lay: Tree, words: str) -> None:
    lay(tmp_path / "set")
    with pytest.raises(DatasetInvalid, match=words):
        counts(tmp_path, pictures())


def test_what_is_the_system_s_is_passed_over(tmp_path: Path) -> None:
    paint(tmp_path / "set", "a", "b")
    before, stamp = datasets.load(pictures(), tmp_path).train.digest(), sources.stamp(pictures(), tmp_path)
    for name in ("._0.png", ".DS_Store", "a/._0.png", "a/.DS_Store", "a/Thumbs.db", "b/.cache/0.png", "b/desktop.ini"):
        (tmp_path / "set" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "set" / name).write_bytes(b"\0\5\x16\7")
    for name in ("__MACOSX", "@eaDir", ".ipynb_checkpoints"):
        paint(tmp_path / "set" / name, "a")
        paint(tmp_path / "set" / "a", name)
    assert datasets.load(pictures(), tmp_path).train.digest() == before
    assert sources.stamp(pictures(), tmp_path) == stamp


def test_trees_of_before_are_cut_as_they_were(tmp_path: Path) -> None:
    """Digests were taken before parts had other names than train and test."""
    for folder, count in (("flat", 12), ("parts/train", 12), ("parts/test", 4)):
        for label, name in enumerate("abc"):
            (tmp_path / folder / name / "deep").mkdir(parents=True)
            for i in range(count):
                pixels = np.random.default_rng(i + 100 * label).integers(0, 256, (10, 12, 3), dtype=np.uint8)
                where = tmp_path / folder / name / ("deep" if i % 3 == 0 else ".")
                Image.fromarray(pixels).save(where / (f"{i}.PNG" if i % 2 else f"{i}.png"))
    parts = {}
    for path in ("flat", "parts"):
        split, tests = datasets.load(pictures(path), tmp_path), datasets.load_test(pictures(path), tmp_path, PERMIT)
        parts[path] = [part.digest()[:16] for part in (split.train, split.validation, tests)]
    assert parts["flat"] == ["0529a8b5e85fae5a", "4620537ddb16beb9", "44638a04d0e47176"]
    assert parts["parts"] == ["72204f9f96782440", "44638a04d0e47176", "bc7bd4ebbfae668e"]


def spoil(folder: Path) -> dict[str, str]:
    """Damages pictures in nearly every way: their names, and a word of why."""
    whole = (folder / "0.png").read_bytes()
    (folder / "1.png").write_bytes(b"")
    (folder / "2.png").write_bytes(whole[: len(whole) // 2])
    (folder / "3.png").write_bytes(b"no picture at all")
    (folder / "4.png").unlink()
    (folder / "4.png").symlink_to(folder / "absent")
    Image.new("F", (8, 8)).save(folder / "5.tif")
    Image.new("RGB", (1, 2_000_000)).save(folder / "6.png")
    named = dict.fromkeys(("1.png", "3.png"), "empty, or of a format")
    return named | {"2.png": "", "4.png": "No such file", "5.tif": "mode is F", "6.png": "too long"}


def checked(root: Path) -> int:
    return datasets.check_test(pictures(), root, datasets.load(pictures(), root), root / "store")


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_all_bad_files_are_named_at_once_whatever_part_they_are_in(tmp_path: Path, part: str) -> None:
    for each in ("train", "val", "test"):
        paint(tmp_path / "set" / each, "a", "b")
    bad = spoil(tmp_path / "set" / part / "a")
    (tmp_path / "set" / "test" / "b" / "0.png").write_bytes(b"")
    with pytest.raises(DatasetInvalid) as refused:
        checked(tmp_path)
    told = str(refused.value)
    assert f"{len(bad) + 1} things are wrong" in told
    assert "set/test/b/0.png" in told
    assert str(tmp_path) not in told
    for name, why in bad.items():
        assert why in told.partition(f"set/{part}/a/{name}")[2].partition(";")[0]


def test_of_many_bad_files_some_are_named_and_all_are_counted(tmp_path: Path) -> None:
    paint(tmp_path / "set", "a", "b", count=30)
    for path in (tmp_path / "set" / "a").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DatasetInvalid, match=r"30 things are wrong.*and 10 more") as refused:
        datasets.load(pictures(), tmp_path)
    assert str(refused.value).count("is not a picture") == photos.NAMED


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(tmp_path / "set", "a", "b")
    opened = Image.open

    def guarded(path: Path) -> Image.Image:
        if path == tmp_path / "set" / "a" / "0.png":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path)

    monkeypatch.setattr(Image, "open", guarded)
    with pytest.raises(DatasetInvalid, match=r"a/0\.png.*Permission denied"):
        datasets.load(pictures(), tmp_path)


def test_what_the_machine_does_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(tmp_path / "set", "a", "b")

    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Image, "open", broken)
    with pytest.raises(OSError, match="Input/output"):
        datasets.load(pictures(), tmp_path)


def test_a_test_part_is_checked_once_for_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("train", "test"):
        paint(tmp_path / "set" / part, "a", "b")
    split = datasets.load(pictures(), tmp_path)
    checks: list[str] = []
    check = sources.check_test

    def counted(data: Data, root: Path) -> tuple[int, tuple[int, ...] | None]:
        checks.append(data.name)
        return check(data, root)

    monkeypatch.setattr(sources, "check_test", counted)
    for _ in range(2):
        assert datasets.check_test(pictures(), tmp_path, split, tmp_path / "store") == 20
    assert len(checks) == 1
    (record,) = (tmp_path / "store" / "checked").glob("*.json")
    record.write_bytes(b"\xff{")
    assert datasets.check_test(pictures(), tmp_path, split, tmp_path / "store") == 20
    (tmp_path / "set/test/a/0.png").write_bytes(b"")
    with pytest.raises(DatasetInvalid, match=r"test/a/0\.png"):
        datasets.check_test(pictures(), tmp_path, split, tmp_path / "store")
    assert len(checks) == 3
    assert sys.getsizeof(record.read_bytes()) < 1000, "nothing of the part is kept but its size"


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text there")
def test_names_that_are_no_text_are_named_as_well_as_they_can_be(tmp_path: Path) -> None:
    paint(tmp_path / "set", "a", "b")
    picture = tmp_path / "set" / "a" / os.fsdecode(b"caf\xe9.png")
    picture.write_bytes((tmp_path / "set" / "a" / "0.png").read_bytes())
    assert sum(counts(tmp_path, pictures())) == 21
    assert sources.stamp(pictures(), tmp_path)
    picture.write_bytes(b"")
    with pytest.raises(DatasetInvalid, match=r"caf\?\.png is not a picture") as refused:
        datasets.load(pictures(), tmp_path)
    assert str(refused.value).encode()
    picture.unlink()
    (tmp_path / "set" / "b").rename(tmp_path / "set" / os.fsdecode(b"b\xe9"))
    with pytest.raises(DatasetInvalid, match=r"no UTF-8: b\?\. Rename these folders"):
        datasets.load(pictures(), tmp_path)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (3, 500)])
def test_narrow_and_tiny_pictures_are_filled(tmp_path: Path, size: tuple[int, int]) -> None:
    paint(tmp_path / "set", "a", "b", size=size)
    assert sum(counts(tmp_path, pictures())) == 20


def test_classes_are_numbered_in_the_order_of_their_names_as_text(tmp_path: Path) -> None:
    """As torchvision's ImageFolder has it: 10 before 2."""
    paint(tmp_path / "set", *map(str, range(12)), count=4)
    assert sources.class_names(pictures(), tmp_path)[:4] == ["0", "1", "10", "11"]
