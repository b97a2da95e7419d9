"""All messages that a user can meet, taken from the code: what is raised, refused, warned of and answered."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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
    "ProposerProblem": slice(1, 2),
    "warn": slice(0, 1),
}
"""Functions and documents whose arguments are words for a user, and which of these."""
OF_PROGRAMS = {
    "Stopped": "a worker's own way to its end",
    "NotShown": "told to the log, beside what has ended the drawing",
    "_Ended": "the same",
    "AccessEnded": "a problem's slug, which ends a stream",
    "Damaged": "what is derived is made anew, and the log says why",
    "NotFinite": "a trial's reason: it counts as diverged",
    "_Refused": "half of a sentence: what a column's value must be",
}
"""Exceptions that no user is told as they are, each with what becomes of it."""
NOTHING = re.compile(r"\s*(No |There (is|are) (none|no )|there are none)")
"""The beginning of what a command prints where it has nothing to show."""


@cache
def exceptions() -> frozenset[str]:
    """The names of all exceptions that the rooms declare, directly or by way of each other."""
    bases: dict[str, set[str]] = {}
    for path in paths():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases.setdefault(node.name, set()).update(ast.unparse(base).rpartition(".")[2] for base in node.bases)
    kinds = [kind for kind in vars(builtins).values() if isinstance(kind, type)]
    known = {kind.__name__ for kind in kinds if issubclass(kind, BaseException)}
    while more := {name for name, parents in bases.items() if name not in known and parents & known}:
        known |= more
    return frozenset(known & set(bases))


def paths() -> list[Path]:
    """The files of all rooms; what is generated of others is left out."""
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if "sync" not in path.parts]


@dataclass(frozen=True, slots=True)
class Message:
    """Words with `{}` for what is filled in, and where they stand."""

    file: str
    line: int
    text: str


def messages() -> list[Message]:
    """Of all rooms, in the order of the files."""
    return [message for path in paths() for message in _of_file(path)]


def _of_file(path: Path) -> Iterator[Message]:
    file = str(path.relative_to(ROOT))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = _name(node.exc)
            told = name in exceptions() and name not in OF_PROGRAMS and name not in CALLS
            if told or (name == "ValueError" and file.startswith(AT_DOORS)):
                arguments = node.exc.args[:1]  # what follows is a title, a number of seconds
                yield from (Message(file, node.lineno, text) for argument in arguments for text in words(argument))
        elif (
            isinstance(node, ast.Call) and _name(node) in CALLS and (_name(node) != "fail" or "terminal" in path.parts)
        ):
            for argument in node.args[CALLS[_name(node)]]:
                yield from (Message(file, node.lineno, text) for text in words(argument))
        elif isinstance(node, ast.Call) and _name(node) == "print" and "terminal" in path.parts:
            texts = [text for argument in node.args[:1] for text in words(argument)]
            yield from (Message(file, node.lineno, text) for text in texts if NOTHING.match(text))


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
