"""The catalogue is torch-free, agrees with the registries, and refuses what is not in it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainers import catalogue, spec


def test_needs_no_torch() -> None:
    code = "import sys, trainers.catalogue; assert not {'torch', 'torchvision', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_torchvision_names_are_those_of_the_registry() -> None:
    import torchvision

    registry = set(torchvision.models.list_models(module=torchvision.models))
    assert set(catalogue.TORCHVISION_MODELS) == registry


def test_vocabulary_agrees_with_the_spec() -> None:
    assert set(catalogue.OPTIMIZERS) == set(get_args(spec.OptimizerName))
    assert set(catalogue.SCHEDULES) == set(get_args(spec.ScheduleName))
    assert set(catalogue.AUGMENTATIONS) == set(get_args(spec.AugmentationName))
    assert set(catalogue.OBJECTIVES) <= set(spec.Metrics.__dataclass_fields__)
    fields = set(spec.Optimizer.__dataclass_fields__) - {"name"}
    assert set(catalogue.OPTIMIZERS["sgd"]) == fields


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("mlp", {}),
        ("mlp", {"width": 32, "depth": 2, "dropout": 0.1}),
        ("cnn", {"dropout": 0}),
        ("resnet", {"depth": 32, "width": 4}),
        ("resnet", {"depth": 110}),
        ("wrn", {"depth": 28, "width": 4}),
        ("resnet18", {}),
        ("timm:resnet10t", {}),
    ],
)
def test_known_models_pass(name: str, arguments: dict[str, spec.Argument]) -> None:
    assert catalogue.check_model(name, arguments) == []


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("resnet81", {}, "did you mean"),
        ("MLP", {}, "did you mean mlp"),
        ("efficientnet-b0", {}, "efficientnet_b0"),
        ("qwertyuiop", {}, "there are mlp"),
        ("timm:", {}, "unknown model"),
        ("timm:resnet10t", {"depth": 3}, "takes no arguments"),
        ("resnet18", {"depth": 3}, "takes no arguments"),
        ("mlp", {"widht": 3}, "did you mean width"),
        ("mlp", {"width": 0}, "between 1 and"),
        ("mlp", {"width": 3.5}, "whole number"),
        ("mlp", {"width": True}, "whole number"),
        ("mlp", {"width": "3"}, "whole number"),
        ("mlp", {"dropout": 1.0}, "between 0 and 0.95"),
        ("mlp", {"dropout": float("nan")}, "must be a number"),
        ("resnet", {"depth": 18}, "8, 14, 20, 26, ..."),
        ("wrn", {"depth": 17}, "10, 16, 22, 28, ..."),
    ],
)
def test_unknown_models_and_arguments_are_refused(name: str, arguments: dict[str, spec.Argument], words: str) -> None:
    problems = catalogue.check_model(name, arguments)
    assert len(problems) == 1
    assert words in problems[0]


def test_data_sets() -> None:
    assert catalogue.check_dataset("digits") == []
    assert "did you mean MNIST" in catalogue.check_dataset("mnist")[0]
    assert "CIFAR100" in catalogue.check_dataset("cifar-100")[0]


def test_description_is_json_and_names_everything() -> None:
    described = json.loads(json.dumps(catalogue.describe(), allow_nan=False))
    assert {entry["name"] for entry in described["models"]} == {*catalogue.MODELS, *catalogue.TORCHVISION_MODELS}
    assert {entry["name"] for entry in described["datasets"]} == set(catalogue.DATASETS)


def test_defaults_are_allowed_and_completed() -> None:
    for name in catalogue.MODELS:
        completed = catalogue.model_arguments(name, {})
        assert catalogue.check_model(name, completed) == []
    assert catalogue.model_arguments("mlp", {"width": 5})["width"] == 5


@given(st.text(), st.dictionaries(st.text(), st.one_of(st.integers(), st.floats(), st.text(), st.booleans())))
def test_any_text_is_answered(name: str, arguments: dict[str, spec.Argument]) -> None:
    for problem in (*catalogue.check_model(name, arguments), *catalogue.check_dataset(name)):
        assert problem
