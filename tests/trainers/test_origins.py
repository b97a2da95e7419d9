"""Teachers that come from other data, or that are taken early: made once, shared, and different in what they say."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainers.elsewhere import lay, quarters
from tests.trainers.problems import SGD, problem, teacher
from trainers import run
from trainers.data import datasets
from trainers.data.fitting import fit_images
from trainers.errors import DatasetInvalid, DatasetMissing, ModelUnavailable, TeacherInvalid
from trainers.spec import Data, Model, Pretraining, Schedule, Teacher, TestPermit, Training
from trainers.teaching import pretraining, supervised
from trainers.zoo import heads, models, weights

PERMIT = TestPermit("job", confirmed_at=1.0)
FROM_QUARTERS = teacher(training=Training(2, 16), pretrained_on=quarters())


@pytest.fixture
def placed(roots: run.Roots) -> run.Roots:
    """The roots with the other data in place."""
    lay(roots.data)
    return roots


def stored(roots: run.Roots, kind: str) -> list[Path]:
    return sorted((roots.store / kind).rglob("*.safetensors"))


def prepare(roots: run.Roots, **changes: object) -> run.Prepared:
    made = run.prepare(problem(**changes), roots, "cpu")
    assert isinstance(made, run.Prepared)
    return made


def test_images_get_the_shape_of_the_others(tmp_path: Path) -> None:
    lay(tmp_path)
    colour = datasets.load(quarters().data, tmp_path)
    grey = fit_images(colour, 1, (8, 8))
    assert grey.train.images.shape[1:] == (1, 8, 8)
    assert grey.train.images.dtype == torch.uint8
    assert torch.equal(grey.train.labels, colour.train.labels)
    shades = colour.train.images.float().mean((2, 3)) @ torch.tensor([0.299, 0.587, 0.114])
    assert torch.allclose(grey.train.images.float().mean((1, 2, 3)), shades, atol=1.0)
    assert grey.mean == pytest.approx([float(grey.train.images.double().mean() / 255)])
    digits = datasets.load(Data("digits", train_size=20), tmp_path)
    three = fit_images(digits, 3, (8, 8))
    assert torch.equal(three.train.images, digits.train.images.expand(-1, 3, -1, -1))
    assert fit_images(digits, 1, (8, 8)).train is digits.train
    with pytest.raises(DatasetInvalid, match="1 or 3"):
        fit_images(digits, 2, (8, 8))


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet", "wrn", "resnet18", "squeezenet1_1", "swin_t"])
def test_every_model_has_a_head(name: str) -> None:
    found = heads.names(Model(name), 3, (32, 32), 10)
    expected = {
        "mlp": "head", "cnn": "head", "resnet": "fc", "wrn": "fc",
        "resnet18": "fc", "squeezenet1_1": "classifier.1", "swin_t": "head",
    }[name]  # fmt: skip
    assert found == {f"{expected}.weight", f"{expected}.bias"}


def test_a_model_that_computes_while_it_is_made_has_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    build = models.build

    def computing(*arguments: Any) -> torch.nn.Module:
        if torch.empty(0).is_meta:
            raise ModelUnavailable("Tensor.item() cannot be called on meta tensors")
        return build(*arguments)

    monkeypatch.setattr(models, "build", lambda *arguments, seed: computing(*arguments, seed))
    assert heads.names(Model("mlp"), 1, (8, 8), 10) == {"head.weight", "head.bias"}
    monkeypatch.setattr(models, "build", lambda model, channels, size, classes, seed: torch.nn.Linear(3, 3))
    with pytest.raises(ModelUnavailable, match="cannot be given a new head"):
        heads.names(Model("mlp"), 1, (8, 8), 10)


def test_two_teachers_share_what_they_were_pretrained_on(placed: run.Roots) -> None:
    full = prepare(placed, teacher=FROM_QUARTERS)
    (pretrained,) = stored(placed, "pretrained")
    made = pretrained.stat().st_mtime_ns
    head = prepare(placed, teacher=replace(FROM_QUARTERS, finetune="head"))
    other = prepare(placed, teacher=FROM_QUARTERS, data=Data("digits", split_seed=1, train_size=300))
    assert [path.stat().st_mtime_ns for path in stored(placed, "pretrained")] == [made]
    assert len({one.facts.fingerprint for one in (full, head, other)}) == 3
    assert full.facts.validation.accuracy > 0.5
    assert not torch.equal(full.train_logits, head.train_logits)
    scratch = prepare(placed, teacher=teacher(training=Training(2, 16)))
    assert not torch.equal(full.train_logits, scratch.train_logits)


def test_a_head_alone_leaves_the_rest_as_it_was(placed: run.Roots) -> None:
    prepare(placed, teacher=replace(FROM_QUARTERS, finetune="head"))
    before = weights.load(stored(placed, "pretrained")[0])
    (path,) = (placed.store / "teachers").rglob("weights-*.safetensors")
    after = weights.load(path)
    assert {name for name in after if not torch.equal(before[name], after[name])} == {"head.weight", "head.bias"}
    assert (before["head.weight"].shape[0], after["head.weight"].shape[0]) == (4, 10)
    fresh = models.build(FROM_QUARTERS.model or Model("cnn"), 1, (8, 8), 10, seed=0).state_dict()
    assert not torch.equal(after["head.weight"], fresh["head.weight"])
    full = prepare(placed, teacher=FROM_QUARTERS)
    part, said = full.test.open(PERMIT)
    assert said.shape == (len(part.labels), 10)


def test_what_is_there_is_not_made_again(placed: run.Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    one = prepare(placed, teacher=FROM_QUARTERS)
    monkeypatch.setattr(pretraining, "train_on_labels", None)  # a second pretraining would fail
    assert torch.equal(prepare(placed, teacher=FROM_QUARTERS).train_logits, one.train_logits)
    prepare(placed, teacher=replace(FROM_QUARTERS, label_smoothing=0.1))


def test_changed_other_data_are_not_taken_for_those_of_before(placed: run.Roots) -> None:
    one = prepare(placed, teacher=FROM_QUARTERS)
    lay(placed.data, seed=1)
    assert not torch.equal(prepare(placed, teacher=FROM_QUARTERS).train_logits, one.train_logits)
    assert len(stored(placed, "pretrained")) == 2
    os.remove(placed.data / "quarters.npz")
    with pytest.raises(DatasetMissing, match=r"quarters\.npz"):
        prepare(placed, teacher=FROM_QUARTERS)


def test_nobody_is_pretrained_on_what_judges_it(placed: run.Roots) -> None:
    own = replace(FROM_QUARTERS, pretrained_on=Pretraining(Data("digits", split_seed=3), Training(1, 16), SGD))
    with pytest.raises(DatasetInvalid, match="cannot be pretrained on digits"):
        prepare(placed, teacher=own)


def test_a_teacher_taken_early_is_that_of_the_whole_schedule(roots: run.Roots) -> None:
    """With a constant rate the first epochs are a training of their own; with a falling one they are not."""
    constant, cosine = Schedule("constant"), Schedule("cosine")

    def said(epochs: int, schedule: Schedule, stop: int | None) -> torch.Tensor:
        taught = teacher(training=Training(epochs, 16, schedule), stop_epoch=stop)
        return prepare(roots, teacher=taught).train_logits

    assert torch.equal(said(4, constant, 2), said(2, constant, None))
    assert not torch.equal(said(4, cosine, 2), said(2, cosine, None))
    assert not torch.equal(said(4, cosine, 2), said(4, cosine, None))


def test_other_data_of_npz_are_told_by_their_content(tmp_path: Path) -> None:
    lay(tmp_path)
    first = pretraining.stamp(quarters(), tmp_path)
    np.savez(tmp_path / "other.npz", images=np.zeros((4, 2, 2), np.uint8), labels=np.arange(4) % 2)
    assert pretraining.stamp(quarters(), tmp_path) == first
    lay(tmp_path, seed=1)
    assert pretraining.stamp(quarters(), tmp_path) != first
    assert pretraining.stamp(None, tmp_path) == pretraining.stamp(
        Pretraining(Data("digits"), Training(1, 1), SGD), tmp_path
    )


def test_an_ensemble_says_the_mean_of_what_its_members_say(placed: run.Roots) -> None:
    members = (teacher(training=Training(2, 16)), FROM_QUARTERS, teacher(model=Model("mlp"), training=Training(3, 16)))
    alone = [prepare(placed, teacher=member) for member in members]
    together = prepare(placed, teacher=Teacher("ensemble", members=members))
    for name in ("train_logits", "validation_logits"):
        mean = torch.stack([getattr(one, name) for one in alone]).double().mean(0)
        assert torch.allclose(getattr(together, name).double(), mean, atol=1e-5), name
    test = torch.stack([one.test.open(PERMIT)[1] for one in alone]).double().mean(0)
    assert torch.allclose(together.test.open(PERMIT)[1].double(), test, atol=1e-5)
    assert together.facts.fingerprint not in {one.facts.fingerprint for one in alone}


def test_an_ensembles_soft_targets_are_the_geometric_mean_of_its_members(placed: run.Roots) -> None:
    """At every T, as Hinton et al. form them (arXiv:1503.02531, section 1), from a formula of its own."""
    members = (teacher(training=Training(2, 16)), teacher(training=Training(2, 16), seed=1))
    alone = [prepare(placed, teacher=member).validation_logits.double() for member in members]
    together = prepare(placed, teacher=Teacher("ensemble", members=members)).validation_logits.double()
    for temperature in (0.5, 1.0, 4.0, 40.0):
        product = (alone[0] / temperature).softmax(-1) * (alone[1] / temperature).softmax(-1)
        geometric = product.sqrt() / product.sqrt().sum(-1, keepdim=True)
        assert torch.allclose((together / temperature).softmax(-1), geometric, atol=1e-6)


def test_members_are_trained_once_whoever_has_them(placed: run.Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = FROM_QUARTERS, teacher(training=Training(2, 16))
    prepare(placed, teacher=one)
    first = prepare(placed, teacher=Teacher("ensemble", members=(one, other)))
    assert len(list((placed.store / "teachers").rglob("weights-*.safetensors"))) == 2
    monkeypatch.setattr(supervised, "train_on_labels", None)  # training any of them again would fail
    again = prepare(placed, teacher=Teacher("ensemble", members=(other, one)))
    assert torch.equal(again.train_logits, first.train_logits)
    prepare(placed, teacher=other)


def test_an_ensemble_of_none_or_of_ensembles_is_refused(placed: run.Roots) -> None:
    nested = Teacher("ensemble", members=(Teacher("ensemble", members=(FROM_QUARTERS,)),))
    for wrong in (Teacher("ensemble"), nested):
        with pytest.raises(TeacherInvalid, match="members that are teachers of their own"):
            prepare(placed, teacher=wrong)


def test_an_ensembles_members_are_checked_before_any_is_trained(placed: run.Roots) -> None:
    unknown = Teacher("ensemble", members=(FROM_QUARTERS, teacher(model=Model("no_such_model"))))
    with pytest.raises(ModelUnavailable, match="no_such_model"):
        prepare(placed, teacher=unknown)
    assert not stored(placed, "teachers")
