"""Soft and several labels: their losses and metrics by definition, against scikit-learn and torch's own, and how data
come with them.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics
from torch import Tensor

from trainers import quality, teacher_inputs
from trainers.data import datasets, targets
from trainers.errors import DatasetInvalid
from trainers.spec import Classes, Data, TeacherFacts, TestPermit
from trainers.training import evaluate, losses, methods

CHANCE = torch.Generator().manual_seed(0)
LOGITS = torch.randn(40, 5, generator=CHANCE, dtype=torch.float64)
TEACHER = torch.randn(40, 5, generator=CHANCE, dtype=torch.float64)
TAGS = torch.rand(40, 5, generator=CHANCE) > 0.6
SHARES = torch.rand(40, 5, generator=CHANCE, dtype=torch.float64).softmax(-1)
ONE_HOT = F.one_hot(LOGITS.argmax(-1), 5)


def test_kinds_are_told_by_the_type() -> None:
    assert [targets.kind_of(labels) for labels in (ONE_HOT.argmax(-1), SHARES, TAGS)] == ["classes", "soft", "several"]


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_binary_divergence_is_that_of_each_labels_own_distribution(temperature: float) -> None:
    p, q = (logits / temperature for logits in (TEACHER, LOGITS))
    expected = torch.distributions.kl_divergence(
        torch.distributions.Bernoulli(logits=p), torch.distributions.Bernoulli(logits=q)
    )
    value = methods.binary_distillation(LOGITS, TEACHER, temperature, temperature)
    assert float(value) == pytest.approx(float(expected.mean()) * temperature**2, rel=1e-9)
    given = LOGITS.clone().requires_grad_()
    methods.binary_distillation(given, TEACHER, temperature, temperature).backward()  # type: ignore[no-untyped-call]
    gradient = temperature * (q.sigmoid() - p.sigmoid()) / LOGITS.numel()
    assert given.grad is not None
    assert torch.allclose(given.grad, gradient, rtol=1e-9)


def test_binary_divergence_is_finite_for_logits_that_are_sure() -> None:
    sure = torch.tensor([[200.0, -200.0]], requires_grad=True)
    value = methods.binary_distillation(sure, -sure.detach(), 1.0, 1.0)
    value.backward()  # type: ignore[no-untyped-call]
    assert math.isfinite(float(value.detach()))
    assert sure.grad is not None
    assert bool(sure.grad.isfinite().all())


def test_the_label_term_is_torchs_own() -> None:
    binary = F.binary_cross_entropy_with_logits(LOGITS, TAGS.double())
    assert float(losses.labels(LOGITS, TAGS)) == pytest.approx(float(binary), rel=1e-12)
    soft = F.cross_entropy(LOGITS, SHARES)
    assert float(losses.labels(LOGITS, SHARES)) == pytest.approx(float(soft), rel=1e-12)
    hard = losses.labels(LOGITS, ONE_HOT.argmax(-1))
    assert float(losses.labels(LOGITS, ONE_HOT.double())) == pytest.approx(float(hard), rel=1e-12)


@pytest.mark.parametrize("labels", [SHARES, TAGS, ONE_HOT.argmax(-1)], ids=["soft", "several", "classes"])
def test_smoothing_is_the_same_as_a_number_and_as_a_lanes_scalar(labels: Tensor) -> None:
    number = losses.labels(LOGITS, labels, 0.2)
    assert float(losses.labels(LOGITS, labels, torch.tensor(0.2))) == pytest.approx(float(number), rel=1e-6)


@pytest.mark.parametrize("labels", [SHARES, TAGS], ids=["soft", "several"])
def test_mixed_examples_have_both_labels_by_their_shares(labels: Tensor) -> None:
    partners, share = labels.roll(1, 0), torch.rand(40, generator=CHANCE, dtype=torch.float64)
    mixture = share[:, None] * labels.double() + (1 - share[:, None]) * partners.double()
    value = losses.labels(LOGITS, (labels, partners, share))
    own = F.cross_entropy if labels.is_floating_point() else F.binary_cross_entropy_with_logits
    assert float(value) == pytest.approx(float(own(LOGITS, mixture)), rel=1e-9)


def test_mean_average_precision_is_scikit_learns_with_ties_and_absent_labels() -> None:
    rounded = (LOGITS * 2).round() / 2
    labels = TAGS.clone()
    labels[:, 2] = False
    present = [0, 1, 3, 4]
    expected = metrics.average_precision_score(labels[:, present], rounded[:, present], average="macro")
    assert float(evaluate.mean_average_precision(rounded, labels)) == pytest.approx(expected, rel=1e-9)
    stacked = torch.stack((rounded, LOGITS))
    alone = [float(evaluate.mean_average_precision(part, labels)) for part in stacked]
    assert evaluate.mean_average_precision(stacked, labels).tolist() == pytest.approx(alone)
    nothing = torch.zeros(40, 5)
    prevalence = float(TAGS.double().mean())
    assert float(evaluate.mean_average_precision(nothing, TAGS)) == pytest.approx(prevalence)
    assert evaluate.chance(TAGS) == pytest.approx(prevalence)


def test_accuracy_of_several_labels_is_scikit_learns_of_whole_answers() -> None:
    decisions = LOGITS > 0
    assert float(evaluate.accuracy(LOGITS, TAGS)) == pytest.approx(metrics.accuracy_score(TAGS, decisions))
    likelihood = np.mean([metrics.log_loss(TAGS[:, i], LOGITS[:, i].sigmoid()) for i in range(5)])
    assert float(evaluate.nll(LOGITS, TAGS)) == pytest.approx(likelihood)
    flat = torch.stack((-LOGITS.flatten() / 2, LOGITS.flatten() / 2), -1)  # each label as a choice of two classes
    assert float(evaluate.ece(LOGITS, TAGS)) == pytest.approx(float(evaluate.ece(flat, TAGS.flatten().long())))
    assert float(evaluate.entropy(LOGITS, 3.0, "several")) == pytest.approx(float(evaluate.entropy(flat, 3.0)))
    assert float(evaluate.agreement(LOGITS, LOGITS, "several")) == 1


def test_who_answers_soft_labels_is_calibrated_and_right() -> None:
    logits = SHARES.log()
    assert float(evaluate.accuracy(logits, SHARES)) == 1
    assert float(evaluate.ece(logits, SHARES)) == pytest.approx(0, abs=1e-9)
    entropy = float(-(SHARES * SHARES.log()).sum(-1).mean())
    assert float(evaluate.nll(logits, SHARES)) == pytest.approx(entropy)


@pytest.mark.parametrize("labels", [SHARES, TAGS, ONE_HOT.argmax(-1)], ids=["soft", "several", "classes"])
def test_lanes_are_measured_as_each_alone(labels: Tensor) -> None:
    stacked = torch.stack((LOGITS, TEACHER))
    together = evaluate.measure_lanes(stacked, labels, TEACHER)
    for lane, logits in enumerate(stacked):
        alone = evaluate.measure(logits, labels, TEACHER, 4.0)
        for name, values in together.items():
            assert values[lane] == pytest.approx(getattr(alone, name))


def test_a_teacher_of_several_labels_is_judged_by_what_it_ranks() -> None:
    facts = TeacherFacts("", 5, 100, 400, evaluate.measure(LOGITS, TAGS, LOGITS, 1.0), chance=evaluate.chance(TAGS))
    assert quality.is_weak(facts)
    assert "mean average precision" in quality.weakness(facts)
    sure = evaluate.measure(TAGS.double() * 4 - 3, TAGS, LOGITS, 1.0)
    assert not quality.is_weak(TeacherFacts("", 5, 100, 400, sure, chance=evaluate.chance(TAGS)))


def npz(root: Path, labels: Any, **further: Any) -> Path:
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 4, 4), dtype=np.uint8)
    np.savez(root / "own.npz", images=images, labels=labels, **further)
    return root


@pytest.mark.parametrize("kind", ["soft", "several"])
def test_an_npz_file_has_rows_of_labels_where_the_spec_says_so(tmp_path: Path, kind: Any) -> None:
    rows = SHARES.numpy() if kind == "soft" else TAGS.int().numpy()
    split = datasets.load(Data("npz", path="own.npz", targets=kind), npz(tmp_path, rows))
    assert split.targets == kind
    assert (split.classes, len(split.train.labels), len(split.validation.labels)) == (5, 24, 8)
    test = datasets.load_test(Data("npz", path="own.npz", targets=kind), tmp_path, TestPermit("job", 1.0))
    assert len(test.labels) == 8
    together = torch.cat([part.labels for part in (split.train, split.validation, test)]).double().sum(0)
    assert torch.allclose(together, torch.from_numpy(rows).double().sum(0), atol=1e-5)
    with pytest.raises(DatasetInvalid, match="say dataset"):
        datasets.load(Data("npz", path="own.npz"), tmp_path)


def save_pieces(root: Path, pieces: list[dict[str, Any]]) -> None:
    (root / "pieces").mkdir()
    for number, arrays in enumerate(pieces):
        np.savez(root / "pieces" / f"{number}.npz", **arrays)


@pytest.mark.parametrize("kind", ["soft", "several"])
def test_rows_of_labels_are_joined_over_all_files_of_a_folder(tmp_path: Path, kind: Any) -> None:
    rows = SHARES.numpy() if kind == "soft" else TAGS.int().numpy()
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype=np.uint8)
    parts = {"val_images": images[:7], "val_labels": rows[:7], "test_images": images[7:12], "test_labels": rows[7:12]}
    np.savez(tmp_path / "own.npz", images=images, labels=rows, **parts)
    pieces = [slice(0, 15), slice(15, 22), slice(22, 40)]
    save_pieces(tmp_path, [*({"images": images[piece], "labels": rows[piece]} for piece in pieces), parts])
    alone, joined = (
        (datasets.load(data, tmp_path), datasets.load_test(data, tmp_path, TestPermit("job", 1.0)))
        for data in (Data("npz", path=path, targets=kind) for path in ("own.npz", "pieces"))
    )
    assert (joined[0].targets, joined[0].classes, len(joined[0].train.labels)) == (kind, 5, 40)
    assert joined[0].train.digest() == alone[0].train.digest()
    assert joined[0].validation.digest() == alone[0].validation.digest()
    assert joined[1].digest() == alone[1].digest()
    data = Data("npz", path="pieces", targets=kind)
    assert datasets.check_test(data, tmp_path, joined[0], tmp_path) == 5


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (TAGS[:9, :4].numpy(), r"labels of pieces/1.npz are bool \[4\], those of pieces/0.npz are bool \[5\]"),
        (TAGS[:8].numpy(), "labels of pieces/1.npz must be a row of numbers for each of 9 images"),
        (TAGS[:9].int().numpy() * 2, "must be 0 or 1, and those of example 40 are not"),
    ],
)
def test_files_whose_rows_are_not_alike_are_named(tmp_path: Path, rows: Any, words: str) -> None:
    assert TAGS[0].any()
    images = np.zeros((40, 4, 4), dtype=np.uint8)
    save_pieces(tmp_path, [{"images": images, "labels": TAGS.numpy()}, {"images": images[:9], "labels": rows}])
    with pytest.raises(DatasetInvalid, match=words):
        datasets.load(Data("npz", path="pieces", targets="several"), tmp_path)


@pytest.mark.parametrize(
    ("kind", "rows", "words"),
    [
        ("soft", SHARES.numpy() * 2, "sum to 1; those of example 0 sum to 2"),
        ("soft", SHARES.numpy() - 0.5, "sum to 1"),
        ("several", TAGS.numpy() * 2, "must be 0 or 1"),
        ("several", ONE_HOT.argmax(-1).numpy(), r"\[images, classes\]"),
        ("several", np.zeros((40, 5)), "no validation example has any label"),
    ],
)
def test_rows_that_cannot_be_meant_are_refused(tmp_path: Path, kind: Any, rows: Any, words: str) -> None:
    with pytest.raises(DatasetInvalid, match=words):
        datasets.load(Data("npz", path="own.npz", targets=kind), npz(tmp_path, rows))


def test_classes_that_are_brought_together_have_what_their_members_have(tmp_path: Path) -> None:
    coarse = Classes("map", map=(0, 0, 1, 1, 1))
    npz(tmp_path, SHARES.numpy())
    shares = datasets.load(Data("npz", path="own.npz", targets="soft", classes=coarse), tmp_path)
    assert torch.allclose(shares.train.labels.sum(-1), torch.ones(24))
    npz(tmp_path, TAGS.numpy())
    tags = datasets.load(Data("npz", path="own.npz", targets="several", classes=coarse), tmp_path)
    assert (tags.classes, tags.targets) == (2, "several")
    joined = np.stack((TAGS[:, :2].any(1), TAGS[:, 2:].any(1)), 1)
    assert np.array_equal(targets.merged(TAGS.numpy(), np.array(coarse.map)), joined)


@pytest.mark.parametrize("kind", ["soft", "several"])
def test_a_teacher_elsewhere_answers_for_rows_of_labels(tmp_path: Path, kind: Any) -> None:
    npz(tmp_path, SHARES.numpy() if kind == "soft" else TAGS.numpy())
    manifest = teacher_inputs.export(Data("npz", path="own.npz", targets=kind), 1, tmp_path, tmp_path / "out", False)
    manifest = json.loads(json.dumps(manifest))
    rows = SHARES.log() if kind == "soft" else TAGS.double() * 8 - 4
    tensors, lines = teacher_inputs.take(manifest, {"pool": rows})
    assert tensors["train"].shape == (1, 24, 5)
    assert "validation: 100.0% of 8 images right" in lines
    assert ("validation: mean average precision 100.0%" in lines) == (kind == "several")
    assert not any(line.startswith("caution") for line in lines)


def test_each_part_has_the_rare_labels() -> None:
    tags = np.zeros((100, 3), dtype=bool)
    tags[:, 0], tags[:10, 1], tags[50:54, 2] = True, True, True
    assert set(targets.strata(tags)[:10]) == {1}
    assert set(targets.strata(tags)[50:54]) == {2}
    assert targets.strata(np.zeros((2, 3), dtype=bool)).tolist() == [3, 3]
