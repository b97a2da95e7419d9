"""The metrics against values worked out by hand and against naive code."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.training import evaluate


def certain(confidences: list[float]) -> torch.Tensor:
    """Two-class logits whose softmax is (c, 1 - c)."""
    return torch.tensor([[math.log(c), math.log(1 - c)] for c in confidences], dtype=torch.float64)


def test_by_hand() -> None:
    logits = certain([0.9, 0.8, 0.7, 0.6])
    labels = torch.tensor([0, 0, 1, 0])
    assert float(evaluate.accuracy(logits, labels)) == 0.75
    expected = -(math.log(0.9) + math.log(0.8) + math.log(0.3) + math.log(0.6)) / 4
    assert float(evaluate.nll(logits, labels)) == pytest.approx(expected)
    # every confidence has a bin to itself: mean of |right - confidence|
    assert float(evaluate.ece(logits, labels)) == pytest.approx((0.1 + 0.2 + 0.7 + 0.4) / 4)
    assert float(evaluate.agreement(logits, -logits)) == 0.0


def test_confidences_in_one_bin_are_averaged_before_comparing() -> None:
    logits = certain([0.75, 0.75, 0.75, 0.75])
    assert float(evaluate.ece(logits, torch.tensor([0, 0, 0, 1]))) == pytest.approx(0.0, abs=1e-9)


@given(st.integers(0, 2**31))
def test_calibration_error_agrees_with_naive_bins(seed: int) -> None:
    chance = np.random.default_rng(seed)
    logits, labels = chance.normal(size=(50, 4)) * 2, chance.integers(0, 4, 50)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    confidence, right = p.max(1), p.argmax(1) == labels
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert float(evaluate.ece(torch.tensor(logits), torch.tensor(labels))) == pytest.approx(expected, abs=1e-9)


def test_entropy_runs_from_zero_to_that_of_the_uniform() -> None:
    logits = torch.tensor([[5.0, 1.0, 0.0, -2.0]])
    entropies = [float(evaluate.entropy(logits, t)) for t in (1e-3, 1, 4, 40, 1e6)]
    assert entropies == sorted(entropies)
    assert entropies[0] == pytest.approx(0.0, abs=1e-9)
    assert entropies[-1] == pytest.approx(math.log(4))


def test_many_students_at_once_measure_as_one_does() -> None:
    logits, labels = torch.randn(3, 20, 5), torch.randint(0, 5, (20,))
    for measure in (evaluate.accuracy, evaluate.nll, evaluate.ece, evaluate.agreement):
        other = labels if measure is not evaluate.agreement else torch.randn(20, 5)
        together = measure(logits, other)
        torch.testing.assert_close(together, torch.stack([measure(one, other) for one in logits]))


def test_lanes_measure_as_each_student_does() -> None:
    chance = torch.Generator().manual_seed(5)
    logits = 3 * torch.randn(4, 50, 7, generator=chance)
    labels, teacher = torch.randint(0, 7, (50,), generator=chance), torch.randn(50, 7, generator=chance)
    measured = evaluate.measure_lanes(logits, labels, teacher)
    for lane, student in enumerate(logits):
        alone = evaluate.measure(student, labels, teacher, 4.0)
        for name, values in measured.items():
            assert values[lane] == pytest.approx(getattr(alone, name), rel=1e-12), name


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_diverged_logits_are_refused(bad: float) -> None:
    logits = torch.zeros(3, 2)
    logits[1, 0] = bad
    with pytest.raises(evaluate.NotFinite):
        evaluate.measure(logits, torch.tensor([0, 1, 0]), torch.zeros(3, 2), 1.0)


def test_huge_logits_are_still_measured() -> None:
    measured = evaluate.measure(torch.tensor([[1e4, -1e4]]), torch.tensor([1]), torch.tensor([[1e4, -1e4]]), 4.0)
    assert measured.nll == pytest.approx(2e4)
    assert measured.teacher_entropy == pytest.approx(0.0)
    assert measured.teacher_agreement == 1.0
