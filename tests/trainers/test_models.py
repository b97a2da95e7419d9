"""Every model answers logits for its images; its weights depend on the seed alone."""

from __future__ import annotations

import pytest
import torch

from trainers.errors import ModelUnavailable
from trainers.spec import Argument, Model
from trainers.zoo import models

OWN = [
    ("mlp", {"width": 8, "depth": 2, "dropout": 0.2}),
    ("cnn", {"width": 4, "depth": 4}),
    ("resnet", {"depth": 8, "dropout": 0.1}),
    ("wrn", {"depth": 10, "width": 1, "dropout": 0.1}),
    ("efficientnet_lite", {"variant": 0, "dropout": 0.1}),
]


@pytest.mark.parametrize(("name", "arguments"), OWN)
@pytest.mark.parametrize(("channels", "size"), [(1, (8, 8)), (3, (32, 32)), (3, (12, 9))])
def test_own_models_take_small_images(
    name: str, arguments: dict[str, Argument], channels: int, size: tuple[int, int]
) -> None:
    models.check(Model(name, arguments), channels, size, 7)
    model = models.build(Model(name, arguments), channels, size, 7, seed=0)
    model(torch.randn(4, channels, *size)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(("name", "arguments"), OWN)
def test_weights_depend_on_the_seed_alone(name: str, arguments: dict[str, Argument]) -> None:
    built = []
    for seed, noise in ((1, 5), (1, 6), (2, 5)):
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        built.append(models.build(Model(name, arguments), 1, (8, 8), 10, seed).state_dict())
        assert torch.equal(before, torch.get_rng_state())
    one, again, other = built
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("model", "classes", "parameters"),
    [
        # as reported for these networks: CIFAR-100's student, He et al.'s table 6, and the WRN paper's table 4
        (Model("resnet", {"depth": 8, "width": 4}), 100, 1.23e6),
        (Model("resnet", {"depth": 32, "width": 4}), 100, 7.43e6),
        (Model("resnet", {"depth": 20}), 10, 0.27e6),
        (Model("resnet", {"depth": 56}), 10, 0.85e6),
        (Model("wrn", {"depth": 16, "width": 2}), 100, 0.70e6),
        (Model("wrn", {"depth": 40, "width": 1}), 10, 0.6e6),
        (Model("wrn", {"depth": 28, "width": 10}), 10, 36.5e6),
        *((Model("efficientnet_lite", {"variant": i}), 1000, size) for i, size in enumerate((4.7e6, 5.4e6, 6.1e6))),
        *((Model("efficientnet_lite", {"variant": i + 3}), 1000, size) for i, size in enumerate((8.2e6, 13e6))),
    ],
)
def test_sizes_are_those_of_the_papers(model: Model, classes: int, parameters: float) -> None:
    assert count(models.build(model, 3, (32, 32), classes, seed=0)) == pytest.approx(parameters, rel=0.07)


def test_torchvision_models_take_grey_images_under_their_usual_names() -> None:
    import torchvision

    usual = torchvision.models.resnet18(num_classes=5).state_dict()
    model = models.build(Model("resnet18"), 1, (32, 32), 5, seed=0)
    assert {key: value.shape for key, value in model.state_dict().items()} == {k: v.shape for k, v in usual.items()}
    models.check(Model("resnet18"), 1, (32, 32), 5)


@pytest.mark.parametrize("name", ["squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small", "vit_b_32"])
def test_other_families_of_torchvision(name: str) -> None:
    models.check(Model(name), 3, (64, 64), 6)


@pytest.mark.parametrize(
    ("model", "channels", "size", "words"),
    [
        (Model("mpl"), 1, (8, 8), "did you mean"),
        (Model("mlp", {"width": -1}), 1, (8, 8), "between 1"),
        (Model("timm:resnet10t"), 3, (32, 32), "timm"),
        (Model("alexnet"), 3, (8, 8), "does not take 3-channel images of 8 x 8"),
        (Model("vit_b_16"), 3, (30, 30), "cannot be made"),
        (Model("resnet18"), 2, (32, 32), "1 or 3 channels"),
    ],
)
def test_what_cannot_be_had_is_refused(model: Model, channels: int, size: tuple[int, int], words: str) -> None:
    if model.name.startswith("timm:") and models.has_timm():
        model = Model("timm:no_such_model")
    with pytest.raises(ModelUnavailable, match=words):
        models.check(model, channels, size, 10)
