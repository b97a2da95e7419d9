"""Explanations of a refused study: each field once, where the study states it, with the cells in which it is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from search.errors import FieldProblem, SpecInvalid
from search.spec import validation_errors
from search.spec.fields import DOOR
from search.spec.job import JobSpec
from search.spec.markup import LocatedDocument
from search.studies.factors import Factor

MOST_TOLD = 50
Fresh = Mapping[str, Collection[str]]
"""Levels by factor."""


class Refusals:
    """What is wrong with the cells of a study, gathered over all of them."""

    def __init__(self, factors: Sequence[Factor], fresh: Fresh | None = None) -> None:
        """`fresh` are the levels that come in now, by factor; None where everything does. What a study had before is
        read as it always was.
        """
        self._factors, self._fresh = factors, fresh
        self._cells = 0
        self._found: dict[tuple[str, str], list[str]] = {}

    def validated(self, document: Mapping[str, Any], levels: Mapping[str, str]) -> JobSpec | None:
        """The cell's job; None where it is refused, which is then kept."""
        self._cells += 1
        try:
            return JobSpec.model_validate(document, context=DOOR)
        except ValidationError as error:
            problems = validation_errors.explain(error, LocatedDocument(document, {}))
            placed = [(self._place(problem.path, levels), problem.message) for problem in problems]
        if not any(self._comes_in(place) for place, _ in placed):
            with suppress(ValidationError):
                return JobSpec.model_validate(document)
        for place, message in placed:
            self._keep(place, message, levels)
        return None

    def add(self, path: str, message: str, levels: Mapping[str, str]) -> None:
        """Keeps what is wrong with a cell that has no document."""
        self._cells += 1
        self._keep(path, message, levels)

    def raise_if_any(self) -> None:
        """SpecInvalid where any cell was refused."""
        if self._found:
            problems = list(self._found.items())[:MOST_TOLD]
            raise SpecInvalid(
                [FieldProblem(path, self._sentence(cells) + message) for (path, message), cells in problems]
            )

    def _comes_in(self, place: str) -> bool:
        """Whether what is at this place of the study was not there before."""
        if self._fresh is None:
            return True
        return any(place == f"factors.{factor}.{level}" for factor, names in self._fresh.items() for level in names)

    def _keep(self, path: str, message: str, levels: Mapping[str, str]) -> None:
        self._found.setdefault((path, message), []).append(
            ", ".join(f"{name} = {level}" for name, level in levels.items())
        )

    def _sentence(self, cells: Sequence[str]) -> str:
        if self._cells == 1 and not cells[0]:
            return ""
        if len(cells) == self._cells:
            return "in every cell: "
        more = f" and in {len(cells) - 1} more" if len(cells) > 1 else ""
        return f"in the cell {cells[0]}{more}: "

    def _place(self, path: str, levels: Mapping[str, str]) -> str:
        """Where the study says it: at the level that sets it, or in the base."""
        for factor in self._factors:
            for sets in factor.levels.get(levels.get(factor.name, ""), {}):
                if path == sets or path.startswith(sets + "."):
                    return f"factors.{factor.name}.{levels[factor.name]}"
        return f"base.{path}" if path else "base"


def field_problems(error: ValueError) -> str:
    """What a check has to say, without what pydantic puts around it."""
    if isinstance(error, ValidationError):
        return "; ".join(entry["msg"].removeprefix("Value error, ") for entry in error.errors(include_url=False))
    return str(error)
