"""A teacher that runs elsewhere: it looks at exactly the images of a job, and a wrong order of its answers is seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainers.problems import problem
from tests.trainers.test_preprocessing import MODEL, OWN, own_script
from tests.trainers.test_teacher import PERMIT, put
from trainers import run, teacher_inputs
from trainers.errors import TeacherInvalid
from trainers.preprocessing import Preprocessing
from trainers.spec import Data, Teacher
from trainers.zoo import models

DATA = problem().data


def elsewhere(images: Any) -> torch.Tensor:
    """The logits of the teacher's own script on images [..., C, H, W] (uint8)."""
    tensors, _, _ = own_script("half")
    model = models.build(MODEL, 1, (8, 8), 10, seed=1).eval()
    model.load_state_dict(tensors)
    pixels = torch.tensor(np.asarray(images)).float()
    with torch.no_grad():
        logits = model(OWN["half"](pixels.reshape(-1, *pixels.shape[-3:])))
    return logits.reshape(*pixels.shape[:-3], 10)


def test_its_answers_are_those_of_the_same_weights_given(roots: run.Roots, tmp_path: Path) -> None:
    manifest = teacher_inputs.export(DATA, 2, roots.data, tmp_path, pictures=False)
    with np.load(tmp_path / "inputs.npz") as file:
        answers = {name: elsewhere(file[name]) for name in file.files}
    np.savez(tmp_path / "out.npz", **{name: logits.numpy() for name, logits in answers.items()})
    tensors, lines = teacher_inputs.take(
        teacher_inputs.read_manifest(tmp_path / "manifest.json"), teacher_inputs.read_answers(tmp_path / "out.npz")
    )
    assert not any("caution" in line for line in lines)
    _, right, images = own_script("half")
    assert f"validation: {right / images:.1%} of {images} images right" in lines
    ready = run.prepare(problem(teacher=Teacher("logits", artifact=put(roots.store, tensors))), roots, "cpu")

    weights = Teacher(
        "weights", MODEL, artifact=put(roots.store, own_script("half")[0]), preprocessing=Preprocessing("half")
    )
    same = run.prepare(problem(teacher=weights), roots, "cpu")
    assert isinstance(ready, run.Prepared)
    assert isinstance(same, run.Prepared)
    assert torch.allclose(ready.train_logits, same.train_logits, atol=1e-4)
    assert torch.allclose(ready.test.open(PERMIT)[1], same.test.open(PERMIT)[1], atol=1e-4)
    assert manifest["shapes"]["train"] == [2, 300, 1, 8, 8]
    assert "test" not in manifest["labels"]


def test_in_the_order_of_the_files(roots: run.Roots, tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    data = Data("digits", train_size=300)
    manifest = teacher_inputs.export(data, 1, roots.data, tmp_path, pictures=False)
    pool = np.rint(load_digits().images * (255 / 16)).astype(np.uint8)[:, None]
    tensors, lines = teacher_inputs.take(manifest, {"pool": elsewhere(pool)})
    with np.load(tmp_path / "inputs.npz") as file:
        for name in file.files:
            assert torch.allclose(tensors[name], elsewhere(file[name]), atol=1e-5)
    assert not any("caution" in line for line in lines)
    shuffled = elsewhere(pool)[torch.randperm(len(pool), generator=torch.Generator().manual_seed(0))]
    _, lines = teacher_inputs.take(manifest, {"pool": shuffled})
    assert sum("caution: that is near chance" in line for line in lines) == 2


def test_as_pictures(roots: run.Roots, tmp_path: Path) -> None:
    teacher_inputs.export(
        Data("digits", train_size=20, augmentation="shift"), 2, roots.data, tmp_path / "a", pictures=True
    )
    teacher_inputs.export(
        Data("digits", train_size=20, augmentation="shift"), 2, roots.data, tmp_path / "b", pictures=False
    )
    with np.load(tmp_path / "b" / "inputs.npz") as file:
        for view in (0, 1):
            for number in (0, 19):
                with Image.open(tmp_path / "a" / "train" / f"view-{view:02}" / f"{number:06}.png") as picture:
                    assert np.array_equal(np.asarray(picture), file["train"][view, number, 0])
        assert len(list((tmp_path / "a" / "test").iterdir())) == len(file["test"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": torch.zeros(2, 299, 10)}, r"train of shape \[2, 300, 10\]"),
        ({"test": None}, "only train, validation"),
        ({"validation": torch.full((359, 10), float("nan"))}, "finite"),
        ({"pool": torch.zeros(1797, 10)}, "2 views"),
    ],
)
def test_what_does_not_fit_the_manifest(
    roots: run.Roots, tmp_path: Path, change: dict[str, torch.Tensor | None], words: str
) -> None:
    manifest = teacher_inputs.export(DATA, 2, roots.data, tmp_path, pictures=False)
    shapes = {"train": (2, 300, 10), "validation": (359, 10), "test": (359, 10)}
    answers = {name: torch.zeros(shape) for name, shape in shapes.items()} | change
    with pytest.raises(TeacherInvalid, match=words):
        teacher_inputs.take(manifest, {name: logits for name, logits in answers.items() if logits is not None})


def test_answers_of_other_classes_are_taken_and_said(roots: run.Roots, tmp_path: Path) -> None:
    manifest = teacher_inputs.export(Data("digits", train_size=300), 1, roots.data, tmp_path, pictures=False)
    tensors, lines = teacher_inputs.take(manifest, {"pool": torch.zeros(1797, 12)})
    assert tensors["validation"].shape == (359, 12)
    assert lines == [line for line in lines if "logits of 12 classes, and the data have 10" in line]
    parts = {"train": torch.zeros(300, 12), "validation": torch.zeros(359, 12), "test": torch.zeros(359, 10)}
    with pytest.raises(TeacherInvalid, match="train of shape"):
        teacher_inputs.take(manifest, parts)


def test_manifests_of_others(tmp_path: Path) -> None:
    for text in ("", "[]", json.dumps({"format": 99})):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(TeacherInvalid, match="thermowell teacher inputs"):
            teacher_inputs.read_manifest(tmp_path / "manifest.json")
