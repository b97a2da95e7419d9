"""Documents of the API against the service's own description, and requests of the client against its routes."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from service.app import create_app
from service.routes.openapi import V1_NAMES
from service.settings import Settings
from thermowell import drawing
from thermowell.api import advice, answers, configurations, guidance, jobs, keys, studies, trials, workers
from thermowell.sync import client
from thermowell.sync import studies as study_requests

# Under which name the description has what is ours; links are added by the service, for those who read JSON.
SCHEMAS = V1_NAMES | {"Job": "JobOut", "JobDetail": "JobDetailOut"}
LEFT_OUT = {"Job": {"links"}, "JobDetail": {"links"}}
MODULES = (advice, answers, configurations, guidance, jobs, keys, studies, trials, workers)
NOT_SENT = {"ArmFinalists", "FieldBeliefs", "Finalist", "Finalists", "Interim"}  # stored alone
IN_STREAMS = {"Event"}  # OpenAPI says nothing of what a stream's lines hold
DOCUMENTS = [
    kind
    for module in MODULES
    for kind in vars(module).values()
    if isinstance(kind, type)
    and (dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel))
    and kind.__module__ == module.__name__
    and kind.__name__ not in NOT_SENT | IN_STREAMS
]


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The service's OpenAPI document."""
    var = tmp_path_factory.mktemp("described")
    return dict(create_app(Settings.model_validate({"var": var})).openapi())


@pytest.mark.parametrize("kind", DOCUMENTS, ids=lambda kind: kind.__name__)
def test_documents_have_the_fields_of_their_schemas(kind: type, described: dict[str, Any]) -> None:
    schema = _schema(kind, described)
    hints = _fields(kind)
    assert set(hints) == set(schema["properties"]) - LEFT_OUT.get(kind.__name__, set())
    for name, hint in hints.items():
        assert _nullable(schema["properties"][name]) == (type(None) in _arms(hint)), name


def test_every_route_that_the_client_asks_exists(described: dict[str, Any]) -> None:
    requests = {*_routes(client), *_routes(study_requests)}
    assert len(requests) > 20, "the source is read as it should be"
    routes = {(method.upper(), path) for path, item in described["paths"].items() for method in item}
    assert requests <= routes


def test_formats_and_pictures_are_those_of_the_service(described: dict[str, Any]) -> None:
    for path, name, words in (
        ("/v1/jobs/{job_id}/export", "format", drawing.Format),
        ("/v1/jobs/{job_id}/report/{picture}.svg", "picture", drawing.Picture),
    ):
        [parameter] = [one for one in described["paths"][path]["get"]["parameters"] if one["name"] == name]
        assert set(typing.get_args(words)) == set(parameter["schema"]["enum"])


def _schema(kind: type, described: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = described["components"]["schemas"][SCHEMAS.get(kind.__name__, kind.__name__)]
    return schema


def _fields(kind: Any) -> dict[str, Any]:
    names = kind.model_fields if issubclass(kind, BaseModel) else kind.__dataclass_fields__
    return {name: hint for name, hint in typing.get_type_hints(kind).items() if name in names}


def _arms(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)


def _nullable(schema: dict[str, Any]) -> bool:
    return any(arm.get("type") == "null" for arm in schema.get("anyOf", []))


def _routes(module: types.ModuleType) -> Iterator[tuple[str, str]]:
    """Method and path of each request in a module, with its parts as the description names them."""
    names = {
        "_path(job)": "/jobs/{job_id}",
        "_path(study)": "/studies/{study_id}",
        "verb": None,
        "number": "{number}",
        "picture": "{picture}",
        "name": "{name}",
    }
    tree = ast.parse(inspect.getsource(module))
    for call in (
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ):
        kind, given = call.func.attr, call.args
        if kind == "request":
            method, path, base = ast.literal_eval(given[0]), given[1], ""
        elif kind in ("get", "post", "_pages") and ast.unparse(call.func.value) in ("self.http", "self"):
            method, path, base = "POST" if kind == "post" else "GET", given[0], "/v1"
        elif kind == "_move":
            method, path, base = "POST", given[1], "/v1/jobs/{job_id}/"
        else:
            continue
        parts = path.values if isinstance(path, ast.JoinedStr) else [path]
        words = [
            ast.literal_eval(part)
            if isinstance(part, ast.Constant)
            else names.get(ast.unparse(getattr(part, "value", part)))
            for part in parts
        ]
        if None not in words:  # `path` and `verb` are handed on: counted where they are named
            yield method, base + "".join(map(str, words))
