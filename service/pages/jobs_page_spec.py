"""The page on which a spec is pasted or uploaded; a refused one shows each problem at its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search import units
from search.errors import FieldProblem, SpecInvalid
from search.spec.job import JobSpec
from search.spec.parsing import parse_spec
from thermowell.api.advice import Advice

AROUND = 2  # lines that are shown before and after a refused one


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a document, and what is wrong with it."""

    number: int
    text: str
    problems: tuple[FieldProblem, ...]


def read_spec(text: str) -> JobSpec:
    """The spec in a text that is JSON where it begins with a brace, else YAML. SpecInvalid, with lines for both."""
    if not text.lstrip().startswith("{"):
        return parse_spec(text, "yaml")
    try:
        return parse_spec(text, "json")
    except SpecInvalid as refused:
        raise SpecInvalid(_with_lines(text, refused.problems)) from refused


def _with_lines(text: str, problems: Sequence[FieldProblem]) -> list[FieldProblem]:
    """JSON remembers no lines; read as YAML, which it nearly is, the same text does. Broken JSON has its line."""
    if all(problem.line or problem.path == "" for problem in problems):
        return list(problems)
    try:
        parse_spec(text.replace("\t", " "), "yaml")
    except SpecInvalid as refused:
        lines = {problem.path: problem.line for problem in refused.problems}
        return [problem if problem.line else _excerpt_at(problem, lines.get(problem.path)) for problem in problems]
    return list(problems)


def _excerpt_at(problem: FieldProblem, line: int | None) -> FieldProblem:
    return FieldProblem(problem.path, problem.message, line)


def hint(advice: Advice) -> str:
    """Where others' best temperatures lie in settings like a spec's, in a sentence; nothing where nobody says so."""
    temperatures = {quantile.share: units.number(quantile.temperature, 2) for quantile in advice.quantiles}
    if not advice.sources:
        return ""
    heaviest = advice.sources[0]
    return (
        f"In settings like this one, half of what is known lies from T = {temperatures[0.25]} to {temperatures[0.75]} "
        f"({advice.sources_known} sources, the heaviest with {heaviest.weight:.0%}: {heaviest.source}). "
        "warm_start begins a search there."
    )


def excerpts(text: str, problems: Sequence[FieldProblem]) -> list[list[Line]]:
    """The refused lines of a text with those around them; what lies far apart comes in groups of its own."""
    by_line: dict[int, list[FieldProblem]] = {}
    for problem in problems:
        if problem.line is not None:
            by_line.setdefault(problem.line, []).append(problem)
    groups: list[list[Line]] = []
    last = 0
    for number, words in enumerate(text.rstrip().split("\n"), start=1):
        if not any(abs(number - refused) <= AROUND for refused in by_line):
            continue
        if not groups or number > last + 1:
            groups.append([])
        groups[-1].append(Line(number, words, tuple(by_line.get(number, ()))))
        last = number
    return groups
