"""Every distillation term against its paper's definition, written out in numpy with 80 bits; its gradient, its limits,
extreme logits, and many students at once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.spec import Distillation
from trainers.training import losses, methods

Array = NDArray[np.longdouble]
RULES = {
    "kl": Distillation(),
    "zscore": Distillation("zscore", revision=2),
    "zscore of before": Distillation("zscore"),
    "dkd": Distillation("dkd", alpha=0.7, beta=8.0),
    "mse": Distillation("mse"),
    "dist": Distillation("dist", beta=2.0, gamma=3.0),
    "wsld": Distillation("wsld"),
}
ROWS, CLASSES = 7, 10


def softmax(z: Array, temperature: float) -> Array:
    powers = np.exp((z - z.max(-1, keepdims=True)) / np.longdouble(temperature))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def kl(p: Array, q: Array) -> Array:
    return np.asarray((p * np.log(p / q)).sum(-1))


def by_kl(zs: Array, zt: Array, y: NDArray[np.int64], tt: float, ts: float) -> float:
    return float(tt * ts * kl(softmax(zt, tt), softmax(zs, ts)).mean())


def by_zscore(zs: Array, zt: Array, y: NDArray[np.int64], tt: float, ts: float) -> float:
    zs, zt = ((z - z.mean(-1, keepdims=True)) / z.std(-1, keepdims=True, ddof=1) for z in (zs, zt))
    return by_kl(zs, zt, y, tt, ts)


def by_biased_zscore(zs: Array, zt: Array, y: NDArray[np.int64], tt: float, ts: float) -> float:
    zs, zt = ((z - z.mean(-1, keepdims=True)) / z.std(-1, keepdims=True) for z in (zs, zt))
    return by_kl(zs, zt, y, tt, ts)


def by_dkd(zs: Array, zt: Array, y: NDArray[np.int64], tt: float, ts: float) -> float:
    total = 0.0
    for p, q, label in zip(softmax(zt, tt), softmax(zs, ts), y, strict=True):
        p_rest, q_rest = np.delete(p, label), np.delete(q, label)
        binary = kl(np.array([p[label], p_rest.sum()]), np.array([q[label], q_rest.sum()]))
        total += float(0.7 * binary + 8 * kl(p_rest / p_rest.sum(), q_rest / q_rest.sum()))
    return float(tt * ts * total / len(y))


def by_mse(zs: Array, zt: Array, y: NDArray[np.int64], tt: float, ts: float) -> float:
    return float(((zs - zt) ** 2).sum() / zs.size)


def by_dist(zs: Array, zt: Array, y: NDArray[np.int64], tt: float, ts: float) -> float:
    def distance(u: Array, v: Array) -> float:
        covariance = ((u - u.mean()) * (v - v.mean())).mean()
        return float(1 - covariance / (u.std() * v.std()))

    p, q = softmax(zt, tt), softmax(zs, ts)
    inter = np.mean([distance(p[i], q[i]) for i in range(p.shape[0])])
    intra = np.mean([distance(p[:, k], q[:, k]) for k in range(p.shape[1])])
    return float(tt * ts * (2 * inter + 3 * intra))


def by_wsld(zs: Array, zt: Array, y: NDArray[np.int64], tt: float, ts: float) -> float:
    images = np.arange(len(y))
    ours, theirs = (-np.log(softmax(z, 1.0)[images, y]) for z in (zs, zt))
    factor = 1 - np.exp(-ours / (theirs + np.longdouble(1e-7)))
    return float(tt * ts * (factor * kl(softmax(zt, tt), softmax(zs, ts))).mean())


REFERENCES = {
    "kl": by_kl, "zscore": by_zscore, "zscore of before": by_biased_zscore, "dkd": by_dkd, "mse": by_mse,
    "dist": by_dist, "wsld": by_wsld,
}  # fmt: skip


def drawn(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    chance = np.random.default_rng(seed)
    return chance.normal(size=(ROWS, CLASSES)), 3 * chance.normal(size=(ROWS, CLASSES)), chance.integers(0, CLASSES, 7)


@pytest.mark.parametrize("temperatures", [(1.0, 1.0), (4.0, 4.0), (6.0, 1.0), (1.0, 3.0), (1e4, 1e4)])
@pytest.mark.parametrize("method", RULES)
def test_agrees_with_its_paper(method: str, temperatures: tuple[float, float]) -> None:
    for seed in range(3):
        zs, zt, y = drawn(seed)
        expected = REFERENCES[method](zs.astype(np.longdouble), zt.astype(np.longdouble), y, *temperatures)
        got = losses.term(RULES[method], torch.tensor(zs), torch.tensor(zt), torch.tensor(y), *temperatures)
        assert float(got) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_weighted_soft_labels_weigh_the_gradient_and_have_none_of_their_own() -> None:
    """Each image's gradient is that of plain KL, times 1 - exp(-student's / teacher's cross entropy)."""
    zs, zt, y = drawn(5)
    gradients = {}
    for method in ("kl", "wsld"):
        given = torch.tensor(zs, requires_grad=True)
        losses.term(RULES[method], given, torch.tensor(zt), torch.tensor(y), 4.0, 4.0).backward()  # type: ignore[no-untyped-call]
        assert given.grad is not None
        gradients[method] = given.grad.numpy()
    images = np.arange(ROWS)
    ours, theirs = (-np.log(softmax(z.astype(np.longdouble), 1.0)[images, y]) for z in (zs, zt))
    factor = 1 - np.exp(-ours / (theirs + np.longdouble(1e-7)))
    assert gradients["wsld"] == pytest.approx(gradients["kl"] * factor[:, None].astype(float), rel=1e-9)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 1e4])
@pytest.mark.parametrize("method", [name for name in RULES if name != "wsld"])  # which leaves a part of it out
def test_gradient_is_that_of_finite_differences(method: str, temperature: float) -> None:
    zs, zt, y = drawn(5)
    teacher, targets = torch.tensor(zt), torch.tensor(y)

    def value(student: Tensor) -> Tensor:
        return losses.term(RULES[method], student, teacher, targets, temperature, temperature)

    # at T = 1e4 a term is a parabola of which the factor T^2 leaves nine digits: wide steps are exact, narrow ones not
    step = 1e-6 if temperature < 100 else 1e-2
    torch.autograd.gradcheck(value, torch.tensor(zs, requires_grad=True), eps=step, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("method", RULES)
def test_extreme_logits_are_finite(method: str, dtype: torch.dtype) -> None:
    """+-1e4, against each other, alone, and where all classes are alike."""
    high = torch.full((4, 3), -1e4, dtype=dtype)
    high[torch.arange(4), torch.tensor([0, 1, 2, 0])] = 1e4
    cases = [(high, -high), (-high, high), (high, high), (torch.zeros_like(high), high), (high, torch.zeros_like(high))]
    for student, teacher in cases:
        for temperature in (0.1, 1.0, 1e4):
            given = student.clone().requires_grad_()
            value = losses.term(RULES[method], given, teacher, torch.tensor([0, 1, 1, 2]), temperature, temperature)
            value.backward()  # type: ignore[no-untyped-call]
            assert torch.isfinite(value)
            assert given.grad is not None
            assert torch.isfinite(given.grad).all()


@pytest.mark.parametrize("method", RULES)
def test_a_student_that_says_the_same_has_nothing_to_learn(method: str) -> None:
    zs, _, y = drawn(2)
    given = torch.tensor(zs, requires_grad=True)
    value = losses.term(RULES[method], given, torch.tensor(zs), torch.tensor(y), 3.0, 3.0)
    value.backward()  # type: ignore[no-untyped-call]
    assert given.grad is not None
    assert abs(float(value.detach())) < 1e-12
    assert float(given.grad.abs().max()) < 1e-12


def test_at_large_temperatures_kl_is_half_of_mse() -> None:
    """Kim et al. 2021: where both logits have the same mean."""
    zs, zt, y = drawn(3)
    zs, zt = (z - z.mean(-1, keepdims=True) for z in (zs, zt))
    pair = torch.tensor(zs), torch.tensor(zt), torch.tensor(y)
    kl_value, mse = (float(losses.term(RULES[name], *pair, 1e4, 1e4)) for name in ("kl", "mse"))
    assert kl_value == pytest.approx(mse / 2, rel=1e-3)


def test_decoupled_with_the_weight_of_all_others_is_kl() -> None:
    """Zhao et al. 2022: KL = TCKD + (1 - p of the target) NCKD."""
    zs, zt, y = drawn(4)
    student, teacher, targets = torch.tensor(zs), torch.tensor(zt), torch.tensor(y)
    rest = 1 - (teacher / 2.0).softmax(-1)[torch.arange(ROWS), targets]
    got = methods.dkd_loss(student, teacher, targets, 2.0, 2.0, 1.0, rest).mean()
    assert float(got) == pytest.approx(float(methods.distillation(student, teacher, 2.0, 2.0)), rel=1e-9)


VECTORISED: dict[str, Callable[..., Tensor]] = {
    "kl": lambda z, t, y, at, w: methods.distillation(z, t, at, at),
    "zscore": lambda z, t, y, at, w: methods.standardize_logits(z, t, at, at),
    "dkd": lambda z, t, y, at, w: methods.dkd_loss(z, t, y, at, at, w, 2 * w).mean(),
    "mse": lambda z, t, y, at, w: w * methods.logit_mse_loss(z, t),
    "dist": lambda z, t, y, at, w: methods.dist_loss(z, t, at, at, w, 2 * w),
    "wsld": lambda z, t, y, at, w: w * methods.weighted(z, t, y, at, at).mean(),
}


@pytest.mark.parametrize("method", VECTORISED)
def test_many_students_at_once(method: str) -> None:
    """Each lane with its own temperature and weight gets the value and the gradient that it gets alone."""
    zs = torch.tensor(np.stack([drawn(seed)[0] for seed in range(4)]))
    teacher, targets = torch.tensor(drawn(9)[1]), torch.tensor(np.stack([drawn(seed)[2] for seed in range(4)]))
    at, weight = torch.tensor([0.5, 1.0, 4.0, 30.0]).double(), torch.tensor([0.1, 1.0, 2.0, 8.0]).double()

    def one(z: Tensor, y: Tensor, t: Tensor, w: Tensor) -> Tensor:
        return VECTORISED[method](z, teacher, y, t, w)

    gradients, values = torch.func.vmap(torch.func.grad_and_value(one))(zs, targets, at, weight)
    for lane in range(4):
        gradient, value = torch.func.grad_and_value(one)(zs[lane], targets[lane], at[lane], weight[lane])
        assert float(values[lane]) == pytest.approx(float(value), rel=1e-12)
        assert torch.allclose(gradients[lane], gradient, rtol=1e-10, atol=1e-14)


def test_a_learned_temperature_ascends_what_the_student_descends() -> None:
    """1 + 20 sigmoid, as CTKD has it, and a gradient that is reversed and ramped."""
    position = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    at = methods.learned_temperature(position, 0.25)
    assert float(at.detach()) == pytest.approx(1 + 20 / (1 + np.exp(-0.3)), rel=1e-12)
    (at * 2).backward()  # type: ignore[no-untyped-call]
    sigmoid = 1 / (1 + np.exp(-0.3))
    assert float(position.grad or 0) == pytest.approx(-0.25 * 2 * 20 * sigmoid * (1 - sigmoid), rel=1e-9)
    assert [methods.reversal(epoch) for epoch in (5, 10, 99)] == pytest.approx([0.5, 1.0, 1.0])
    assert methods.reversal(1) == pytest.approx(0.5 - 0.5 * np.cos(0.1 * np.pi))


def test_of_mixed_images_the_labels_are_mixed() -> None:
    """Zhang et al. 2018: the loss of each of the two labels by its share; a share of one is the label alone."""
    zs, zt, y = drawn(6)
    student, teacher, own = torch.tensor(zs), torch.tensor(zt), torch.tensor(y)
    other, share = own.roll(1), torch.linspace(0, 1, ROWS, dtype=torch.float64)
    soft = share[:, None] * torch.eye(CLASSES).double()[own] + (1 - share[:, None]) * torch.eye(CLASSES).double()[other]
    expected = -(soft * student.log_softmax(-1)).sum(-1).mean()
    assert float(losses.labels(student, (own, other, share))) == pytest.approx(float(expected), rel=1e-12)
    for rule in RULES.values():
        whole = losses.term(rule, student, teacher, (own, other, torch.ones_like(share)), 2.0, 2.0)
        assert float(whole) == pytest.approx(float(losses.term(rule, student, teacher, own, 2.0, 2.0)), rel=1e-12)
