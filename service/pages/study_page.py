"""The pages of studies: the list, and one study with its cells, how far each is, and what it has answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from search import units
from search.records import Principal
from search.studies.records import Study, StudyCell, StudyDetail
from service.pages.jobs_page import Bar, all_trials, cell_counts, cells_bar

NONE = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class StudyLine:
    """One study in the list of studies."""

    study: Study
    bar: Bar
    counts: str
    factors: str
    foreign: bool


@dataclass(frozen=True, slots=True)
class CellLine:
    """One cell of a study as a row of a table."""

    cell: StudyCell
    levels: Sequence[str]
    bar: Bar | None
    best: str
    interval: str
    quality: str
    gain: str
    gain_interval: str


def line(study: Study, viewer: Principal) -> StudyLine:
    """A study as the list of studies shows it."""
    factors = "; ".join(f"{short(name)}: {', '.join(levels)}" for name, levels in study.factors.items())
    return StudyLine(study, cells_bar(study), cell_counts(study), factors, study.owner != viewer.id)


def short(factor: str) -> str:
    """A factor's name without the groups that its field stands in."""
    return factor.rpartition(".")[2] or factor


def cells(study: StudyDetail) -> list[CellLine]:
    """The cells in the order of their numbers."""
    return [_cell(study, cell) for cell in study.cells]


def all_of(study: StudyDetail) -> Bar:
    """How many trials of all its jobs have ended, of those that are planned as far as is known, with those that an
    adaptive study may still hand out.
    """
    bars = [all_trials(cell.progress, cell.state) for cell in study.cells if cell.progress is not None]
    left = 0 if study.allotted is None else study.allotted.left
    finished, planned = sum(bar.done for bar in bars), sum(bar.total for bar in bars) + left
    return Bar("All trials", finished, max(planned, 1), f"{finished} of {planned}")


def _cell(study: StudyDetail, cell: StudyCell) -> CellLine:
    metric = study.spec["base"].get("objective", {}).get("metric", "accuracy")
    best, interval = _best(cell)
    gain, gain_interval = NONE, ""
    if cell.gain is not None and cell.gain.mean is not None:
        gain = ("+" if cell.gain.mean > 0 else "") + units.plain(metric, cell.gain.mean)
        if cell.gain.interval is not None:
            low, high = (units.plain(metric, end) for end in (cell.gain.interval.low, cell.gain.interval.high))
            gain_interval = f"{low} to {high}"
    quality = NONE
    if cell.quality is not None and cell.quality.mean is not None:
        quality = units.level(metric, cell.quality.mean)
    return CellLine(
        cell=cell,
        levels=[cell.levels.get(name, "") for name in study.factors],
        bar=_bar(cell),
        best=best,
        interval=interval,
        quality=quality,
        gain=gain,
        gain_interval=gain_interval,
    )


def _bar(cell: StudyCell) -> Bar | None:
    """How far a cell's job is, and whether it waits; None where the job is gone."""
    if cell.progress is None:
        return None
    bar = all_trials(cell.progress, cell.state)
    waits = cell.state == "running" and cell.progress.waits_for
    return replace(bar, words=f"{bar.words}, waiting") if waits else bar


def _best(cell: StudyCell) -> tuple[str, str]:
    """The best T and its interval; an end that the searched range cuts off is marked as open."""
    if cell.best_temperature is None or cell.best is None:
        return NONE, ""
    intervals = cell.best.intervals or [(cell.best_temperature, cell.best_temperature)]
    low, high = units.number(intervals[0][0], 2), units.number(intervals[-1][1], 2)
    begin, end = "≤" if cell.best.censored_low else "", "≥" if cell.best.censored_high else ""
    return units.number(cell.best_temperature, 2), f"{begin}{low} to {end}{high}"
