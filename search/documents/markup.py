"""What does a YAML or JSON text hold, and on which line? Plain data alone: no aliases, no tags, no key twice."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from search.errors import FieldProblem, SpecInvalid

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Marked:
    """A document and the line, from 1, on which each of its parts begins; JSON has no lines here."""

    data: Any
    lines: Mapping[Path, int]


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema: `1e-3` is a number; `no`, `1:30` and `2026-01-01` are words."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - the base class declares it so


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), [*"tTfF"]
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$"), [*"-+0123456789"])
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    [*"-+0123456789."],
)


def read_text(text: str | bytes) -> str:
    """The text of a document, within limits; SpecInvalid otherwise."""
    size = len(text.encode(errors="surrogatepass") if isinstance(text, str) else text)
    if size > MAX_BYTES:
        raise _refused("", f"the document has {size} bytes; at most {MAX_BYTES} are read")
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused("", f"the document is not UTF-8: {error.reason} at byte {error.start}") from error


def read_json(text: str) -> Marked:
    """Strict JSON; SpecInvalid names the line of what is wrong, or the key that stands twice."""
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_number)
    except json.JSONDecodeError as error:
        raise _refused("", f"not JSON: {error.msg} (column {error.colno})", error.lineno) from error
    except RecursionError as error:
        raise _too_deep() from error
    _check_depth(data)
    return Marked(data, {})


def read_yaml(text: str) -> Marked:
    """One YAML document; SpecInvalid names the line of what is wrong."""
    try:
        depth = 0
        for event in yaml.parse(text, _Loader):  # events come one by one: nothing is built before it was looked at
            if isinstance(event, yaml.AliasEvent):
                raise _refused("", "aliases (*name) are not allowed; write it out", _line(event.start_mark))
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                raise _too_deep(_line(event.start_mark))
        loader = _Loader(text)
        node = loader.get_single_node()
        lines: dict[Path, int] = {}
        if node is not None:
            _walk(node, (), lines)
        return Marked(None if node is None else loader.construct_document(node), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _refused("", f"not YAML: {error.problem or error.context}", _line(mark)) from error
    except yaml.reader.ReaderError as error:
        raise _refused("", f"not YAML: {error.reason} at position {error.position}") from error
    except ValueError as error:  # an integer too long to be one
        raise _refused("", f"not YAML: {error}") from error


def _line(mark: Any) -> int | None:
    return None if mark is None else mark.line + 1


def dotted(path: Path) -> str:
    """A path as users write it: `space.temperature.low`, `training.schedule.step_epochs.0`."""
    return ".".join(str(part) for part in path)


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), lines)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise _refused(dotted(path), "keys must be words", line)
            inner = (*path, key.value)
            if inner in lines:
                raise _refused(dotted(inner), f"stands twice, first on line {lines[inner]}", line)
            lines[inner] = line
            _walk(value, inner, lines)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _refused(key, "stands twice in one object")
        found[key] = value
    return found


def _no_constant(name: str) -> Any:
    raise _refused("", f"{name} is not JSON, and no field takes it")


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < 100 else float(digits)


def _check_depth(data: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise _too_deep()
    for inner in data.values() if isinstance(data, dict) else data if isinstance(data, list) else ():
        _check_depth(inner, depth + 1)


def _too_deep(line: int | None = None) -> SpecInvalid:
    return _refused("", f"nested deeper than {MAX_DEPTH} levels", line)


def _refused(path: str, message: str, line: int | None = None) -> SpecInvalid:
    return SpecInvalid([FieldProblem(path, message, line)])
