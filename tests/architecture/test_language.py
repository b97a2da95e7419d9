"""Docstrings state, and names name: the figures of `make style`, held to their goals."""

from __future__ import annotations

import ast
import functools
import re

from benchmarks.common import style
from benchmarks.common.style import ROOMS, ROOT, Source


@functools.cache
def files() -> list[Source]:
    return style.sources(ROOT, ROOMS)


def test_no_docstring_asks() -> None:
    assert [file.path for file in files() if style.question_docstrings([file])[0]] == []


def test_no_docstring_of_tests_and_benchmarks_asks() -> None:
    paths = [
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "benchmarks").glob("*/*.py"),
        *(ROOT / "benchmarks").glob("*.py"),
    ]
    texts = [(path, path.read_text(encoding="utf-8")) for path in paths]
    asking = [path for path, text in texts if style.question_docstrings([Source(path, text, ast.parse(text))])[0]]
    assert asking == []


def test_variables_are_named_by_nouns() -> None:
    vague, total = style.vague_names(files())
    assert vague <= 0.002 * total, f"{vague} of {total} names say nothing of what they hold: `make style`"


def test_the_counting_sees_what_it_counts() -> None:
    text = (
        """'Is this a question? It is.'\n\n\ndef find(told: int, left: int) -> int:\n    'A sum.'\n    return told\n"""
    )
    file = Source(ROOT / "example.py", text, ast.parse(text))
    assert style.question_docstrings([file]) == (1, 2)
    assert style.vague_names([file]) == (1, 2)


def test_documents_are_declared_once() -> None:
    pairs = style.documents_declared_twice(files())
    assert [pair for pair in pairs if pair not in style.BOUNDARIES] == []
    assert set(style.BOUNDARIES) == set(style.boundaries(pairs)), "a boundary that is none any more leaves the list"


def test_words_that_the_glossary_replaced_are_gone() -> None:
    glossary = ROOT / "docs" / "glossary.md"
    rows = [line.split("|")[1:-1] for line in glossary.read_text().splitlines() if line.startswith("| ")][2:]
    replaced = [word.strip() for row in rows for word in row[2].split(",") if word.strip()]
    assert replaced
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    texts = {path: path.read_text() for path in pages if path != glossary} | {file.path: file.text for file in files()}
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path, text in texts.items()
        for word in replaced
        if re.search(rf"(?<![a-zA-Z]){word}(s|ed|ing)?(?![a-zA-Z])", text, re.IGNORECASE)
    ]
    assert found == []


def test_the_glossary_gives_each_term_one_row() -> None:
    lines = (ROOT / "docs" / "glossary.md").read_text().splitlines()
    terms = [term.strip() for line in lines if line.startswith("| ") for term in line.split("|")[1].split(",")]
    assert len(terms) == len(set(terms)) > 30


def test_the_readme_is_short() -> None:
    assert len(re.findall(r"\S+", (ROOT / "README.md").read_text())) <= 1200


AMERICAN = (
    "behavior canceled canceling catalog catalogs center centered centers color colored colors defense favor favored "
    "favorite favors fulfill gray honor honored labeled labeling meter modeled modeling neighbor "
    "neighborhood neighboring neighbors signaled skeptical traveled"
)
ISE = "canonical final general initial maxim minim normal optim organ quant random recogn serial standard summar visual"
"""Stems whose verbs end in -ize: British spelling as Oxford has it, which mathematics prints in most places."""
NOT_OURS = frozenset(AMERICAN.split()) | {
    f"{stem}{end}" for stem in ISE.split() for end in ("ise", "ised", "ises", "ising", "isation", "isations")
}


def prose(file: Source) -> str:
    """The docstrings and comments of a file, what is code in them left out."""
    nodes = [node for node in ast.walk(file.tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)]
    comments = re.findall(r"(?<=[ ^])# (.*)$", file.text, re.MULTILINE)
    return "\n".join([*filter(None, map(ast.get_docstring, nodes)), *comments])


def test_spelling_is_british_with_ize_throughout() -> None:
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md"), *ROOT.glob("*.md")]
    texts = {path: path.read_text() for path in pages} | {file.path: prose(file) for file in files()}
    texts = {path: re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", " ", text, flags=re.DOTALL) for path, text in texts.items()}
    found = {
        f"{path.relative_to(ROOT)}: {word}"
        for path, text in texts.items()
        for word in re.findall(r"[a-z]+", text.lower())
        if word in NOT_OURS
    }
    assert sorted(found) == []
