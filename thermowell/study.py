# Made of the schema and the registry by tests/architecture/test_spec_builders.py: write it anew there.
"""Builders of studies: `StudySpec(name=..., base=Spec(...), factors={...})`; levels may be parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from thermowell.parts import Part
from thermowell.spec import Spec


@dataclass(kw_only=True)
class Design(Part):
    """Which crossings of the levels are tried; a word alone is its name.

    cells: fractional: crossings, repeats not counted
    seed: fractional: of the choice among equals
    """

    name: Literal["full", "one_at_a_time", "fractional"] | None = None
    cells: int | None = None
    seed: int | None = None


@dataclass(kw_only=True)
class GridTrials(Part):
    """The trials of every cell: temperatures that are all tried, with the same settings, on the same seeds.

    temperatures: rising; unless given a list in space.temperature, or 1, 2, 4, 10, 20 and the ends of its range
    settings: of each optimizer, spread evenly over the rest of the space
    """

    temperatures: Sequence[float] | None = None
    settings: int | None = None
    name: Literal["grid", "adaptive"]


@dataclass(kw_only=True)
class StudyBudget(Part):
    """What each cell's job may spend, or what all of them may spend together, shared out alike."""

    trials: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    of: Literal["each cell", "all cells"] | None = None


@dataclass(kw_only=True)
class StudyExtension(Part):
    """What a study is to have besides: more levels, more factors, more repeats, more crossings.

    factors: by dotted path of the job spec a list of values, or values by name of level; or by a word of your own
        levels that set several paths each
    cells: fractional: crossings in all
    """

    factors: Mapping[str, Any] | None = None
    replicates: int | None = None
    cells: int | None = None


@dataclass(kw_only=True)
class StudySpec(Part):
    """A study: jobs that differ in the levels of factors, and in nothing else.

    labels: of the study and of its jobs
    base: a job spec; its name may be left out
    factors: by dotted path of the job spec a list of values, or values by name of level; or by a word of your own
        levels that set several paths each
    replicates: each cell so many times, with other splits and teachers
    budget: unless the base's own
    trials: search: as a job searches; grid: the same temperatures, settings and seeds in every cell; adaptive: a
        grid, most of whose trials go where they tell most
    """

    name: str
    labels: Mapping[str, Any] | None = None
    base: Spec | Mapping[str, Any]
    factors: Mapping[str, Any] | None = None
    design: Literal["full", "one_at_a_time"] | Design | Mapping[str, Any] | None = None
    replicates: int | None = None
    budget: StudyBudget | Mapping[str, Any] | None = None
    trials: Literal["search"] | GridTrials | Mapping[str, Any] | None = None
