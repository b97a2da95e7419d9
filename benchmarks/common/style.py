"""Figures of the code's language and structure, beside other projects' where a checkout of them is given.

    python -m benchmarks.common.style [--beside PATH ...] [--commits COMMIT ...] [--keep NAME]

Counted from the syntax trees of all product files, never by running them: docstrings that ask instead of stating,
variables that are named by a participle, a pronoun or an adverb, files that name one optimizer or one loss,
documents whose fields are declared a second time, modules and functions out of their usual size, and lines.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import facts, output
from benchmarks.common.facts import ROOT
from trainers import catalogue

ROOMS = ("service", "search", "trainers", "thermowell")
SMALLEST, LARGEST, LONGEST_FUNCTION = 15, 400, 60  # lines
ALIKE = 0.8  # of two documents' fields: from this share on they are one document, declared twice
LEAST_FIELDS = 4  # documents of fewer fields agree by chance

BOUNDARIES = {
    ("space.SpaceSpec", "configurations.Configuration"): "what is searched, ranges and lists; and one point of it",
    ("training.DatasetSpec", "spec.Data"): "as people write it; and as it is trained and enters a fingerprint",
    ("training.FixedOptimizer", "configurations.Optimizer"): "as people write it, with defaults; and as it is trained",
    ("teacher.InitialSpec", "spec.Initial"): "as people write it, its parts left out; and as it is trained",
    ("preprocessing.PreprocessingSpec", "preprocessing.Preprocessing"): "as people write it; and with a preset's name",
}
"""Pairs of like fields that are two documents, each with the reason; docs/decisions/047 has more. A part of a spec has
bounds, defaults and words for people at the door; what is trained has no bounds, keeps its defaults forever for its
fingerprint, and is made by the part's own `to_trained`."""

_WORDS = (
    "told said found own gone at asked given taken kept made known seen shown held sent put done begun lost counted "
    "named wanted read written chosen stored paid owed due ended come came they it them each one this that these those "
    "who whom whose which what such same other others another some none both either neither there here then where how "
    "of by along beside within without once only meant used heard learned spoken going coming being doing having "
    "saying"
)
VAGUE = frozenset(_WORDS.split())
"""Participles, pronouns and adverbs, which name nothing: a variable says what it holds by a noun."""


OF_SCHEMA = "# Made of the schema"
"""The beginning of a file that is generated of declarations elsewhere: it repeats them, and declares nothing."""


@dataclass(frozen=True, slots=True)
class Source:
    """One product file: its path, its text and its syntax tree."""

    path: Path
    text: str
    tree: ast.Module


def sources(root: Path, rooms: Sequence[str]) -> list[Source]:
    """The Python files below these folders of a checkout; tests and what is made of the schema are left out."""
    paths = sorted(
        path
        for room in rooms
        for path in (root / room).rglob("*.py")
        if not {"tests", "test", "testing", "migrations"} & set(path.relative_to(root).parts)
    )
    texts = [(path, path.read_text(encoding="utf-8", errors="replace")) for path in paths]
    return [Source(path, text, ast.parse(text)) for path, text in texts if not text.startswith(OF_SCHEMA)]


def question_docstrings(files: Sequence[Source]) -> tuple[int, int]:
    """Modules, classes and functions whose docstring's first sentence is a question, and all that have a docstring."""
    count = total = 0
    for file in files:
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                total += text is not None
                count += bool(text and re.match(r"[^.!]*\?(\s|$)", text.split("\n\n")[0]))
    return count, total


def vague_names(files: Sequence[Source]) -> tuple[int, int]:
    """Bindings of variables and parameters in functions that name nothing, and all of them.

    `left` is no such word: beside `right` it is a place.
    """
    names = [name for file in files for function in _functions(file.tree) for name in _bindings(function)]
    return sum(name.strip("_") in VAGUE for name in names), len(names)


def files_naming(files: Sequence[Source], names: Sequence[str]) -> dict[str, list[str]]:
    """By name, the files in one of whose strings, docstrings apart, it stands as a word."""
    paths: dict[str, list[str]] = {name: [] for name in names}
    for file in files:
        words = {word for text in _strings(file.tree) for word in re.findall(r"\w+", text)}
        for name in words & paths.keys():
            paths[name].append(str(file.path))
    return paths


def documents_declared_twice(files: Sequence[Source]) -> list[tuple[str, str]]:
    """Pairs of classes of different modules that declare nearly the same fields, boundaries among them."""
    classes = [
        (f"{file.path.stem}.{node.name}", file.path, fields)
        for file in files
        for node in ast.walk(file.tree)
        if isinstance(node, ast.ClassDef) and len(fields := _fields(node)) >= LEAST_FIELDS
    ]
    return [
        (first, second)
        for (first, path, mine), (second, other_path, theirs) in itertools.combinations(classes, 2)
        if path != other_path and len(mine & theirs) >= ALIKE * len(mine | theirs)
    ]


def boundaries(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the pairs that are two documents, by the list of reasons."""
    return [pair for pair in pairs if pair in BOUNDARIES]


def lines_of_commits(root: Path, commits: Sequence[str], rooms: Sequence[str]) -> dict[str, int]:
    """By commit, product lines that it added less those that it removed; what others changed meanwhile is not in it."""
    net = {}
    for commit in commits:
        paths = [f"{room}/**.py" for room in rooms]
        command = ["git", "show", "--numstat", "--find-renames", "--format=", commit, "--", *paths]
        listed = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.splitlines()
        counts = [line.split("\t") for line in listed if "/migrations/" not in line]
        net[commit] = sum(int(added) - int(removed) for added, removed, _ in counts)
    return net


def measure(root: Path, rooms: Sequence[str]) -> dict[str, Any]:
    """All figures of one checkout that need no knowledge of what it is about."""
    files = sources(root, rooms)
    questions, docstrings = question_docstrings(files)
    vague, bindings = vague_names(files)
    pairs = documents_declared_twice(files)
    lengths = [len(file.text.splitlines()) for file in files if file.path.name != "__init__.py"]
    return {
        "question_docstrings": questions,
        "docstrings": docstrings,
        "vague_names_share": round(vague / max(bindings, 1), 5),
        "bindings": bindings,
        "documents_declared_twice": len(pairs) - len(boundaries(pairs)),
        "documents_at_a_boundary": len(boundaries(pairs)),
        "product_lines": sum(len(file.text.splitlines()) for file in files),
        "modules_below_15": sum(length < SMALLEST for length in lengths),
        "modules_above_400": sum(length > LARGEST for length in lengths),
        "functions_above_60": sum(
            (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION for file in files for node in _functions(file.tree)
        ),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints a table, and one JSON object as the last line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.common.style", description=__doc__)
    parser.add_argument("--beside", nargs="*", type=Path, default=[], help="packages of other projects' checkouts")
    parser.add_argument("--commits", nargs="*", default=[], help="whose product lines are summed, added less removed")
    parser.add_argument("--keep", help="a name below benchmarks/results")
    options = parser.parse_args(arguments)
    figures = measure(ROOT, ROOMS)
    files = sources(ROOT, ROOMS)
    optimizers = files_naming(files, list(catalogue.OPTIMIZERS))
    losses = files_naming(files, list(catalogue.LOSSES))
    figures |= {
        "files_per_optimizer": max(map(len, optimizers.values())),
        "files_per_loss": max(len(paths) for name, paths in losses.items() if name != "kl"),
    }
    if options.commits:
        figures["product_lines_of_commits"] = sum(lines_of_commits(ROOT, options.commits, ROOMS).values())
    peers = {path.name: measure(path.parent, [path.name]) for path in options.beside}
    columns = {"Thermowell": figures, **peers}
    rows = [[name, *(str(column.get(name, "-")) for column in columns.values())] for name in figures]
    circumstances = facts.gather()
    print(facts.in_words(circumstances))
    output.table("Language and structure", ["", *columns], rows)
    output.conclude(options.keep, figures, {"facts": circumstances, "beside": peers})
    return 0


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))


def _bindings(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[str]:
    arguments = function.args
    variable = [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *variable):
        yield argument.arg
    stack: list[ast.AST] = list(function.body) if isinstance(function.body, list) else [function.body]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        stack.extend(ast.iter_child_nodes(node))


def _strings(tree: ast.Module) -> Iterator[str]:
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def _fields(node: ast.ClassDef) -> frozenset[str]:
    return frozenset(
        part.target.id for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
    )


if __name__ == "__main__":
    sys.exit(main())
