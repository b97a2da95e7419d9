"""The description's examples of trials over HTTP: each route has some, and each is what the route takes or answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from service.app import create_app
from service.routes.training_examples import EXAMPLES
from service.settings import Settings


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return create_app(Settings(var=tmp_path_factory.mktemp("var"))).openapi()


def contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The JSON that an operation takes, and that it answers with where all is well."""
    parts = [operation.get("requestBody", {}), *(operation["responses"].get(status, {}) for status in ("200", "201"))]
    for part in parts:
        if "application/json" in part.get("content", {}):
            yield part["content"]["application/json"]


def test_every_route_of_trainings_has_examples_that_are_what_it_says(description: dict[str, Any]) -> None:
    shown = set()
    for item in description["paths"].values():
        for operation in item.values():
            if operation.get("tags") != ["training"]:
                continue
            for content in contents(operation):
                shown.add(operation["operationId"])
                assert content["examples"], operation["operationId"]
                schema = content["schema"] | {"components": description["components"]}
                for example in content["examples"].values():
                    jsonschema.validate(example["value"], schema)
            for parameter in operation.get("parameters", []):
                assert parameter["name"] != "Lease-Token" or parameter["example"]
    assert shown == set(EXAMPLES)


def test_an_example_that_is_none_would_be_seen(description: dict[str, Any]) -> None:
    schema = {"$ref": "#/components/schemas/ClaimRequest", "components": description["components"]}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"queue": "q"}, schema)
