"""Parsing of study specs from JSON or YAML, refused field by field, with the line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from search.errors import FieldProblem, SpecInvalid
from search.spec import markup
from search.spec.fields import DOOR
from search.spec.markup import LocatedDocument
from search.spec.validation_errors import MOST_PROBLEMS
from search.studies.cells import expand
from search.studies.spec import StudyExtension, StudySpec

JOB_NOT_STUDY = (
    "this is a job spec, which has no base and no factors: submit it with `thermowell submit FILE`, or POST it to "
    "/v1/jobs"
)
Asked = TypeVar("Asked", bound=BaseModel)


def parse_study(text: str | bytes, media: Literal["json", "yaml"]) -> StudySpec:
    """The study in a text of at most 256 KiB, every cell of it validated. SpecInvalid."""
    content = markup.read_text(text)
    data = (markup.read_json(content) if media == "json" else markup.read_yaml(content)).data
    if isinstance(data, dict) and "base" not in data and {"teacher", "student"} & data.keys():
        raise SpecInvalid([FieldProblem("", JOB_NOT_STUDY, 1)])
    study, marked = _read_model(text, media, StudySpec)
    try:
        expand(study)
    except SpecInvalid as error:
        raise SpecInvalid(_at_lines(error.problems, marked)) from None
    return study


def parse_extension(text: str | bytes, media: Literal["json", "yaml"]) -> StudyExtension:
    """What a study is to have besides. SpecInvalid."""
    return _read_model(text, media, StudyExtension)[0]


def _read_model(text: str | bytes, media: Literal["json", "yaml"], kind: type[Asked]) -> tuple[Asked, LocatedDocument]:
    content = markup.read_text(text)
    marked = markup.read_json(content) if media == "json" else markup.read_yaml(content)
    if not isinstance(marked.data, dict):
        raise SpecInvalid([FieldProblem("", f"must be a group of fields ({', '.join(kind.model_fields)})", 1)])
    try:
        return kind.model_validate(marked.data, context=DOOR), marked
    except ValidationError as error:
        raise SpecInvalid(_at_lines(_problems(error, kind, marked.data), marked)) from None


def _problems(error: ValidationError, kind: type[BaseModel], data: Any) -> list[FieldProblem]:
    """One for each field; of a field that may be one of several kinds, all that was tried is told in one sentence."""
    by_path: dict[str, list[str]] = {}
    for entry in error.errors(include_url=False):
        if len(by_path) == MOST_PROBLEMS:
            break
        path, inside = [], data
        for part in entry["loc"]:
            if isinstance(inside, dict) and part not in inside and entry["type"] != "missing":
                break
            if not isinstance(inside, dict | list):
                break
            path.append(str(part))
            inside = inside.get(part) if isinstance(inside, dict) else None
        message = entry["msg"].removeprefix("Value error, ").replace("Input should be", "must be", 1)
        if entry["type"] == "extra_forbidden" and len(path) == 1:
            message = f"unknown field; allowed: {', '.join(kind.model_fields)}"
        elif message.startswith("factors."):  # a check of the whole, which begins its sentence with the field
            field_path, _, message = message.partition(": ")
            path = [field_path]
        by_path.setdefault(".".join(path), []).append("is missing" if entry["type"] == "missing" else message)
    return [FieldProblem(path, ", or ".join(dict.fromkeys(messages))) for path, messages in by_path.items()]


def _at_lines(problems: Iterable[FieldProblem], marked: LocatedDocument) -> list[FieldProblem]:
    """The problems with the line of their field, or of the nearest part around it that the document has."""
    lines = {markup.dotted_path(path): line for path, line in marked.lines.items()}
    placed = []
    for problem in problems:
        path = problem.path
        while path and path not in lines:
            path = path.rpartition(".")[0]
        placed.append(FieldProblem(problem.path, problem.message, problem.line or lines.get(path)))
    return placed
