"""Pictures that a benchmark makes, the goals that it states, and what its look at processes counts."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common.watch import Peaks, unnamed_files
from benchmarks.engines import made_pictures, real_sizes
from trainers.data import datasets
from trainers.spec import Data


def test_the_folder_and_the_npz_files_have_the_same_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_pictures, "IN_FILE", 3)
    (tmp_path / "shards").mkdir()
    for label in range(made_pictures.CLASSES):
        (tmp_path / "pictures" / f"class{label}").mkdir(parents=True)
        for start in (0, 3):
            made_pictures._piece(tmp_path, 16, label, range(start, min(start + 3, 5)))
    folder = datasets.load(Data("image_folder", path="pictures", image_size=16), tmp_path)
    npz = datasets.load(Data("npz", path="shards", image_size=16), tmp_path)
    assert folder.train.digest() == npz.train.digest()
    assert folder.validation.digest() == npz.validation.digest()
    assert made_pictures.picture(1, 2, 16) == made_pictures.picture(1, 2, 16) != made_pictures.picture(1, 3, 16)


def test_what_a_process_has_is_counted() -> None:
    peaks = Peaks()
    with tempfile.TemporaryFile() as file:
        before = sum(unnamed_files([os.getpid()]).values())
        file.write(bytes(1_000_000))
        file.flush()
        os.fsync(file.fileno())
        assert sum(unnamed_files([os.getpid()]).values()) - before >= 1_000_000
        peaks.look(os.getpid())
    assert peaks.bytes["memory"] >= peaks.bytes["anonymous"] > 10_000_000
    assert peaks.bytes["unnamed"] >= 1_000_000
    assert peaks.looks == 1


@pytest.mark.parametrize(
    ("peak", "same", "expected"),
    [(7.9, True, []), (8.1, True, ["memory_gib"]), (1.0, False, ["same_pixels"])],
)
def test_goals_are_those_that_are_stated(peak: float, same: bool, expected: list[str]) -> None:
    assert real_sizes.missed(peak, same) == expected


def test_the_last_line_stands_without_torchdistill() -> None:
    job: dict[str, Any] = {"peak": {"memory": 2**30, "anonymous": 2**29, "unnamed": 2**30}, "store_bytes": 2**30}
    job |= {"images_per_s": 100.0, "training_images_per_s": 200.0}
    result: dict[str, Any] = {"pictures": 10, "size": 8, "job": job, "same_pixels": True}
    line = real_sizes.headline(result)
    assert (line["memory_gib"], line["disk_gib"], line["goals_missed"]) == (1.0, 2.0, [])
    beside = real_sizes.headline({**result, "torchdistill": {"training_images_per_s": 50.0}})
    assert (beside["speed_ratio"], beside["training_speed_ratio"]) == (2.0, 4.0)
