"""The table of the literature: packaged data, replaced or added to by an operator's file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from search.analysis.priors.context import Context, Initial, Student
from search.analysis.priors.evidence import Evidence, Numbers, Settings
from search.errors import LiteratureInvalid
from search.spec.fields import Label, Part
from trainers.spec import OptimizerName

PACKAGED = Path(__file__).with_name("literature.yaml")
STRENGTH = {"sweep": 0.5, "default": 0.2}
"""Of what was measured elsewhere, and of what is copied: against 1 for what was confirmed on fresh seeds here."""
REPORTED = 0.5
"""What is known at second hand counts for so much of that."""
LARGEST = 1_000_000  # bytes of an operator's file

Temperature = Annotated[float, Field(gt=0, le=1e4)]
Count = Annotated[int, Field(ge=1, le=10**12)]


class RowContext(Part):
    """Where a row was found; what its source does not say is left out."""

    data: Label | None = None
    classes: Annotated[int, Field(ge=2, le=10**6)] | None = None
    train_images: Count | None = None
    optimizer: OptimizerName | None = None
    epochs: Count | None = None
    batch_size: Count | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    student: Student | None = None
    student_init: Initial | None = None


class Row(Part):
    """One source's word."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    source: Annotated[str, Field(min_length=1, max_length=200)]
    reference: Annotated[str, Field(pattern=r"^https?://[^\s]{1,490}$")] | None = None
    how: Literal["read", "reported"]
    kind: Literal["sweep", "default"]
    strength: Annotated[float, Field(gt=0, le=1)] | None = Field(None, description="by `kind` and `how` unless given")
    context: RowContext
    temperature: Temperature
    as_good: tuple[Temperature, ...] = Field((), max_length=32)
    settings: Numbers = Numbers()
    note: Annotated[str, Field(max_length=500)] | None = None

    def evidence(self) -> Evidence:
        """The row as evidence: half of its word is the temperature that it names, half those that are as good."""
        alternatives = [temperature for temperature in self.as_good if temperature != self.temperature]
        spread = {temperature: 0.5 / len(alternatives) for temperature in alternatives}
        spread[self.temperature] = 0.5 if alternatives else 1.0
        features = self.context.model_dump(exclude={"optimizer"})
        optimizer = self.context.optimizer
        return Evidence(
            origin="literature",
            source=self.source,
            how=self.how,
            context=Context(optimizers=() if optimizer is None else (optimizer,), metric="accuracy", **features),
            temperature=self.temperature,
            spread=tuple(sorted(spread.items())),
            settings=Settings(optimizer=optimizer, **dataclasses.asdict(self.settings)),
            strength=self.strength or STRENGTH[self.kind] * (REPORTED if self.how == "reported" else 1.0),
            reference=self.reference,
        )


class Table(Part):
    """The whole table; `only` leaves the packaged rows out."""

    version: Literal[1]
    only: bool = False
    rows: tuple[Row, ...] = Field(max_length=10_000)


def evidence(file: Path | None = None) -> tuple[Evidence, ...]:
    """All rows: the packaged ones, and an operator's beside them or in their place. LiteratureInvalid."""
    return tuple(row.evidence() for row in rows(file))


def rows(file: Path | None = None) -> tuple[Row, ...]:
    """As `evidence`, as they stand in the files; a row of the operator's takes the place of one with its id."""
    by_id = {row.id: row for row in _read_table(PACKAGED).rows}
    if file is not None:
        operator_table = _read_table(file)
        by_id = {} if operator_table.only else by_id
        by_id |= {row.id: row for row in operator_table.rows}
    return tuple(by_id.values())


def _read_table(file: Path) -> Table:
    try:
        if file.stat().st_size > LARGEST:
            raise LiteratureInvalid(f"{file} is larger than {LARGEST:,} bytes: leave rows out")
        document: Any = yaml.safe_load(file.read_text("utf-8"))
        table = Table.model_validate(document)
    except OSError as error:
        raise LiteratureInvalid(f"{file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise LiteratureInvalid(f"{file} is no YAML: {error}") from error
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}" for entry in error.errors()]
        raise LiteratureInvalid(f"{file} is no table of the literature: {'; '.join(problems[:3])}") from error
    ids = [row.id for row in table.rows]
    if twice := sorted({entry for entry in ids if ids.count(entry) > 1}):
        raise LiteratureInvalid(f"{file} has more than one row {', '.join(twice)}")
    return table
