"""Schedules as functions of the step, and optimizers by their settings."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers.spec import Configuration, Optimizer, Schedule, ScheduleName, Training
from trainers.training import optim

SGD = Optimizer("sgd", 0.1)


def test_constant_after_linear_warmup() -> None:
    training = Training(3, 8, Schedule("constant", warmup_epochs=1))
    assert [optim.factor(step, 4, training) for step in range(12)] == [0.25, 0.5, 0.75, 1.0] + [1.0] * 8


def test_cosine_starts_at_one_halves_in_the_middle_and_ends_near_zero() -> None:
    training = Training(10, 8, Schedule("cosine"))
    factors = [optim.factor(step, 10, training) for step in range(100)]
    assert factors[0] == 1.0
    assert factors[50] == pytest.approx(0.5)
    assert 0 < factors[-1] < 1e-3
    assert factors == sorted(factors, reverse=True)


def test_cosine_starts_where_warmup_ends() -> None:
    training = Training(4, 8, Schedule("cosine", warmup_epochs=2))
    assert optim.factor(9, 5, training) == 1.0
    assert optim.factor(10, 5, training) == 1.0
    assert optim.factor(15, 5, training) == pytest.approx(0.5)


def test_steps_fall_once_their_epoch_is_complete() -> None:
    training = Training(6, 8, Schedule("step", step_epochs=(2, 4), step_factor=0.1))
    by_epoch = [optim.factor(epoch * 3, 3, training) for epoch in range(6)]
    assert by_epoch == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert optim.factor(5, 3, training) == 1.0  # the last step of the second epoch


@given(
    name=st.sampled_from(["constant", "cosine", "step"]),
    epochs=st.integers(1, 50),
    warmup=st.integers(0, 49),
    steps=st.integers(1, 40),
)
def test_factor_is_always_in_zero_to_one(name: ScheduleName, epochs: int, warmup: int, steps: int) -> None:
    training = Training(epochs, 8, Schedule(name, min(warmup, epochs - 1), (1, epochs), 0.5))
    for step in range(epochs * steps):
        assert 0 < optim.factor(step, steps, training) <= 1


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (Optimizer("sgd", 0.1, 0.01, 0.9, True), torch.optim.SGD),
        (Optimizer("adam", 0.1, 0.01), torch.optim.Adam),
        (Optimizer("adamw", 0.1, 0.01), torch.optim.AdamW),
        (Optimizer("rmsprop", 0.1, 0.01, 0.9), torch.optim.RMSprop),
        (Optimizer("nadam", 0.1, 0.01), torch.optim.NAdam),
    ],
)
def test_settings_reach_the_optimizer(settings: Optimizer, kind: type[torch.optim.Optimizer]) -> None:
    made = optim.make([torch.nn.Parameter(torch.ones(2))], settings)
    assert type(made) is kind
    group = made.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.1, 0.01)
    if settings.name == "sgd":
        assert (group["momentum"], group["nesterov"]) == (0.9, True)
    if settings.name == "rmsprop":
        assert (group["momentum"], group["alpha"], group["eps"], group["centered"]) == (0.9, 0.99, 1e-8, False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nadam_s_momenta_are_torch_s_to_the_bit(dtype: torch.dtype) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        weight = torch.nn.Parameter(torch.ones(1))
        optimizer = optim.make([weight], Optimizer("nadam", 0.01))
        for steps in range(1, 40):
            weight.grad = torch.ones(1)
            optimizer.step()
            state = optimizer.state[weight]
            counted = optim.binding("nadam").count(steps, weight)  # type: ignore[misc]
            assert {name: float(value) for name, value in counted.items()} == {
                name: float(state[name]) for name in ("step", "mu_product")
            }
    finally:
        torch.set_default_dtype(before)


def test_lion_is_the_formula_of_its_paper() -> None:
    """Chen et al. 2023, arXiv:2302.06675, algorithm 2, written out for one weight over several steps."""
    gradients, rates, decay = [0.5, -0.2, -0.3, 0.0, -0.01, 4.0], [0.1, 0.2, 0.2, 0.1, 0.05, 0.01], 0.3
    weight, momentum = 1.0, 0.0
    given = torch.nn.Parameter(torch.tensor([weight], dtype=torch.float64))
    optimizer = optim.make([given], Optimizer("lion", 7.0, decay))
    for gradient, rate in zip(gradients, rates, strict=True):
        update = math.copysign(1.0, 0.9 * momentum + 0.1 * gradient)
        weight -= rate * (update + decay * weight)
        momentum = 0.99 * momentum + 0.01 * gradient
        optim.set_learning_rate(optimizer, rate)
        given.grad = torch.tensor([gradient], dtype=torch.float64)
        optimizer.step()
        assert float(given.detach()) == pytest.approx(weight, rel=1e-12)
        assert float(optimizer.state[given]["exp_avg"]) == pytest.approx(momentum, rel=1e-12)


def test_first_steps_are_those_of_the_formulas() -> None:
    for name, expected in {
        "sgd": 1 - 0.1 * (0.5 + 0.01),
        "adam": 1 - 0.1 * 0.51 / (math.sqrt(0.51**2) + 1e-8),
        "adamw": (1 - 0.1 * 0.01) - 0.1 * 0.5 / (0.5 + 1e-8),
    }.items():
        weight = torch.nn.Parameter(torch.ones(()))
        optimizer = optim.make([weight], Optimizer(name, 7.0, 0.01))  # type: ignore[arg-type]
        optim.set_learning_rate(optimizer, 0.1)
        (0.5 * weight).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        assert float(weight.detach()) == pytest.approx(expected, rel=1e-6)


def test_the_schedule_of_a_configuration_stands_above_the_training_s() -> None:
    training = Training(10, 32, Schedule("cosine", warmup_epochs=3))
    own = optim.training_of(
        training,
        Configuration(
            temperature=1.0, kd_weight=0.5, label_weight=0.5, optimizer=SGD, parameters={"warmup_share": 0.2}
        ),
    )
    assert [optim.factor(step, 1, own) for step in range(3)] == pytest.approx([0.5, 1.0, 1.0])
    ended = optim.training_of(
        training,
        Configuration(
            temperature=1.0, kd_weight=0.5, label_weight=0.5, optimizer=SGD, parameters={"final_factor": 0.1}
        ),
    )
    factors = [optim.factor(step, 10, ended) for step in range(100)]
    assert factors[30] == 1.0
    assert 0.1 < factors[-1] < 0.103
    other = Configuration(
        temperature=1.0, kd_weight=0.5, label_weight=0.5, optimizer=SGD, parameters={"label_smoothing": 0.1}
    )
    assert optim.training_of(training, other) is training
