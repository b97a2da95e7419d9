"""What a user may ask of a study: a base job, factors to cross, how many of the crossings, repeats, and a budget."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from search.spec.fields import Label, Name, Part, Seed
from search.spec.grid import GridSpec
from search.studies.factors import Factor, check_apart, read_factor

MOST_CELLS = 256
"""Jobs of one study, repeats included."""
MOST_FACTORS = 12
GRID, ADAPTIVE = "grid", "adaptive"
Base = Annotated[dict[str, Any], Field(description="a job spec; its name may be left out")]
Factors = Annotated[
    dict[Name, list[Any] | dict[str, Any]],
    Field(
        max_length=MOST_FACTORS,
        description="by dotted path of the job spec a list of values, or values by name of level; "
        "or by a word of your own levels that set several paths each",
    ),
]
Replicates = Annotated[int, Field(ge=1, le=64, description="each cell so many times, with other splits and teachers")]


def _check_names(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class DesignSpec(Part):
    """Which crossings of the levels are tried; a word alone is its name.

    `full`: all. `one_at_a_time`: the first level of every factor, and from there each other level of each factor alone.
    `fractional`: `cells` of all, so chosen that levels and pairs of levels are met as equally often as possible; all
    where they are not more.
    """

    name: Literal["full", "one_at_a_time", "fractional"] = "full"
    cells: int | None = Field(None, ge=2, le=MOST_CELLS, description="fractional: crossings, repeats not counted")
    seed: Seed = Field(0, description="fractional: of the choice among equals")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.cells is not None) != (self.name == "fractional"):
            raise ValueError("cells is needed for the fractional design, and only there")
        return self


Design = Annotated[DesignSpec, BeforeValidator(_check_names)]


class StudyBudget(Part):
    """What each cell's job may spend, or what all of them may spend together, shared out alike."""

    trials: int | None = Field(None, ge=1, le=100_000 * MOST_CELLS)
    epochs: int | None = Field(None, ge=1, le=10**12)
    seconds: float | None = Field(None, gt=0, le=1e9)
    of: Literal["each cell", "all cells"] = "each cell"

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.limits():
            raise ValueError("name at least one of trials, epochs, seconds")
        return self

    def limits(self) -> dict[str, Any]:
        """What is limited, in the words of a job's budget."""
        return {name: value for name in ("trials", "epochs", "seconds") if (value := getattr(self, name)) is not None}

    def for_each(self, cells: int) -> dict[str, Any]:
        """What one of so many cells may spend. Whole numbers are rounded down, to 1 at least."""
        if self.of == "each cell":
            return self.limits()
        shared = {name: value / cells for name, value in self.limits().items()}
        return {name: share if name == "seconds" else max(1, int(share)) for name, share in shared.items()}


def _check_grid(value: Any) -> Any:
    return {"name": value} if value in (GRID, ADAPTIVE) else value


class GridTrials(GridSpec):
    """The trials of every cell: temperatures that are all tried, with the same settings, on the same seeds.

    `grid`: as many rounds of them as each cell's budget pays for. `adaptive`: every cell begins alike, and what is left
    of the study's budget goes to the cells and settings that tell most of what is open.
    """

    name: Literal["grid", "adaptive"]


Trials = Annotated[Literal["search"] | GridTrials, BeforeValidator(_check_grid)]


class StudySpec(Part):
    """A study: jobs that differ in the levels of factors, and in nothing else."""

    schema_version: Literal[1] = 1
    name: Name
    labels: dict[Name, Label] = Field(default_factory=dict, max_length=16, description="of the study and of its jobs")
    base: Base
    factors: Factors = Field(default_factory=dict)
    design: Design = DesignSpec()
    replicates: Replicates = 1
    budget: StudyBudget | None = Field(None, description="unless the base's own")
    trials: Trials = Field(
        "search",
        exclude_if=lambda trials: trials == "search",
        description="search: as a job searches; grid: the same temperatures, settings and seeds in every cell; "
        "adaptive: a grid, most of whose trials go where they tell most",
    )

    @field_validator("base", "factors")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return checked_plain(value)

    @model_validator(mode="after")
    def _readable(self) -> Self:
        factors = self.crossed()
        check_apart(factors)
        for factor in factors if self.adaptive else ():
            if any(path.partition(".")[0] == "budget" for path in factor.paths):
                raise ValueError(
                    f"factors.{factor.name}: an adaptive study has one budget, which it hands out itself: leave it out"
                )
        return self

    @property
    def adaptive(self) -> bool:
        """Whether trials are handed out where they tell most."""
        return self.trials != "search" and self.trials.name == ADAPTIVE

    def crossed(self) -> list[Factor]:
        """The factors in the order of the document. ValueError where one cannot be read."""
        return [read_factor(name, levels) for name, levels in self.factors.items()]


class StudyExtension(Part):
    """What a study is to have besides: more levels, more factors, more repeats, more crossings.

    The levels of a factor that is there come behind its own; those that it has already may be named again.
    """

    factors: Factors = Field(default_factory=dict)
    replicates: Replicates | None = None
    cells: int | None = Field(None, ge=2, le=MOST_CELLS, description="fractional: crossings in all")

    @field_validator("factors")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return checked_plain(value)

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.factors and self.replicates is None and self.cells is None:
            raise ValueError("name factors, replicates or cells")
        check_apart([read_factor(name, levels) for name, levels in self.factors.items()])
        return self


def checked_plain(value: Any) -> Any:
    """The value, where both databases can keep it: finite numbers, and text without NUL or half a character."""
    for leaf in _leaves(value):
        if isinstance(leaf, float) and not math.isfinite(leaf):
            raise ValueError("must hold finite numbers alone")
        if isinstance(leaf, int) and abs(leaf) >= 2**63:
            raise ValueError("must hold whole numbers of at most 64 bits")
        if isinstance(leaf, str) and ("\x00" in leaf or leaf.encode("utf-8", "replace").decode() != leaf):
            raise ValueError("must hold text without a NUL and without half a character")
    return value


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield value
