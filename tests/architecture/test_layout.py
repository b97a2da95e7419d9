"""The habits that no linter checks: docstring-only packages, files and functions of a bounded length."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ["service", "search", "trainers", "thermowell"]
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
MAX_FILE_LINES = 400
LAZY = "thermowell/__init__.py"  # what users import; it loads a name when that is first used
MAX_FUNCTION_LINES = 60
MIN_FILE_LINES = 15
SMALL_FILE_LINES = 45
SMALL = {
    "search/analysis/job/__main__.py": "a program: a child process computes an interim answer",
    "search/storage/migrations/env.py": "alembic asks for this file",
    "search/proposer/__main__.py": "a program: who proposes beside the API",
    "search/worker/__main__.py": "a program: the worker",
    "search/analysis/job/sensible.py": "bounds of older specs, apart from what computes an answer",
    "search/surrogate/acquisition.py": "a term of the literature beside its Gaussian process, without Optuna",
    "search/analysis/study/variances.py": "numbers that a benchmark prints, apart from what computes with them",
    "service/pages/png.py": "the one place that knows resvg",
    "service/routes/prefixed.py": "middleware: no route, and apart from the list of routes",
    "service/routes/request_ids.py": "middleware: no route, and apart from the list of routes",
    "thermowell/keras.py": "what knows Keras, and users import",
    "thermowell/trial/signals.py": "what SIGTERM does to a process and to its forks, apart from what a trial is",
    "service/terminal/cli_converting.py": "commands under `spec from`, as others stand by their noun",
}
"""Files of few lines that at most one other imports, each with the reason why that one does not hold them."""


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


def _imported_by() -> dict[str, set[str]]:
    """For each module the files of the product that import it."""
    users: dict[str, set[str]] = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
            else:
                modules = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                users.setdefault(module, set()).add(name(path))
    return users


def test_a_module_that_one_caller_could_hold_says_why_it_stands_alone() -> None:
    users = _imported_by()
    small = {
        name(path)
        for path in SOURCES
        if path.name != "__init__.py" and "versions" not in path.parts
        if len(path.read_text().splitlines()) <= SMALL_FILE_LINES
        if len(users.get(name(path).removesuffix(".py").replace("/", "."), set())) <= 1
    }
    assert small == set(SMALL)


def test_files_are_short_and_say_what_they_answer() -> None:
    assert {name(path): faults for path in SOURCES if (faults := list(_faults(path)))} == {}


def _faults(path: Path) -> Iterator[str]:
    """What is wrong with a file of the product."""
    text = path.read_text()
    tree = ast.parse(text)
    if not ast.get_docstring(tree):
        yield "has no docstring"
    lines = len(text.splitlines())
    if lines >= MAX_FILE_LINES or (lines < MIN_FILE_LINES and path.name not in ("__init__.py", "__main__.py")):
        yield f"has {lines} lines"
    if "migrations" in path.parts:
        return  # a migration is a list of statements, never changed again once it is released
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = {node.name: node.end_lineno - node.lineno + 1 for node in functions if node.end_lineno is not None}
    yield from (f"{each} has {count} lines" for each, count in lengths.items() if count >= MAX_FUNCTION_LINES)
