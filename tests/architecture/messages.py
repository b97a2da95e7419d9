"""All messages that a user can meet, taken from the code: what is raised, refused, warned of and answered."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import search.errors
import service.auth
import service.errors
import thermowell.errors
import trainers.errors
import trainers.fetch

ROOT = Path(__file__).parents[2]
ROOMS = ("search", "service", "trainers", "thermowell")
AT_DOORS = (
    "search/spec/", "search/studies/", "search/settings.py", "search/requests/keys.py", "search/storage/db.py",
    "service/schemas.py", "service/schemas_claims.py", "service/settings.py", "service/prefix.py",
    "service/routes/advice.py", "trainers/preprocessing.py",
)  # fmt: skip
"""Where a plain ValueError is an answer to somebody's input; elsewhere it is a programmer's mistake."""
CALLS: dict[str, slice] = {
    "fail": slice(0, 1),
    "FieldProblem": slice(1, 2),
    "PydanticCustomError": slice(1, 2),
    "Kind": slice(2, 3),
    "Reason": slice(1, 2),
    "SpecWarning": slice(2, 3),
    "_refused": slice(1, 2),
    "_refusal": slice(2, 3),
}
"""Functions and documents whose arguments are words for a user, and which of these."""


def _classes(module: ModuleType) -> set[str]:
    members = inspect.getmembers(module, inspect.isclass)
    return {name for name, kind in members if issubclass(kind, Exception) and kind.__module__ == module.__name__}


ERRORS = frozenset().union(
    *map(_classes, (search.errors, service.errors, service.auth, thermowell.errors, trainers.errors, trainers.fetch))
)


@dataclass(frozen=True, slots=True)
class Message:
    """Words with `{}` for what is filled in, and where they stand."""

    file: str
    line: int
    text: str


def messages() -> list[Message]:
    """Of all rooms, in the order of the files."""
    paths = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if "sync" not in path.parts]
    return [message for path in paths for message in _of_file(path)]


def _of_file(path: Path) -> Iterator[Message]:
    file = str(path.relative_to(ROOT))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = _name(node.exc)
            if name in ERRORS or (name == "ValueError" and file.startswith(AT_DOORS)):
                arguments = node.exc.args[:1]  # what follows is a title, a number of seconds
                yield from (Message(file, node.lineno, text) for argument in arguments for text in words(argument))
        elif (
            isinstance(node, ast.Call) and _name(node) in CALLS and (_name(node) != "fail" or "terminal" in path.parts)
        ):
            for argument in node.args[CALLS[_name(node)]]:
                yield from (Message(file, node.lineno, text) for text in words(argument))


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def words(node: ast.expr) -> list[str]:
    """The texts that an expression may be; none where it is made elsewhere."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)]
    if isinstance(node, ast.IfExp):
        return [*words(node.body), *words(node.orelse)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = words(node.left) or ["{}"], words(node.right) or ["{}"]
        return [before + after for before in left for after in right]
    return []
