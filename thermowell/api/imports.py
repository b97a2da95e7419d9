"""What became of rows that were brought to a job from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from thermowell.api.document import Record


@dataclass(frozen=True, slots=True)
class RefusedField(Record):
    """A field of a row that cannot be: the row is not taken."""

    row: Annotated[int, Field(description="the row's number in its source")]
    field: str
    value: Annotated[bool | int | float | str | None, Field(description="what the row has there, if anything")]
    allowed: Annotated[str, Field(description="what the job's space allows there")]


@dataclass(frozen=True, slots=True)
class UnknownColumn(Record):
    """A name that rows have and the job has not; it is left out."""

    name: str
    near: Annotated[list[str], Field(description="names of the job's that it may be meant for")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOutcome(Record):
    """How many rows were stored, or would be, and which are refused."""

    dry_run: Annotated[bool, Field(description="nothing was stored")]
    taken: Annotated[int, Field(description="rows that were new")]
    known: Annotated[int, Field(description="rows that had been imported before, or stand twice in the source")]
    refused: list[RefusedField] = field(default_factory=list)
    unknown: list[UnknownColumn] = field(default_factory=list)
    note: Annotated[str | None, Field(description="what else is to be known")] = None

    def joined(self, other: ImportOutcome) -> ImportOutcome:
        """This one and what became of further rows of the same source."""
        unknown = {column.name: column for column in [*self.unknown, *other.unknown]}
        return ImportOutcome(
            dry_run=self.dry_run,
            taken=self.taken + other.taken,
            known=self.known + other.known,
            refused=[*self.refused, *other.refused],
            unknown=list(unknown.values()),
            note=other.note or self.note,
        )
