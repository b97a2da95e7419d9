"""Dropout's masks: the right share, a function of seed, step and layer alone, and the same under vmap."""

from __future__ import annotations

import pytest
import torch

from trainers.spec import Model
from trainers.zoo import dropout, models


def mask(p: float, seed: int = 1, step: int = 0, layer: int = 0, shape: tuple[int, ...] = (100, 200)) -> torch.Tensor:
    module = dropout.HashedDropout(p)
    module.layer = layer
    dropout.set_key([module], seed, step)
    return module(torch.ones(shape))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_drops_its_share_and_keeps_the_mean(p: float) -> None:
    kept = mask(p)
    assert float((kept == 0).double().mean()) == pytest.approx(p, abs=0.01)
    assert float(kept.mean()) == pytest.approx(1.0, abs=0.05)
    rows = (kept == 0).double().mean(1)
    assert float(rows.std()) == pytest.approx((p * (1 - p) / 200) ** 0.5, rel=0.3)  # as independent draws would be


def test_masks_differ_by_seed_step_and_layer_and_are_uncorrelated() -> None:
    masks = [mask(0.5), mask(0.5, step=1), mask(0.5, seed=2), mask(0.5, layer=1)]
    for i, one in enumerate(masks):
        for other in masks[:i]:
            same = float((one == other).double().mean())
            assert same == pytest.approx(0.5, abs=0.02)


def test_global_state_neither_matters_nor_changes() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = mask(0.5)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, mask(0.5))


def test_nothing_is_dropped_in_evaluation() -> None:
    module = dropout.HashedDropout(0.5).eval()
    assert torch.equal(module(torch.ones(5)), torch.ones(5))


def test_stacked_students_drop_what_each_would_drop_alone() -> None:
    alone = [models.build(Model("mlp", {"width": 8, "dropout": 0.5}), 1, (4, 4), 3, seed) for seed in (1, 2, 3)]
    x = torch.randn(3, 6, 1, 4, 4)
    expected = []
    for i, model in enumerate(alone):
        dropout.set_key(dropout.layers(model), seed=10 + i, step=i)
        expected.append(model(x[i]))
    parameters, buffers = torch.func.stack_module_state(alone)  # type: ignore[no-untyped-call]
    assert any(name.endswith(".key") for name in buffers)

    def one(p: object, b: object, images: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = torch.func.functional_call(alone[0], (p, b), (images,))  # type: ignore[arg-type]
        return answer

    together = torch.func.vmap(one)(parameters, buffers, x)
    torch.testing.assert_close(together, torch.stack(expected))


def test_torchvision_s_random_layers_are_replaced() -> None:
    model = models.build(Model("efficientnet_b0"), 3, (32, 32), 10, seed=0)
    kinds = {type(module).__name__ for module in model.modules()}
    assert not kinds & {"Dropout", "StochasticDepth"}
    numbers = [layer.layer for layer in dropout.layers(model)]
    assert numbers == list(range(len(numbers)))
    dropout.set_key(dropout.layers(model), 1, 1)
    x = torch.randn(4, 3, 32, 32)
    torch.manual_seed(1)
    first = model(x)
    torch.manual_seed(2)
    assert torch.equal(first, model(x))
