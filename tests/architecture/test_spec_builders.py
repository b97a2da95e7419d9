"""The builders of specs are made of the JSON Schemas of jobs' and studies' specs and the registry's names.

`BUILDERS=write pytest tests/architecture/test_spec_builders.py` writes thermowell/spec.py and those beside it anew.
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
from search.studies.parsing import parse_extension, parse_study
from search.studies.spec import StudyExtension, StudySpec
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
STUDY = '"""Builders of studies: `StudySpec(name=..., base=Spec(...), factors={...})`; levels may be parts."""\n'
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
    "study": (["StudySpec", "StudyExtension"], STUDY),
}
OFFERING = ("spec",)  # modules that have the classes of those before them too
REGISTERED = {"DatasetSpec": list(DATASETS), "ModelSpec": list(MODELS), "StudentSpec": list(MODELS)}
KINDS = {  # beside those of the schema
    ("StudySpec", "base"): ["Spec"],
    ("StudySpec", "design"): ['Literal["full", "one_at_a_time"]'],
}
NAMES = {"JobSpec": "Spec", "StudySpec": "StudySpec"}
PLAIN = {"number": "float", "integer": "int", "string": "str", "boolean": "bool"}


def class_name(definition: str) -> str:
    return NAMES.get(definition, definition.removesuffix("Spec"))


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
        kinds = list(dict.fromkeys([*KINDS.get((definition, name), []), *type_of(field)]))
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
    schema, definitions = spec_json_schema(), dict[str, Any]()
    for name, described in (
        ("StudySpec", StudySpec.model_json_schema()),
        ("StudyExtension", StudyExtension.model_json_schema()),
        ("JobSpec", schema),
    ):
        definitions |= {**described.get("$defs", {}), name: described}
    texts, before = {}, dict[str, str]()
    for module, (roots, head) in MODULES.items():
        names = {name for root in roots for name in reached(root, definitions)} - before.keys()
        classes = "\n\n\n".join(source_of(name, definitions[name]) for name in sorted(names))
        shared = []
        for name, home in before.items():
            if module in OFFERING:
                shared.append(f"from thermowell.{home} import {class_name(name)} as {class_name(name)}")
            elif re.search(rf"\b{class_name(name)}\b", classes):
                shared.append(f"from thermowell.{home} import {class_name(name)}")
        text = NOTE + head + IMPORTS + "\n".join(sorted(shared)) + "\n\n\n" + classes + "\n"
        before |= dict.fromkeys(names, module)
        used = [] if module in OFFERING else ["--select", "F401"]
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


def test_a_study_in_python_is_the_study_in_yaml() -> None:
    from thermowell.spec import Dataset, OptimizerSpace, SgdSpace, Spec, Student, Teacher
    from thermowell.study import Design, StudyBudget, StudyExtension

    base = Spec(
        name="digits",
        dataset=Dataset(name="digits", train_size=200),
        teacher=Teacher(source="logits", artifact="a" * 64),
        student=Student(name="mlp", arguments={"width": 16}),
    )
    study = thermowell.StudySpec(
        name="lengths",
        base=base,
        factors={
            "training.epochs": [2, 3],
            "space.optimizer": {"plain": OptimizerSpace(sgd=SgdSpace()), "both": {"sgd": {}, "adamw": {}}},
        },
        design=Design(name="fractional", cells=3),
        budget=StudyBudget(trials=40, of="all cells"),
    )
    same = """
name: lengths
base:
  name: digits
  dataset: {name: digits, train_size: 200}
  teacher: {source: logits, artifact: AAA}
  student: {name: mlp, arguments: {width: 16}}
factors:
  training.epochs: [2, 3]
  space.optimizer: {plain: {sgd: {}}, both: {sgd: {}, adamw: {}}}
design: {name: fractional, cells: 3}
budget: {trials: 40, of: all cells}
""".replace("AAA", "a" * 64)
    content, media_type = document(study)
    assert media_type == "application/json"
    assert parse_study(content, "json") == parse_study(same, "yaml")
    by_word = thermowell.StudySpec(name="lengths", base=base, factors={"training.epochs": [2, 3]}, design="full")
    assert parse_study(document(by_word)[0], "json").design.name == "full"
    more = StudyExtension(factors={"training.epochs": [5]}, replicates=2)
    assert parse_extension(document(more)[0], "json").replicates == 2
    assert set(inspect.signature(thermowell.StudySpec).parameters) == StudySpec.model_fields.keys() - {"schema_version"}
