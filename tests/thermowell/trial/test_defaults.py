"""Default settings read off a spec are those that the service's own arithmetic gives."""

from __future__ import annotations

from typing import Any

import pytest

from search import configurations
from search.spec.job import SpaceSpec
from search.spec.parameters import default_of, temperatures
from search.states import Arm
from thermowell.trial import defaults
from trainers.spec import Configuration

SPACES: list[dict[str, Any]] = [
    {},
    {"temperature": {"low": 1, "high": 20}, "kd_weight": 0.5, "label_weight": 2.0},
    {"temperature": {"values": [1, 2, 8]}, "kd_weight": {"low": 0.1, "high": 0.9}},
    {
        "temperature": 3.0,
        "parameters": {
            "lr": {"low": 1e-5, "high": 1e-3, "log": True},
            "layers": {"low": 1, "high": 8, "integer": True},
            "batch": {"values": [16, 32, 64], "integer": True},
            "sizes": [8, 16],
            "pooling": ["cls", "mean"],
            "flag": {"choices": [True, False], "default": False},
            "t_hidden": {"low": 1, "high": 10, "temperature": True},
            "dropout": {"low": 0, "high": 0.5, "default": 0.1},
            "fixed": 7,
        },
    },
]


def middle(part: Any, log: bool = False) -> float:
    """Of a setting of the space itself: the number, the middle of the list, or of the range."""
    if isinstance(part, float):
        return part
    if hasattr(part, "values"):
        return float(part.values[len(part.values) // 2])
    return float(part.low**0.5 * part.high**0.5 if log else part.low / 2 + part.high / 2)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("arm", list(Arm))
def test_defaults_are_those_of_the_service(space: dict[str, Any], arm: Arm) -> None:
    spec = SpaceSpec.model_validate({**space, "optimizer": None})
    kd_weight = middle(spec.kd_weight)
    label_weight = 1 - kd_weight if spec.label_weight is None else middle(spec.label_weight)
    joint = Configuration(
        temperature=middle(spec.temperature, log=True),
        kd_weight=kd_weight,
        label_weight=label_weight,
        optimizer=None,
        parameters={name: default_of(part) for name, part in spec.parameters.items()},
    )
    expected = configurations.to_json(configurations.in_arm(joint, arm, further=temperatures(spec.parameters)))
    expected["parameters"] = dict(expected.get("parameters", {}))
    assert defaults.configuration_of({"space": {**space, "optimizer": None}}, str(arm)) == expected
