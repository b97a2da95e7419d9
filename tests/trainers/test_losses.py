"""The loss against an independent float64 reference, its gradient, its limits, and extreme logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trainers.training import losses

Array = NDArray[np.float64]


def softmax(z: Array) -> Array:
    shifted = np.exp(z - z.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def reference(zs: Array, zt: Array, y: Array, tt: float, ts: float, kd: float, label: float) -> float:
    """Straight from the definition, with scipy-free numpy."""
    p, q = softmax(zt / tt), softmax(zs / ts)
    kl = (p * (np.log(p) - np.log(q))).sum(-1).mean()
    cross = -np.log(softmax(zs)[np.arange(len(y)), y.astype(int)]).mean()
    return float(kd * tt * ts * kl + label * cross)


def logits(seed: int, rows: int = 7, classes: int = 10, scale: float = 3.0) -> Array:
    return np.random.default_rng(seed).normal(size=(rows, classes)) * scale


def ours(zs: Array, zt: Array, y: Array, tt: float, ts: float, kd: float, label: float, dtype: torch.dtype) -> float:
    value = losses.student_loss(
        torch.tensor(zs, dtype=dtype),
        torch.tensor(zt, dtype=dtype),
        torch.tensor(y),
        teacher_temperature=tt,
        student_temperature=ts,
        kd_weight=kd,
        label_weight=label,
    )
    return float(value)


@given(
    seed=st.integers(0, 2**31),
    tt=st.floats(0.5, 40),
    ts=st.floats(0.5, 40),
    kd=st.floats(0, 2),
    label=st.floats(0, 2),
)
def test_agrees_with_the_reference(seed: int, tt: float, ts: float, kd: float, label: float) -> None:
    zs, zt = logits(seed), logits(seed + 1)
    y = np.random.default_rng(seed).integers(0, 10, 7)
    expected = reference(zs, zt, y, tt, ts, kd, label)
    assert ours(zs, zt, y, tt, ts, kd, label, torch.float64) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 40.0])
def test_float32_is_close_to_the_reference(temperature: float) -> None:
    zs, zt, y = logits(1), logits(2), np.arange(7)
    expected = reference(zs, zt, y, temperature, temperature, 0.9, 0.1)
    assert ours(zs, zt, y, temperature, temperature, 0.9, 0.1, torch.float32) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 40.0])
def test_gradient_is_temperature_times_difference_of_probabilities(temperature: float) -> None:
    zs, zt = logits(3), logits(4)
    student = torch.tensor(zs, requires_grad=True)
    losses.distillation(student, torch.tensor(zt), temperature, temperature).backward()
    expected = temperature * (softmax(zs / temperature) - softmax(zt / temperature)) / len(zs)
    assert student.grad is not None
    np.testing.assert_allclose(student.grad.numpy(), expected, atol=1e-9)


def test_large_temperature_tends_to_squared_error_of_centred_logits() -> None:
    zs, zt = logits(5), logits(6)
    difference = (zs - zs.mean(-1, keepdims=True)) - (zt - zt.mean(-1, keepdims=True))
    limit = (difference**2).sum(-1).mean() / (2 * 10)
    value = losses.distillation(torch.tensor(zs), torch.tensor(zt), 1e4, 1e4)
    assert float(value) == pytest.approx(limit, rel=1e-3)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 40.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_extreme_logits_give_finite_loss_and_gradient(temperature: float, sign: float) -> None:
    teacher = torch.zeros(4, 10)
    teacher[:, 0] = 1e4
    student = torch.zeros(4, 10)
    student[:, 1] = sign * 1e4
    student.requires_grad_()
    value = losses.student_loss(
        student,
        teacher,
        torch.zeros(4, dtype=torch.int64),
        teacher_temperature=temperature,
        student_temperature=temperature,
        kd_weight=0.9,
        label_weight=0.1,
    )
    value.backward()
    assert student.grad is not None
    assert torch.isfinite(value)
    assert torch.isfinite(student.grad).all()


@given(seed=st.integers(0, 2**31), temperature=st.floats(0.1, 100))
def test_distance_is_never_negative_and_zero_between_equals(seed: int, temperature: float) -> None:
    zs, zt = torch.tensor(logits(seed)), torch.tensor(logits(seed + 7))
    assert losses.distillation(zs, zt, temperature, temperature) >= -1e-9
    assert abs(float(losses.distillation(zt, zt, temperature, temperature))) < 1e-9


def test_holds_under_vmap_for_a_temperature_per_student() -> None:
    students, teacher = torch.tensor(np.stack([logits(i) for i in range(3)])), torch.tensor(logits(9))
    temperatures = torch.tensor([1.0, 4.0, 16.0], dtype=torch.float64)
    together = torch.func.vmap(lambda z, t: losses.distillation(z, teacher, t, t))(students, temperatures)
    alone = [losses.distillation(z, teacher, float(t), float(t)) for z, t in zip(students, temperatures, strict=True)]
    torch.testing.assert_close(together, torch.stack(alone))


def test_smoothed_labels_mix_with_the_uniform() -> None:
    z, y = torch.tensor(logits(8)), torch.arange(7)
    plain = losses.labels(z, y)
    uniform = -torch.log_softmax(z, -1).mean()
    assert float(losses.labels(z, y, 0.1)) == pytest.approx(float(0.9 * plain + 0.1 * uniform), rel=1e-5)


def test_half_logits_of_the_teacher_are_widened_before_they_count() -> None:
    student, teacher = torch.tensor(logits(1), dtype=torch.float32), torch.tensor(logits(2)).half()
    wide = losses.distillation(student, teacher.float(), 3.0, 3.0)
    assert torch.equal(losses.distillation(student, teacher, 3.0, 3.0), wide)
    assert losses.distillation(student.double(), teacher, 3.0, 3.0).dtype == torch.float64
