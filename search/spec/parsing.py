"""How does a text become a job spec, and what does a spec look like: the way in, the schema and a commented default."""

from __future__ import annotations

import functools
import re
from typing import Any, Literal

from pydantic import ValidationError

from search.errors import FieldProblem, SpecInvalid
from search.spec import default, markup, validation_errors
from search.spec.fields import DOOR
from search.spec.job import JobSpec

STUDY_NOT_JOB = (
    "this is a study, which has a base job and factors: submit it with `thermowell study submit FILE`, or POST it to "
    "/v1/studies"
)
NOT_OURS = "this is a configuration of {0}, not a spec: make one of it with `thermowell spec from {0} FILE`"
MDISTILLER = {"DISTILLER", "SOLVER"}
"""Parts that each of mdistiller's files has."""
TORCHDISTILL = re.compile(r"^\s+[^#\n]*!import_(call|get)\b", re.MULTILINE)
"""Tags of torchdistill's files, which no spec has."""
SCHEMA_ID = "urn:thermowell:job-spec:1"


def parse_spec(text: str | bytes, media: Literal["json", "yaml"]) -> JobSpec:
    """The spec in a JSON or YAML text of at most 256 KiB.

    SpecInvalid names every field that is refused by its dotted path, says what is wrong and what is allowed, and in
    YAML on which line. More is refused than a stored spec is: see search.spec.fields.
    """
    content = markup.read_text(text)
    if media == "yaml" and TORCHDISTILL.search(content):
        raise SpecInvalid([FieldProblem("", NOT_OURS.format("torchdistill"), 1)])
    marked = markup.read_json(content) if media == "json" else markup.read_yaml(content)
    if not isinstance(marked.data, dict):
        raise SpecInvalid([FieldProblem("", "a spec is a group of fields (name, dataset, teacher, student, ...)", 1)])
    if {"base", "factors"} <= marked.data.keys():
        raise SpecInvalid([FieldProblem("", STUDY_NOT_JOB, 1)])
    if marked.data.keys() >= MDISTILLER:
        raise SpecInvalid([FieldProblem("", NOT_OURS.format("mdistiller"), 1)])
    try:
        return JobSpec.model_validate(marked.data, context=DOOR)
    except ValidationError as error:
        raise SpecInvalid(validation_errors.explain(error, marked)) from error


@functools.cache
def spec_json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a spec, for editors and other languages."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **JobSpec.model_json_schema(mode="validation"),
    }


def default_spec_yaml() -> str:
    """A commented spec that runs as it is; whatever it does not have to say, it says as it would be anyway."""
    return default.text()
