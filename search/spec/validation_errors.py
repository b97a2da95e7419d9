"""Explanations of a refused spec, field by field: dotted path, problem, what is allowed, and line."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from search.errors import FieldProblem
from search.spec.job import JobSpec
from search.spec.markup import LocatedDocument, Path, dotted_path

# Where a field may be one of several kinds, pydantic tries each and reports each; users are told once, of all.
_RANGE = "a number, a list of numbers, or a range (low, high and, for a logarithmic scale, log: true)"
_ARGUMENT = "a number, a word, true or false"
_PLAIN_KINDS = frozenset({"float", "int", "bool", "str"})
MOST_PROBLEMS = 100
"""Of a document so many are explained: each costs a search for what is near, and who has more has no spec."""
_KINDS = {
    "model_type": "a group of fields",
    "dict_type": "a group of fields",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "a word",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
}


def explain(error: ValidationError, marked: LocatedDocument) -> list[FieldProblem]:
    """The problems of a spec, one per field, in the order of the document."""
    messages: dict[Path, str] = {}
    for entry in error.errors(include_url=False):
        if len(messages) == MOST_PROBLEMS:
            break
        path, kind = _locate(entry["loc"], entry["type"], marked.data)
        value = _value_at(path, marked.data)
        if kind in _PLAIN_KINDS and isinstance(value, dict) and path[-2:-1] != ("arguments",):
            continue  # a range was meant, and its own problems say more
        listed = isinstance(value, list) and kind not in _PLAIN_KINDS  # a list was meant: its own problems say more
        if kind is not None and not isinstance(value, dict) and not listed:
            kinds = _ARGUMENT if path[-2:-1] == ("arguments",) else _RANGE
            messages.setdefault(path, f"must be {kinds}, got {_short(value)}")
        elif entry["type"] == "value_error":
            message = entry["msg"].removeprefix("Value error, ")
            messages.setdefault(_refine(path, message, marked.data), message)
        else:
            messages.setdefault(path, _message(entry, path, value))
    problems = [FieldProblem(dotted_path(path), message, _line(path, marked)) for path, message in messages.items()]
    problems.sort(key=lambda problem: problem.line or 0)
    if len(messages) == MOST_PROBLEMS:
        problems.append(
            FieldProblem(
                "", f"these are the first {MOST_PROBLEMS} problems: mend them and check again, there may be more"
            )
        )
    return problems


def allowed_fields(path: Path) -> list[str]:
    """The names that a spec's part at this path may have, in the order of the schema; empty where they are free."""
    return list(dict.fromkeys(name for node in _nodes(path) for name in node.get("properties", ())))


def _message(error: ErrorDetails, path: Path, value: Any) -> str:
    kind = error["type"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        allowed = allowed_fields(path[:-1])
        return f"unknown field; {_near(str(path[-1]), allowed)}allowed: {', '.join(allowed) or 'nothing'}"
    if kind == "literal_error":
        expected = error["ctx"]["expected"]
        near = _near(value.lower(), re.findall("'([^']*)'", expected)) if isinstance(value, str) else ""
        return f"must be {expected}, got {_short(value)}{near and f'; {near.strip()}'}"
    if kind in _KINDS:
        return f"must be {_KINDS[kind]}, got {_short(value)}"
    if kind == "string_pattern_mismatch":
        return f"must match {error['ctx']['pattern']}, got {_short(path[-1] if '[key]' in error['loc'] else value)}"
    return f"{error['msg'].replace('Input should be', 'must be', 1)}, got {_short(value)}"


def _locate(location: tuple[int | str, ...], kind: str, data: Any) -> tuple[Path, str | None]:
    """The part of the document that pydantic's location means, without the names of the kinds that it tried.

    Also the last such name, where the error is of the value itself and not of a part of it.
    """
    path: list[str | int] = []
    tried: str | None = None
    for index, part in enumerate(location):
        last = index == len(location) - 1
        in_group = isinstance(data, dict) and part in data
        if in_group or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            data, tried = data[part], None
        elif last and kind == "missing":
            tried = None
        else:
            tried = None if part == "[key]" else str(part)
            continue
        path.append(part)
    return tuple(path), tried


def _refine(path: Path, message: str, data: Any) -> Path:
    """A part's own checks begin their sentence with the field that they refuse: the path goes on to it."""
    unknown = re.match(r"unknown (model|data set|argument of \S+) '([^']*)'", message)
    if unknown:
        return (*path, "arguments", unknown[2]) if unknown[1].startswith("argument") else (*path, "name")
    word = tuple(re.match(r"[\w.]*", message)[0].split("."))  # type: ignore[index]
    if word[0] in allowed_fields(path):
        return (*path, *word)
    part = _value_at(path, data)
    arguments = part.get("arguments") if isinstance(part, dict) else None
    return (*path, "arguments", word[0]) if isinstance(arguments, dict) and word[0] in arguments else path


def _value_at(path: Path, data: Any) -> Any:
    for part in path:
        if isinstance(data, dict) and part in data:  # noqa: SIM114 (joined, the branches tell mypy too little)
            data = data[part]
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
        else:
            return None
    return data


def _line(path: Path, marked: LocatedDocument) -> int | None:
    """The line of the field, or of the nearest part around it that the document has."""
    lines = (marked.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in marked.lines)
    return next(lines, None)


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= 60 else f"{text[:57]}..."


def _near(word: str, candidates: Iterable[str]) -> str:
    matches = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return f"did you mean {matches[0]}? " if matches else ""


@functools.cache
def _schema() -> dict[str, Any]:
    return JobSpec.model_json_schema()


def _nodes(path: Path) -> list[dict[str, Any]]:
    nodes = list(_resolved(_schema()))
    for part in path:
        nodes = [inner for node in nodes for step in _inner(node, part) for inner in _resolved(step)]
    return nodes


def _inner(node: dict[str, Any], name: str | int) -> Iterator[dict[str, Any]]:
    """What a node's field of this name may be, or a list's part; of a group whose names are free, all of its fields."""
    if isinstance(name, int):
        yield from [node["items"]] if "items" in node else []
        return
    if name in node.get("properties", {}):
        yield node["properties"][name]
    elif isinstance(node.get("additionalProperties"), dict):
        yield node["additionalProperties"]
    yield from node.get("patternProperties", {}).values()


def _resolved(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema's alternatives, with references followed."""
    if "$ref" in node:
        yield from _resolved(_schema()["$defs"][node["$ref"].rsplit("/", 1)[1]])
    for alternative in (*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())):
        yield from _resolved(alternative)
    yield node
