"""The builders of specs are made of the spec's JSON Schema and the registry's names.

`BUILDERS=write pytest tests/architecture/test_spec_builders.py` writes thermowell/spec.py anew.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import thermowell
from search.spec.job import JobSpec
from search.spec.parsing import default_spec_yaml, parse_spec, spec_json_schema
from thermowell.sending import document
from trainers.registry.datasets import DATASETS
from trainers.registry.models import MODELS

ROOT = Path(__file__).parents[2]
NOTE = "# Made of the schema and the registry by tests/architecture/test_spec_builders.py: write it anew there.\n"
SPEC = '''\
"""Builders of job specs, with completion: `Spec(name=..., dataset=Dataset(name=...), ...)`, to be submitted as it is.

What is not given is the service's default, and a part may be a dict as well, as in YAML. Names of plugins and of timm's
models are as good as those that are listed.
"""
'''
TEACHING = '"""Builders of teachers, students and the data that they learn from."""\n'
SPACE = '"""Builders of what a spec searches: ranges, lists and fixed values."""\n'
IMPORTS = """
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from thermowell.parts import Part
"""
MODULES = {
    "space": (["SpaceSpec"], SPACE),
    "teaching": (["TeacherSpec", "StudentSpec", "TrainingSpec"], TEACHING),
    "spec": (["JobSpec"], SPEC),
}
REGISTERED = {"DatasetSpec": list(DATASETS), "ModelSpec": list(MODELS), "StudentSpec": list(MODELS)}
PLAIN = {"number": "float", "integer": "int", "string": "str", "boolean": "bool"}


def class_name(definition: str) -> str:
    return "Spec" if definition == "JobSpec" else definition.removesuffix("Spec")


def type_of(schema: Mapping[str, Any]) -> Iterator[str]:
    """The types that a field's schema allows, null left out."""
    if "$ref" in schema:
        yield from (class_name(schema["$ref"].rpartition("/")[2]), "Mapping[str, Any]")
    elif "enum" in schema or "const" in schema:
        yield f"Literal[{', '.join(json.dumps(name) for name in schema.get('enum', [schema.get('const')]))}]"
    elif options := schema.get("anyOf") or schema.get("oneOf"):
        for option in options:
            yield from type_of(option)
    elif schema.get("type") == "array":
        items = schema.get("prefixItems", [schema.get("items", {})])
        kinds = dict.fromkeys(kind for item in items for kind in type_of(item))
        yield f"Sequence[{' | '.join(kinds)}]"
    elif schema.get("type") == "object":
        yield "Mapping[str, Any]"
    elif schema.get("type") != "null":
        yield PLAIN[schema["type"]]


def source_of(definition: str, schema: Mapping[str, Any]) -> str:
    """One class."""
    lines = ["@dataclass(kw_only=True)", f"class {class_name(definition)}(Part):"]
    words = [schema.get("description", class_name(definition)).split("\n\n")[0].replace("\n", " ")]
    told = [f"{name}: {field['description']}" for name, field in schema["properties"].items() if "description" in field]
    wrapped = [
        textwrap.wrap(text, 112, subsequent_indent="    " * bool(place)) for place, text in enumerate([*words, *told])
    ]
    flat = [line for group in wrapped for line in group]
    if len(flat) > 1:
        flat[len(wrapped[0]) :] = ["", *flat[len(wrapped[0]) :]] if told else flat[len(wrapped[0]) :]
        lines += [f'    """{flat[0]}', *(f"    {line}".rstrip() for line in flat[1:]), '    """', ""]
    else:
        lines += [f'    """{flat[0]}"""', ""]
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        if name == "schema_version":
            continue
        kinds = list(dict.fromkeys(type_of(field)))
        if name == "name" and definition in REGISTERED:
            kinds = [f"Literal[{', '.join(map(json.dumps, REGISTERED[definition]))}]", *kinds]
        lines.append(f"    {name}: {' | '.join(kinds)}" + ("" if name in required else " | None = None"))
    return "\n".join(lines)


def reached(definition: str, definitions: Mapping[str, Any]) -> set[str]:
    """A definition and all that its fields lead to."""
    names = {definition}
    for name in re.findall(r'"#/\$defs/(\w+)"', json.dumps(definitions[definition]["properties"])):
        names |= reached(name, definitions)
    return names


def written() -> dict[str, str]:
    """The modules by name, each with classes of those before it."""
    schema = spec_json_schema()
    definitions = {"JobSpec": {"properties": schema["properties"], **schema}, **schema["$defs"]}
    texts, before = {}, dict[str, str]()
    for module, (roots, head) in MODULES.items():
        names = {name for root in roots for name in reached(root, definitions)} - before.keys()
        shared = [
            f"from thermowell.{home} import {class_name(name)} as {class_name(name)}" for name, home in before.items()
        ]
        imports = IMPORTS + "\n".join(sorted(shared)) + "\n\n\n"
        text = (
            NOTE + head + imports + "\n\n\n".join(source_of(name, definitions[name]) for name in sorted(names)) + "\n"
        )
        before |= dict.fromkeys(names, module)
        used = [] if module == "spec" else ["--select", "F401"]  # the last one offers all
        for options in (["check", "--select", "I", *used, "--fix", "--quiet"], ["format", "--quiet"]):
            path = ROOT / "thermowell" / f"{module}.py"
            command = [sys.executable, "-m", "ruff", *options, "--stdin-filename", str(path), "-"]
            text = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
        texts[module] = text
    return texts


def test_builders_are_made_of_the_schema() -> None:
    for module, expected in written().items():
        target = ROOT / "thermowell" / f"{module}.py"
        if os.environ.get("BUILDERS") == "write":
            target.write_text(expected)
        assert target.read_text() == expected


def test_a_spec_in_python_is_the_spec_in_yaml() -> None:
    from thermowell.spec import (
        AdamSpace,
        Budget,
        Dataset,
        FixedOptimizer,
        Model,
        OptimizerSpace,
        Range,
        Space,
        Spec,
        Student,
        Teacher,
        Training,
    )

    spec = Spec(
        name="digits",
        labels={"team": "vision"},
        dataset=Dataset(name="digits", train_size=200),
        teacher=Teacher(
            model=Model(name="mlp", arguments={"width": 32}),
            training=Training(epochs=3),
            optimizer=FixedOptimizer(name="adamw", learning_rate=0.01),
        ),
        student=Student(name="mlp", arguments={"width": 16}),
        training={"epochs": 4},
        space=Space(temperature=Range(low=1, high=8, log=True), optimizer=OptimizerSpace(adamw=AdamSpace())),
        budget=Budget(trials=4),
        confirmation="quick",
    )
    content, media_type = document(spec)
    assert media_type == "application/json"
    same = """
name: digits
labels: {team: vision}
dataset: {name: digits, train_size: 200}
teacher:
  model: {name: mlp, arguments: {width: 32}}
  training: {epochs: 3}
  optimizer: {name: adamw, learning_rate: 0.01}
student: {name: mlp, arguments: {width: 16}}
training: {epochs: 4}
space: {temperature: {low: 1, high: 8, log: true}, optimizer: {adamw: {}}}
budget: {trials: 4}
confirmation: quick
"""
    assert JobSpec.model_validate(json.loads(content)) == parse_spec(same, "yaml")


def test_every_field_of_the_default_spec_can_be_built() -> None:
    stated = yaml.safe_load(default_spec_yaml())
    stated.pop("schema_version")
    assert thermowell.Spec(**stated).document() == stated


def test_what_is_no_field_is_refused_at_once_and_what_is_one_is_offered() -> None:
    with pytest.raises(TypeError, match="budgets"):
        thermowell.Spec(name="x", budgets=1)  # type: ignore[call-arg]
    assert {"dataset", "teacher", "student", "budget"} <= set(inspect.signature(thermowell.Spec).parameters)
    assert "Spec" in dir(thermowell)
