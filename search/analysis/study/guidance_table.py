"""A study's guidance as Markdown: a table of its cells and one of its factors."""

from __future__ import annotations

from collections.abc import Sequence

from search import units
from search.analysis.study import guidance_words, question_words
from search.units import Metric
from thermowell.api.guidance import CellGuide, Guidance, Located, Measured

NONE = "\N{EN DASH}"


def markdown(guidance: Guidance) -> str:
    """The whole guidance: the paragraph, the table of cells, that of factors, and what is not covered."""
    parts = [f"# {_escape(guidance.study)}", guidance.summary, "## Cells", _to_markdown(*cell_table(guidance))]
    if guidance.factors:
        parts += ["## What moves the best T", _to_markdown(*factor_table(guidance))]
    if guidance.interactions:
        parts += ["## What acts together", _list([item.words for item in guidance.interactions])]
    if guidance.questions:
        parts += ["## What a wrong T costs, and what distilling gains", _list([q.words for q in guidance.questions])]
        parts += [_to_markdown(*question_words.cell_rows(guidance))]
        parts += [_to_markdown(*question_words.level_rows(guidance)), question_words.LEGEND]
    parts += ["## What this does not cover", _list(guidance.limits)]
    return "\n\n".join([*parts, guidance.method]) + "\n"


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {_escape(sentence)}" for sentence in sentences)


def cell_table(guidance: Guidance, *, narrow: bool = False) -> tuple[list[str], list[list[str]]]:
    """Header and rows: the levels, best T with its interval, how good it is, the gain over T = 4, jobs.

    `narrow` has short headers, and half of an interval's length in place of its ends.
    """
    factors = list(dict.fromkeys(name for cell in guidance.cells for name in cell.levels))
    names = guidance_words.display_names(factors)
    optimizers = list(dict.fromkeys(name for cell in guidance.cells for name in cell.by_optimizer))
    metric, tail = units.shown(guidance).label, " over T = 4"
    if narrow:
        metric, tail = units.shown(guidance).short, ""
    header = [
        *(names[factor] for factor in factors),
        "best T",
        *(f"best T, {units.OPTIMIZERS.get(name, name)}" for name in optimizers),
        metric if narrow else f"{part(guidance)} {metric}",
        f"gain{tail}",
        "jobs",
    ]
    return header, [_row(cell, factors, optimizers, units.shown(guidance), narrow) for cell in guidance.cells]


def part(guidance: Guidance) -> str:
    """On which part of the data the cells' qualities were measured."""
    return "test" if all(cell.tested for cell in guidance.cells if cell.finished) else "validation"


def _row(cell: CellGuide, factors: Sequence[str], optimizers: Sequence[str], metric: Metric, narrow: bool) -> list[str]:
    return [
        *(cell.levels.get(factor, NONE) for factor in factors),
        best(cell.best),
        *(best(cell.by_optimizer.get(name)) for name in optimizers),
        level(cell.quality, metric, narrow=narrow),
        difference(cell.gain, metric, narrow=narrow),
        str(cell.finished) if cell.finished == len(cell.jobs) else f"{cell.finished} of {len(cell.jobs)}",
    ]


def factor_table(guidance: Guidance) -> tuple[list[str], list[list[str]]]:
    """Header and rows: for each level its best T, by how much it differs from the first, the gain and the verdict."""
    header = ["factor", "level", "best T", "against the first", "share of variance", "gain over T = 4", "verdict"]
    rows = []
    for factor in guidance.factors:
        contrasts = {row.level: row for row in factor.contrasts}
        for place, row in enumerate(factor.levels):
            against = contrasts.get(row.level)
            rows.append(
                [
                    factor.name if place == 0 else "",
                    row.level,
                    best(row.best),
                    "" if against is None else guidance_words.effect(against, short=True),
                    share(factor.share) if place == 0 else "",
                    difference(row.gain, units.shown(guidance)),
                    "" if against is None else against.verdict,
                ]
            )
    return header, rows


def best(measured: Located | None) -> str:
    """A best temperature with its interval, open ends marked."""
    return NONE if measured is None else guidance_words.temperature(measured)


def level(measured: Measured | None, metric: Metric, *, narrow: bool = False) -> str:
    """A quality with its interval in brackets: 92.1 (91.5 to 92.6); `narrow` 92.1 ±0.6."""
    if measured is None:
        return NONE
    places = units.places(metric, measured.interval)
    return units.plain(metric, measured.mean, places) + _behind(measured, metric, places, narrow)


def difference(measured: Measured | None, metric: Metric, *, narrow: bool = False) -> str:
    """A gain with its sign and its interval in brackets; `narrow` as of a level."""
    if measured is None:
        return NONE
    places = units.places(metric, measured.interval)
    text = units.plain(metric, measured.mean, places)
    return ("" if text.startswith(units.MINUS) else "+") + text + _behind(measured, metric, places, narrow)


def _behind(measured: Measured, metric: Metric, places: int | None, narrow: bool) -> str:
    if measured.interval is None:
        return ""
    if narrow:
        return f" ±{units.plain(metric, (measured.interval.high - measured.interval.low) / 2, places)}"
    low, high = (units.plain(metric, end, places) for end in (measured.interval.low, measured.interval.high))
    return f" ({low} to {high})"


def share(measured: Measured) -> str:
    """A share of variance in whole per cent, with its interval."""
    interval = measured.interval
    behind = f" ({100 * interval.low:.0f} to {100 * interval.high:.0f})" if interval else ""
    return f"{100 * measured.mean:.0f} %{behind}"


def _to_markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_escape(cell) for cell in line)} |" for line in lines)


def _escape(words: str) -> str:
    """Names come from people: nothing of theirs becomes markup."""
    plain = " ".join(words.split())
    for sign in "\\`*_[]<>|#":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
