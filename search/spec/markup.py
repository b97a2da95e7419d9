"""YAML and JSON text as plain data with line numbers: no aliases, no tags, no duplicate keys."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from search.errors import FieldProblem, SpecInvalid

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_NODES = 20_000
MAX_DIRECTIVES = 8
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class LocatedDocument:
    """A document and the line, from 1, on which each of its parts begins; JSON has no lines here."""

    data: Any
    lines: Mapping[Path, int]


# YAML 1.2's core schema: `1e-3` is a number; `no`, `1:30` and `2026-01-01` are words.
_PLAIN: Sequence[tuple[str, re.Pattern[str]]] = (
    ("null", re.compile(r"(?:~|null|Null|NULL|)")),
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)")),
    ("int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)")),
    ("float", re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")),
)
_PLAIN_BEGIN = frozenset("~nNtTfF-+.0123456789")
_TAG = "tag:yaml.org,2002:"
_Events: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser, ten times as fast, where PyYAML was built with it."""


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


def read_json(text: str) -> LocatedDocument:
    """Strict JSON; SpecInvalid names the line of what is wrong, or the key that stands twice."""
    try:
        data = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_number)
    except json.JSONDecodeError as error:
        raise _refused("", f"not JSON: {error.msg} (column {error.colno})", error.lineno) from error
    except RecursionError as error:
        raise _too_deep() from error
    _check_size(data)
    return LocatedDocument(data, {})


def read_yaml(text: str) -> LocatedDocument:
    """One YAML document; SpecInvalid names the line of what is wrong.

    Read in one pass over the parser's events: nothing is built of what is too deep, too much or refused.
    """
    if text.count("\n%") > MAX_DIRECTIVES:
        raise _refused("", f"more than {MAX_DIRECTIVES} lines begin with % (directives); leave them out")
    reader = _YamlReader()
    try:
        for event in yaml.parse(text, _Events):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        line = _line(error.problem_mark or error.context_mark)
        last = text.rstrip().count("\n") + 1  # the end is on a line of its own for libyaml
        raise _refused("", f"not YAML: {error.problem or error.context}", line and min(line, last)) from error
    except yaml.reader.ReaderError as error:
        raise _refused("", f"not YAML: {error.reason} at position {error.position}") from error
    except ValueError as error:  # an integer too long to be one
        raise _refused("", f"not YAML: {error}") from error
    return LocatedDocument(reader.data, reader.lines)


class _YamlReader:
    """Builds plain data, and the line of each of its parts, of a parser's events."""

    def __init__(self) -> None:
        self.data: Any = None
        self.lines: dict[Path, int] = {}
        self._open: list[_Group] = []
        self._nodes = 0
        self._documents = 0

    def take(self, event: yaml.Event) -> None:
        """The next event. SpecInvalid; ValueError for a number that is none."""
        line = _line(event.start_mark) or 1
        if isinstance(event, yaml.AliasEvent):
            raise _refused("", "aliases (*name) are not allowed; write it out", line)
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _refused("", "not YAML: another document begins here, and one is read: leave the rest out", line)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
        elif isinstance(event, yaml.NodeEvent):
            self._nodes += 1
            if self._nodes > MAX_NODES:
                raise _too_much(line)
            group = self._open[-1] if self._open else None
            if group is not None and isinstance(group.items, dict) and group.key is None:
                self._name(group, event, line)
            else:
                self._put(group, event, line)

    def _name(self, group: _Group, event: yaml.NodeEvent, line: int) -> None:
        """Takes a key, of which the value comes next."""
        key = _scalar(event) if isinstance(event, yaml.ScalarEvent) else None
        if not isinstance(key, str):
            raise _refused(dotted_path(group.path), "keys must be words", line)
        inner = (*group.path, key)
        if inner in self.lines:
            raise _refused(dotted_path(inner), f"stands twice, first on line {self.lines[inner]}", line)
        self.lines[inner] = line
        group.key = key

    def _put(self, group: _Group | None, event: yaml.NodeEvent, line: int) -> None:
        """Puts a value into the group that is open."""
        value = _empty(event) if isinstance(event, yaml.CollectionStartEvent) else _scalar(event)
        path: Path = ()
        if group is None:
            self.data = value
        elif isinstance(group.items, dict):
            path = (*group.path, str(group.key))
            group.items[group.key], group.key = value, None
        else:
            path = (*group.path, len(group.items))
            group.items.append(value)
        self.lines.setdefault(path, line)
        if isinstance(event, yaml.CollectionStartEvent):
            self._open.append(_Group(path, value))
            if len(self._open) > MAX_DEPTH:
                raise _too_deep(line)


@dataclass(slots=True)
class _Group:
    """A mapping or a list that is not complete; `key`: whose value comes next in a mapping."""

    path: Path
    items: Any
    key: str | None = None


def _empty(event: yaml.CollectionStartEvent) -> dict[str, Any] | list[Any]:
    """What a collection begins as. SpecInvalid for a tag that is not its own."""
    kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
    if event.tag not in (None, "!", _TAG + kind):
        raise _tagged(event)
    return {} if kind == "map" else []


def _scalar(event: Any) -> Any:
    """The value that a scalar writes, by its tag or else its form. SpecInvalid for other tags; ValueError."""
    text: str = event.value
    if event.tag is None or event.tag == "!":
        is_plain = event.implicit[0] and (not text or text[0] in _PLAIN_BEGIN)
        kind = next((name for name, form in _PLAIN if form.fullmatch(text)), "str") if is_plain else "str"
    else:
        kind = event.tag.removeprefix(_TAG) if event.tag.startswith(_TAG) else ""
    if kind == "str":
        return text
    form = dict(_PLAIN).get(kind)
    if form is None:
        raise _tagged(event)
    if not form.fullmatch(text):
        raise _refused("", f"not YAML: {text[:60]!r} is no {kind}", _line(event.start_mark))
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    return int(text) if kind == "int" else float(text)


def _tagged(event: Any) -> SpecInvalid:
    return _refused("", f"the tag {event.tag[:60]!r} is not allowed: plain data has none", _line(event.start_mark))


def _line(mark: Any) -> int | None:
    return None if mark is None else mark.line + 1


def dotted_path(path: Path) -> str:
    """A path as users write it: `space.temperature.low`, `training.schedule.step_epochs.0`."""
    return ".".join(str(part) for part in path)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for key, value in pairs:
        if key in fields:
            raise _refused(key, "stands twice in one object: leave one out")
        fields[key] = value
    return fields


def _no_constant(name: str) -> Any:
    raise _refused("", f"{name} is not JSON, and no field takes it: give a number or null")


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < 100 else float(digits)


def _check_size(data: Any) -> None:
    """SpecInvalid where data is nested too deeply or has too many parts."""
    layer, nodes = [data], 0
    for _ in range(MAX_DEPTH + 2):
        nodes += len(layer)
        if nodes > MAX_NODES:
            raise _too_much()
        layer = [
            inner
            for part in layer
            for inner in (part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())
        ]
        if not layer:
            return
    raise _too_deep()


def _too_much(line: int | None = None) -> SpecInvalid:
    return _refused("", f"more than {MAX_NODES:,} keys and values: leave some out", line)


def _too_deep(line: int | None = None) -> SpecInvalid:
    return _refused("", f"nested deeper than {MAX_DEPTH} levels: write it flatter", line)


def _refused(path: str, message: str, line: int | None = None) -> SpecInvalid:
    return SpecInvalid([FieldProblem(path, message, line)])
