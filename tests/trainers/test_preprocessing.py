"""A given teacher sees images as its own training prepared them: said by the spec or the file, or measured."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as pictures

from tests.trainers import elsewhere
from tests.trainers.problems import problem
from tests.trainers.test_teacher import PERMIT, put
from trainers import preprocessing, quality, run
from trainers.data import datasets
from trainers.data.preprocessor import Preprocessor
from trainers.derived import digest_of
from trainers.errors import TeacherInvalid
from trainers.preprocessing import MEASURED, PRESETS, Preprocessing, Preset
from trainers.spec import Data, Metrics, Model, Problem, Teacher, TeacherFacts
from trainers.teaching.preprocessed import Measured
from trainers.zoo import models, weights

MODEL = Model("cnn", {"width": 8, "depth": 2})
OWN: dict[Preset, Callable[[Tensor], Tensor]] = {
    "unit": lambda pixels: pixels / 255,
    "half": lambda pixels: (pixels / 255 - 0.5) / 0.5,
    "imagenet": lambda pixels: (pixels / 255 - 0.449) / 0.226,
    "dataset": lambda pixels: (pixels / 255 - 0.3053) / 0.3757,
}
"""How the scripts of the teachers prepare images [n, C, H, W] of 0..255, by themselves."""


@cache
def own_script(preset: Preset) -> tuple[dict[str, Tensor], int, int]:
    """A teacher's weights from a script that knows nothing of this project, how many of the validation images it gets
    right there, and how many there are.
    """
    split = datasets.load(problem().data, Path())
    model = models.build(MODEL, 1, (8, 8), 10, seed=1).train()
    images, labels = OWN[preset](split.train.images.float()), split.train.labels
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for step in range(120):
        numbers = torch.arange(step * 50, step * 50 + 50) % len(labels)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[numbers]), labels[numbers]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        logits = model.eval()(OWN[preset](split.validation.images.float()))
    right = int((logits.argmax(-1) == split.validation.labels).sum())
    return model.state_dict(), right, len(split.validation.labels)


def given(roots: run.Roots, tensors: dict[str, Tensor], said: Preprocessing | None, **changes: Any) -> Problem:
    teacher = Teacher("weights", model=MODEL, artifact=put(roots.store, tensors), preprocessing=said)
    return problem(teacher=teacher, **changes)


def right(ready: run.Ready) -> int:
    return round(ready.facts.validation.accuracy * ready.facts.validation_images)


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset != "dataset"])
@pytest.mark.parametrize("way", ["spec", "file", "measured"])
def test_is_worth_what_it_is_in_its_own_script(roots: run.Roots, way: str, preset: Preset) -> None:
    tensors, expected, images = own_script(preset)
    wanted = given(roots, tensors, MEASURED if way == "measured" else Preprocessing(preset))
    if way == "file":
        weights.save(tensors, roots.store / "own", {preprocessing.METADATA: json.dumps({"preset": preset})})
        artifact = weights_digest(roots.store / "own")
        wanted = problem(teacher=dataclasses.replace(wanted.teacher, artifact=artifact, preprocessing=MEASURED))
    ready = run.prepare(wanted, roots, "cpu")
    assert right(ready) == expected > 0.8 * images
    (fact,) = ready.facts.preprocessing
    assert fact.origin == way
    assert fact.preprocessing.preset == preset
    assert [tried.preset for tried in fact.tried] == (list(PRESETS) if way == "measured" else [])
    assert isinstance(ready, run.Prepared)
    part, logits = ready.test.open(PERMIT)
    assert (logits.argmax(-1) == part.labels).double().mean() > 0.8


def test_what_students_have_stays_what_it_was(roots: run.Roots) -> None:
    """Whose own way is the data set's moments is chosen so, and its logits are those of before, under the same name."""
    tensors, expected, _ = own_script("dataset")
    before = run.prepare(given(roots, tensors, None), roots, "cpu")
    files = set(roots.store.rglob("2-*.safetensors"))
    after = run.prepare(given(roots, tensors, MEASURED), roots, "cpu")
    assert set(roots.store.rglob("2-*.safetensors")) == files
    assert isinstance(before, run.Prepared) and isinstance(after, run.Prepared)  # noqa: PT018
    assert torch.equal(before.train_logits, after.train_logits)
    assert abs(right(after) - expected) <= 1  # the script rounded the moments
    assert after.facts.fingerprint == before.facts.fingerprint
    assert before.facts.preprocessing == ()
    assert after.facts.preprocessing[0].clear


def test_a_presets_logits_are_no_other_presets(roots: run.Roots) -> None:
    tensors, _, _ = own_script("unit")
    logits = []
    for said in (None, Preprocessing("unit"), Preprocessing("half"), Preprocessing("unit", size=(16, 16)), MEASURED):
        ready = run.prepare(given(roots, tensors, said), roots, "cpu")
        assert isinstance(ready, run.Prepared)
        logits.append(ready.train_logits)
    assert not any(torch.equal(logits[0], other) for other in logits[1:])
    assert torch.equal(logits[1], logits[4])
    assert not torch.equal(logits[1], logits[3])


def test_moments_of_ones_own_in_a_range_of_ones_own(roots: run.Roots) -> None:
    tensors, expected, _ = own_script("half")
    said = Preprocessing("custom", mean=(127.5,), std=(127.5,), value_range=(0.0, 255.0))
    assert right(run.prepare(given(roots, tensors, said), roots, "cpu")) == expected


def test_students_keep_their_own(roots: run.Roots) -> None:
    tensors, _, _ = own_script("unit")
    ready = run.prepare(given(roots, tensors, MEASURED), roots, "cpu")
    assert isinstance(ready, run.Prepared)
    shown = ready.normalise(ready.validation_images)
    assert float(shown.mean()) == pytest.approx(0, abs=0.02)
    assert float(shown.std()) == pytest.approx(1, abs=0.02)


def test_each_member_of_an_ensemble_has_its_own(roots: run.Roots) -> None:
    members = [given(roots, own_script(preset)[0], MEASURED).teacher for preset in ("unit", "imagenet")]
    ready = run.prepare(problem(teacher=Teacher("ensemble", members=tuple(members))), roots, "cpu")
    facts = ready.facts.preprocessing
    assert [fact.teacher for fact in facts] == ["teacher.members.0", "teacher.members.1"]
    assert [fact.preprocessing.preset for fact in facts] == ["unit", "imagenet"]
    assert ready.facts.validation.accuracy > 0.85


def test_what_was_measured_is_measured_once(roots: run.Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = given(roots, own_script("unit")[0], MEASURED)
    first = run.prepare(wanted, roots, "cpu")
    monkeypatch.setattr("trainers.teaching.teacher.ask", None)
    assert run.prepare(wanted, roots, "cpu").facts == first.facts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ('{"preset": "other"}', "no preset"),
        ('{"preset": "custom", "mean": [0], "std": [0]}', "positive"),
    ],
)
def test_metadata_that_cannot_be_read_are_refused(roots: run.Roots, text: str, words: str) -> None:
    weights.save(own_script("unit")[0], roots.store / "own", {preprocessing.METADATA: text})
    teacher = Teacher("weights", model=MODEL, artifact=weights_digest(roots.store / "own"), preprocessing=MEASURED)
    with pytest.raises(TeacherInvalid, match=words):
        run.prepare(problem(teacher=teacher), roots, "cpu")


def measured(*rows: list[int]) -> Measured:
    return Measured(PRESETS[: len(rows)], torch.tensor(rows).bool(), tuple(1.0 for _ in rows))


def test_only_a_clear_lead_is_taken() -> None:
    base = [1] * 50 + [0] * 50
    little, much = [1] * 54 + [0] * 46, [1] * 70 + [0] * 30
    assert measured(base, little).choice() == ("dataset", False)
    assert measured(base, much).choice() == ("unit", True)
    assert measured(base, much, much).choice() == ("unit", False)  # which of both is not known, that it is one is
    assert measured(much, base).choice() == ("dataset", True)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "crop"), [((24, 24), 0.75), ((9, 9), 1.0), ((20, 20), 0.875)])
def test_resizes_as_torchvision_does(interpolation: Any, size: tuple[int, int], crop: float) -> None:
    """Pillow's picture, resized by its shorter side and cropped in the middle, is at most two of 255 levels away."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 15, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(pixels).resize((30, 24), Image.Resampling.BILINEAR))
    said = Preprocessing("unit", size=size, crop=crop, interpolation=interpolation)
    shorter = int(size[0] / crop)
    expected = pictures.center_crop(
        pictures.resize(Image.fromarray(smooth), [shorter], InterpolationMode(interpolation)), list(size)
    )
    got = preprocessor(said, smooth)(torch.tensor(smooth).permute(2, 0, 1)[None])
    assert got.shape == (1, 3, *size)
    assert (got[0] - pictures.to_tensor(expected)).abs().max() <= 2.01 / 255


def preprocessor(said: Preprocessing, pixels: np.ndarray[Any, Any]) -> Preprocessor:
    images = torch.tensor(pixels).permute(2, 0, 1)[None]
    part = datasets.Part(images, torch.zeros(1, dtype=torch.int64))
    mean, std = datasets.moments(images)
    return Preprocessor(said, datasets.Split(part, part, 2, mean, std), torch.device("cpu"))


def test_channels_in_another_order() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    images = torch.tensor(pixels).permute(2, 0, 1)[None]
    plain = preprocessor(Preprocessing("unit"), pixels)(images)
    assert torch.equal(preprocessor(Preprocessing("unit", channel_order="bgr"), pixels)(images), plain.flip(1))
    own = preprocessor(Preprocessing("dataset"), pixels)(images)
    assert torch.allclose(preprocessor(Preprocessing("dataset", channel_order="bgr"), pixels)(images), own.flip(1))
    grey = preprocessor(Preprocessing("unit", channel_order="grey"), pixels)(images)
    assert grey.shape == (1, 1, 8, 8)
    luma = (torch.tensor([0.299, 0.587, 0.114])[:, None, None] * plain[0]).sum(0)
    assert torch.allclose(grey[0, 0], luma, atol=3e-3)


def test_a_colour_teacher_of_grey_images(roots: run.Roots) -> None:
    said = Preprocessing("imagenet", channel_order="rgb", size=(32, 32))
    model = Model("cnn", {"width": 4})
    state = models.build(model, 3, (32, 32), 10, seed=0).state_dict()
    teacher = Teacher("weights", model=model, artifact=put(roots.store, state), preprocessing=said)
    ready = run.prepare(problem(teacher=teacher), roots, "cpu")
    assert isinstance(ready, run.Prepared)
    assert ready.train_logits.shape == (2, 300, 10)
    assert ready.channels == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_weights_tell_the_colours_of_their_images(roots: run.Roots, channels: int) -> None:
    """A grey teacher of colours, and a colour teacher of grey images: there is one way each."""
    elsewhere.lay(roots.data)
    data = Data("npz", path="quarters.npz") if channels == 1 else Data("digits", train_size=300)
    model = models.build(MODEL, channels, (8, 8), 4 if channels == 1 else 10, seed=0)
    teacher = Teacher("weights", MODEL, artifact=put(roots.store, model.state_dict()), preprocessing=MEASURED)
    ready = run.prepare(problem(data=data, teacher=teacher, views=1), roots, "cpu")
    (fact,) = ready.facts.preprocessing
    assert fact.preprocessing.channel_order == ("grey" if channels == 1 else "rgb")
    assert isinstance(ready, run.Prepared)
    assert ready.channels == 4 - channels
    known = dataclasses.replace(teacher, preprocessing=Preprocessing("unit"))
    again = run.prepare(problem(data=data, teacher=known, views=1), roots, "cpu")
    assert again.facts.preprocessing[0].preprocessing.channel_order == fact.preprocessing.channel_order


def test_a_mean_of_each_colour_makes_grey_images_colours(roots: run.Roots) -> None:
    said = Preprocessing("custom", mean=(0.5, 0.4, 0.3), std=(0.5,))
    state = models.build(MODEL, 3, (8, 8), 10, seed=0).state_dict()
    teacher = Teacher("weights", MODEL, artifact=put(roots.store, state), preprocessing=said)
    ready = run.prepare(problem(teacher=teacher), roots, "cpu")
    assert ready.facts.preprocessing[0].preprocessing.channel_order == "rgb"


def facts(accuracy: float, chance: float, images: int) -> TeacherFacts:
    return TeacherFacts("f", 10, 100, images, Metrics(accuracy, 1.0, 0.1, 1.0, 1.0), chance)


@pytest.mark.parametrize(
    ("accuracy", "chance", "images", "weak"),
    [
        (0.14, 0.1, 360, True), (0.16, 0.1, 10_000, True), (0.32, 0.1, 360, False), (0.79, 0.1, 360, False),
        (0.52, 0.5, 1000, True), (0.6, 0.5, 1000, False), (0.05, 0.001, 50_000, False), (0.0015, 0.001, 50_000, True),
        (0.3, 0.1, 10, True), (1.0, 1.0, 10, False),
    ],
)  # fmt: skip
def test_near_chance(accuracy: float, chance: float, images: int, weak: bool) -> None:
    assert quality.is_weak(facts(accuracy, chance, images)) is weak


def test_a_weak_teacher_is_measured_under_each_preset(roots: run.Roots) -> None:
    tensors, _, _ = own_script("imagenet")
    ready = run.prepare(given(roots, tensors, Preprocessing("dataset")), roots, "cpu")
    assert quality.is_weak(ready.facts)
    (fact,) = ready.facts.preprocessing
    assert [tried.preset for tried in fact.tried] == list(PRESETS)
    words = quality.weakness(ready.facts)
    assert "near chance: 13.4% of 359" in words
    assert "imagenet 92.5%" in words
    assert "accept_weak: true" in words


def weights_digest(path: Path) -> str:
    digest = digest_of(path)
    target = path.parent / digest[:2] / digest
    target.parent.mkdir(exist_ok=True)
    path.rename(target)
    return digest
