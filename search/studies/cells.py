"""The jobs of a study's cells: the base spec with the cell's levels and its repeat's seeds.

A cell is what its job's spec says, name and labels aside: two that say the same are one cell, and so those that were
there stay what they were, whatever a study is extended by.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from search.errors import FieldProblem, SpecInvalid
from search.spec.grid import FEWEST
from search.spec.job import JobSpec
from search.studies import design, explaining
from search.studies.factors import Factor, applied, read_factor
from search.studies.spec import MOST_CELLS, StudyExtension, StudySpec

FIRST_ROUNDS = 1
"""Of a grid: what every cell of an adaptive study is tried with before anything is handed out."""
AS_BEFORE = "as before"
"""What the level of a later factor is called in cells that have none of its levels."""
REPLICATE = "replicate"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell with its job. `levels`: the level's name by the factor's; `job_id` is empty before it is submitted."""

    number: int
    levels: Mapping[str, str]
    replicate: int
    digest: str
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class PlannedCell:
    """A cell that is to be submitted; in an adaptive study with the `share` of trials that it brings, of which its job
    begins with some.
    """

    cell: Cell
    spec: JobSpec
    share: int | None = None

    @property
    def whole(self) -> JobSpec:
        """The job as if all of its share were its own."""
        return self.spec if self.share is None else _with_trials(self.spec, self.share)


@dataclass(frozen=True, slots=True)
class Expansion:
    """A study as it will be: `study` with its budget settled, the cells that are there, and those that are new."""

    study: StudySpec
    there: Sequence[Cell]
    new: Sequence[PlannedCell]


def digest_of(spec: JobSpec) -> str:
    """Of all that a job trains: its spec without name and labels, defaults filled in."""
    document = spec.model_dump(mode="json", exclude_none=True, exclude={"name", "labels"})
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def digest_of_stored(spec: Mapping[str, Any]) -> str:
    """As `digest_of`, of a job's spec as it is stored."""
    return digest_of(JobSpec.model_validate(spec))


def expand(study: StudySpec) -> Expansion:
    """All cells of a new study. SpecInvalid names the cell of each field that is refused."""
    factors = study.crossed()
    crossings = _crossings(study, factors, [])
    cells = len(crossings) * study.replicates
    _check_count(cells)
    if study.budget is not None:
        base = dict(study.base)
        spent = base.get("budget") if isinstance(base.get("budget"), dict) else {}
        base["budget"] = {**(spent or {}), **study.budget.for_each(cells)}
        study = study.model_copy(update={"base": base, "budget": None})
    return Expansion(study, [], _plan_cells(study, factors, crossings, 0, set()))


def extend(study: StudySpec, existing: Sequence[Cell], more: StudyExtension) -> Expansion:
    """A study with more of it; the cells that are there are only told which levels of new factors they have.

    `study` is an Expansion's, `existing` its cells with the digests of their jobs as they are stored. SpecInvalid.
    """
    before = study.crossed()
    crossed = [cell for cell in existing if cell.replicate == 0 and _place(before, cell) is not None]
    larger = _larger(study, more, len(crossed))
    factors = larger.crossed()
    relabelled = [_relabel(larger, factors, cell) for cell in existing]
    crossed_places = [
        place for cell in relabelled if cell.replicate == 0 and (place := _place(factors, cell)) is not None
    ]
    crossings = _crossings(larger, factors, crossed_places)
    added = {name: list(read_factor(name, levels).levels) for name, levels in more.factors.items()}
    new = _plan_cells(larger, factors, crossings, len(existing), {cell.digest for cell in existing}, added)
    _check_count(len(existing) + len(new))
    return Expansion(larger, relabelled, new)


def labels_of(study: StudySpec, cell: Cell) -> dict[str, str]:
    """The labels by which the cell's job is found among others, beside the base's."""
    return {**study.labels, **cell.levels, "study": study.name, REPLICATE: str(cell.replicate)}


def _larger(study: StudySpec, more: StudyExtension, crossed: int) -> StudySpec:
    factors: dict[str, Any] = {factor.name: _write_path(factor) for factor in study.crossed()}
    try:
        for name, levels in more.factors.items():
            added = StudySpec(name="x", base={}, factors={name: levels}).crossed()[0]
            for level, sets in _write_path(added).items():
                before = factors.setdefault(name, {})
                if before.setdefault(level, sets) != sets:
                    raise ValueError(
                        f"factors.{name}: {level} is there already, and means another value: rename the level"
                    )
    except ValueError as error:
        raise SpecInvalid([FieldProblem("factors", explaining.field_problems(error))]) from None
    changes: dict[str, Any] = {"factors": factors}
    if more.replicates is not None:
        if more.replicates < study.replicates:
            raise SpecInvalid([FieldProblem("replicates", f"there are {study.replicates} already: ask for more")])
        changes["replicates"] = more.replicates
    cells = _cells_wanted(study, factors, more, crossed)
    if cells is not None:
        changes["design"] = study.design.model_dump() | {"cells": cells}
    try:
        return StudySpec.model_validate(study.model_dump() | changes)
    except ValueError as error:
        raise SpecInvalid([FieldProblem("factors", explaining.field_problems(error))]) from None


def _cells_wanted(study: StudySpec, factors: Mapping[str, Any], more: StudyExtension, crossed: int) -> int | None:
    """How many crossings a fraction is to have; as many more, unless it is said, as there are more levels to cross."""
    if study.design.name != "fractional":
        if more.cells is not None:
            raise SpecInvalid(
                [FieldProblem("cells", f"belongs to the fractional design; this one is {study.design.name}")]
            )
        return None
    before, after = 1, 1
    for factor in study.crossed():
        before *= len(factor.levels)
    for levels in factors.values():
        after *= len(levels)
    grown = min(MOST_CELLS, -(-crossed * after // before))
    if more.cells is not None and more.cells < crossed:
        raise SpecInvalid([FieldProblem("cells", f"there are {crossed} crossings already: ask for more")])
    return more.cells or max(grown, study.design.cells or 0)


def _write_path(factor: Factor) -> dict[str, Any]:
    """A factor with all its levels named, as a study would write it."""
    by_path = set(factor.paths) == {factor.name}
    return {level: sets[factor.name] if by_path else dict(sets) for level, sets in factor.levels.items()}


def _relabel(study: StudySpec, factors: Sequence[Factor], cell: Cell) -> Cell:
    """The cell with a level of every factor: that of which its job says the same, else none of them."""
    levels = dict(cell.levels)
    for factor in factors:
        if factor.name in levels:
            continue
        matches = [
            level
            for level in factor.levels
            if _digest(study, factors, levels | {factor.name: level}, cell.replicate) == cell.digest
        ]
        levels[factor.name] = matches[0] if matches else AS_BEFORE
    return dataclasses.replace(cell, levels=levels)


def _place(factors: Sequence[Factor], cell: Cell) -> design.Crossing | None:
    places = [list(factor.levels) for factor in factors]
    levels = [cell.levels[factor.name] for factor in factors]
    if any(level not in names for level, names in zip(levels, places, strict=True)):
        return None
    return tuple(names.index(level) for level, names in zip(levels, places, strict=True))


def _crossings(
    study: StudySpec, factors: Sequence[Factor], existing: Sequence[design.Crossing]
) -> list[design.Crossing]:
    try:
        return design.crossings(study.design, [len(factor.levels) for factor in factors], existing)
    except ValueError as error:
        raise SpecInvalid([FieldProblem("design", str(error))]) from None


def _plan_cells(
    study: StudySpec,
    factors: Sequence[Factor],
    crossings: Sequence[design.Crossing],
    first: int,
    digests: set[str],
    fresh: explaining.Fresh | None = None,
) -> list[PlannedCell]:
    """The cells of these crossings that are not known, repeat by repeat, numbered from `first` on; `fresh` as Refusals
    has it.
    """
    refused = explaining.Refusals(factors, fresh)
    planned: list[PlannedCell] = []
    digests_seen = set(digests)
    for replicate in range(study.replicates):
        for crossing in crossings:
            levels = {factor.name: list(factor.levels)[place] for factor, place in zip(factors, crossing, strict=True)}
            number = first + len(planned)
            cell = Cell(number, levels, replicate, "")
            document = _document(study, factors, cell, refused)
            spec = refused.validated(document, cell.levels) if document is not None else None
            if spec is None:
                continue
            if study.adaptive and (problem := _limited(spec)):
                refused.add("budget", problem, cell.levels)
            begun = _begun(study, spec)
            if (digest := digest_of(begun)) in digests_seen:
                continue
            digests_seen.add(digest)
            share = spec.budget.trials if study.adaptive else None
            planned.append(PlannedCell(dataclasses.replace(cell, digest=digest), begun, share))
    refused.raise_if_any()
    return planned


def _document(
    study: StudySpec, factors: Sequence[Factor], cell: Cell, refused: explaining.Refusals
) -> dict[str, Any] | None:
    """The cell's job as a document; None where a level does not fit into the base, which is then refused."""
    document: dict[str, Any] = dict(study.base)
    for factor in factors:
        try:
            document = applied(document, factor.levels[cell.levels[factor.name]])
        except ValueError as error:
            refused.add(f"factors.{factor.name}", str(error), cell.levels)
            return None
    stem = document.get("name", study.name)
    document["name"] = f"{stem[:94].rstrip()}-{cell.number:03d}" if isinstance(stem, str) else stem
    labels = document.get("labels")
    if labels is None or isinstance(labels, dict):
        document["labels"] = {**(labels or {}), **labels_of(study, cell)}
    return repeated(_with_grid(study, document), cell.replicate)


def _with_grid(study: StudySpec, document: dict[str, Any]) -> dict[str, Any]:
    """The job with the study's grid, and as many trials as whole rounds of it have that its budget pays for; in an
    adaptive study with all of them.
    """
    if study.trials == "search":
        return document
    document["grid"] = study.trials.model_dump(mode="json", exclude={"name"}, exclude_none=True)
    if study.adaptive:
        return document
    with suppress(ValueError):  # what is wrong with the job is told when it is read
        spec = JobSpec.model_validate(document)
        trials = study.trials.whole_rounds(spec.space, spec.budget.trials)
        if trials != spec.budget.trials:
            document["budget"] = {**(document.get("budget") or {}), "trials": trials}
    return document


def _begun(study: StudySpec, spec: JobSpec) -> JobSpec:
    """The job as it is submitted: in an adaptive study with its first rounds alone."""
    if spec.grid is None or not study.adaptive:
        return spec
    size = spec.grid.round_size(spec.space)
    rounds = max(FIRST_ROUNDS, -(-FEWEST // size))
    return _with_trials(spec, min(rounds, spec.budget.trials // size) * size)


def _with_trials(spec: JobSpec, trials: int) -> JobSpec:
    return spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": trials})})


def _limited(spec: JobSpec) -> str | None:
    """What else than trials limits a job, which an adaptive study could not hand out."""
    limits = [name for name in ("trainings", "epochs", "hours", "seconds") if getattr(spec.budget, name) is not None]
    if not limits:
        return None
    return f"an adaptive study hands out trials, and nothing else may end a cell: leave {limits[0]} out"


def repeated(document: Mapping[str, Any], replicate: int) -> dict[str, Any]:
    """The job with another split, another teacher and other students; the first repeat is the job itself.

    So are all members of an ensemble, and weights with which all students begin. Logits that were given belong to one
    split and one teacher: there the students alone are others.
    """
    moved = copy.deepcopy(dict(document))
    for part, name in _seeds(moved) if replicate else ():
        before = part.get(name, 0)
        if isinstance(before, int):  # what is no number is refused as it stands
            part[name] = (before + replicate) % 2**31
    return moved


def _seeds(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """The groups of a job, as somebody wrote it, that have a seed which makes another repeat; and its name there."""
    yield document, "seed"
    teacher = document.get("teacher")
    members = teacher.get("members") if isinstance(teacher, dict) and teacher.get("source") == "ensemble" else None
    teachers = [member for member in (members if isinstance(members, list) else [teacher]) if isinstance(member, dict)]
    if not any(member.get("source") == "logits" for member in teachers):
        if isinstance(document.get("dataset"), dict):
            yield document["dataset"], "split_seed"
        yield from ((member, "seed") for member in teachers)
    student = document.get("student")
    initial = student.get("initial") if isinstance(student, dict) else None
    if isinstance(initial, dict) and initial.get("source", "random") != "random":
        yield initial, "seed"


def _digest(study: StudySpec, factors: Sequence[Factor], levels: Mapping[str, str], replicate: int) -> str | None:
    """Of the cell with these levels, factors without one left as they are in the base; None where it is refused."""
    present = [factor for factor in factors if levels.get(factor.name) in factor.levels]
    refused = explaining.Refusals(present, {})
    document = _document(study, present, Cell(0, levels, replicate, ""), refused)
    spec = refused.validated(document, levels) if document is not None else None
    return None if spec is None else digest_of(_begun(study, spec))


def _check_count(cells: int) -> None:
    if cells > MOST_CELLS:
        raise SpecInvalid(
            [
                FieldProblem(
                    "replicates", f"the study would have {cells:,} cells, repeats included; at most {MOST_CELLS}"
                )
            ]
        )
