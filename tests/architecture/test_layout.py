"""Does the tree keep the habits that no linter checks: docstring-only packages, short files, short functions?"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ["service", "search", "trainers", "thermowell"]
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
MAX_FILE_LINES = 400
LAZY = "thermowell/__init__.py"  # what users import; it loads a name when that is first used
MAX_FUNCTION_LINES = 60


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name == "__init__.py"], ids=name)
def test_packages_import_nothing(path: Path) -> None:
    """import-linter does not see what a package's `__init__` imports, so it must hold a docstring and nothing else."""
    if name(path) == LAZY:
        return
    body = ast.parse(path.read_text()).body
    assert [type(node) for node in body] == [ast.Expr]
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_files_are_short_and_say_what_they_answer(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{name(path)} has no docstring"
    assert len(text.splitlines()) < MAX_FILE_LINES
    if "migrations" in path.parts:
        return  # a migration is a list of statements, never changed again once it is released
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = {node.name: node.end_lineno - node.lineno + 1 for node in functions if node.end_lineno is not None}
    assert {each: lines for each, lines in long.items() if lines >= MAX_FUNCTION_LINES} == {}
