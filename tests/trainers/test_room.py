"""Pixels too many for memory: mapped from a file without a name, and read as others are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainers.problems import assignment, problem
from trainers import run
from trainers.data import datasets, pixel_storage
from trainers.disk_budget import DiskBudget
from trainers.spec import Data

EIGHT_BITS = np.dtype(np.uint8)


def test_few_lie_in_memory_and_many_in_a_file_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_storage, "MEMORY_BYTES", 100)
    assert not isinstance(pixel_storage.array((10, 10), EIGHT_BITS, DiskBudget(tmp_path)), np.memmap)
    many = pixel_storage.array((11, 10), EIGHT_BITS, DiskBudget(tmp_path / "new"))
    assert isinstance(many, np.memmap)
    many[:] = 7
    assert int(many.sum()) == 770
    assert not list((tmp_path / "new").iterdir())
    assert not isinstance(pixel_storage.array((11, 10), EIGHT_BITS, None), np.memmap)  # nowhere to put it


@pytest.mark.parametrize("name", ["image_folder", "npz"])
def test_mapped_data_trains_as_data_in_memory(name: str, roots: run.Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(0)
    pixels, labels = chance.integers(0, 256, (60, 12, 12, 3)).astype(np.uint8), np.arange(60) % 2
    if name == "npz":
        np.savez(roots.data / "a", images=pixels, labels=labels)
    for i, (picture, label) in enumerate(zip(pixels, labels, strict=True)):
        folder = roots.data / "pictures" / f"class{label}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / f"{i}.png")
    data = Data(name, path="a.npz" if name == "npz" else "pictures", image_size=8, augmentation="crop")
    said = []
    for limit in (2**31, 100):
        monkeypatch.setattr(pixel_storage, "MEMORY_BYTES", limit)
        split = datasets.load(data, roots.data, roots.budget())
        ready = run.prepare(problem(data=data), roots, "cpu")
        engine = run.open_engine(ready)
        engine.admit(assignment())
        (report,) = engine.step_epoch()
        said.append((split.train.digest(), split.mean, split.std, ready.facts, report.train_loss))  # type: ignore[union-attr]
    assert said[0] == said[1]
    assert torch.equal(ready.validation_images, split.validation.images)
    assert {entry.name for entry in roots.store.iterdir()} == {"teachers"}
