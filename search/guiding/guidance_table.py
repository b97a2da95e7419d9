"""A study's guidance as Markdown: a table of its cells and one of its factors."""

from __future__ import annotations

from collections.abc import Sequence

from search import units
from search.guiding import guidance_words
from search.guiding.documents import CellGuide, Guidance, Located, Measured
from search.units import Metric

NONE = "\N{EN DASH}"


def markdown(guidance: Guidance) -> str:
    """The whole guidance: the paragraph, the table of cells, that of factors, and what is not covered."""
    parts = [f"# {_safe(guidance.study)}", guidance.summary, "## Cells", _written(*cell_table(guidance))]
    if guidance.factors:
        parts += ["## What moves the best T", _written(*factor_table(guidance))]
    if guidance.interactions:
        parts += ["## What acts together", "\n".join(f"- {_safe(one.words)}" for one in guidance.interactions)]
    parts += ["## What this does not cover", "\n".join(f"- {_safe(one)}" for one in guidance.limits)]
    return "\n\n".join([*parts, guidance.method]) + "\n"


def cell_table(guidance: Guidance, *, narrow: bool = False) -> tuple[list[str], list[list[str]]]:
    """Header and rows: the levels, best T with its interval, how good it is, the gain over T = 4, jobs.

    `narrow` has short headers, and half of an interval's length in place of its ends.
    """
    factors = list(dict.fromkeys(name for cell in guidance.cells for name in cell.levels))
    names = guidance_words.named(factors)
    optimizers = list(dict.fromkeys(name for cell in guidance.cells for name in cell.by_optimizer))
    metric, tail = units.NAMES[guidance.metric], " over T = 4"
    if narrow:
        metric, tail = "accuracy" if guidance.metric == "accuracy" else guidance.metric.upper(), ""
    header = [
        *(names[factor] for factor in factors),
        "best T",
        *(f"best T, {units.OPTIMIZERS.get(name, name)}" for name in optimizers),
        metric if narrow else f"{part(guidance)} {metric}",
        f"gain{tail}",
        "jobs",
    ]
    return header, [_row(cell, factors, optimizers, guidance.metric, narrow) for cell in guidance.cells]


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
        contrasts = {one.level: one for one in factor.contrasts}
        for place, one in enumerate(factor.levels):
            against = contrasts.get(one.level)
            rows.append(
                [
                    factor.name if place == 0 else "",
                    one.level,
                    best(one.best),
                    "" if against is None else guidance_words.effect(against, short=True),
                    share(factor.share) if place == 0 else "",
                    difference(one.gain, guidance.metric),
                    "" if against is None else against.verdict,
                ]
            )
    return header, rows


def best(found: Located | None) -> str:
    """A best temperature with its interval, open ends marked."""
    return NONE if found is None else guidance_words.temperature(found)


def level(found: Measured | None, metric: Metric, *, narrow: bool = False) -> str:
    """A quality with its interval in brackets: 92.1 (91.5 to 92.6); `narrow` 92.1 ±0.6."""
    if found is None:
        return NONE
    places = units.places(metric, found.interval)
    return units.plain(metric, found.mean, places) + _behind(found, metric, places, narrow)


def difference(found: Measured | None, metric: Metric, *, narrow: bool = False) -> str:
    """A gain with its sign and its interval in brackets; `narrow` as of a level."""
    if found is None:
        return NONE
    places = units.places(metric, found.interval)
    said = units.plain(metric, found.mean, places)
    return ("" if said.startswith(units.MINUS) else "+") + said + _behind(found, metric, places, narrow)


def _behind(found: Measured, metric: Metric, places: int, narrow: bool) -> str:
    if found.interval is None:
        return ""
    if narrow:
        return f" ±{units.plain(metric, (found.interval.high - found.interval.low) / 2, places)}"
    low, high = (units.plain(metric, end, places) for end in (found.interval.low, found.interval.high))
    return f" ({low} to {high})"


def share(found: Measured) -> str:
    """A share of variance in whole per cent, with its interval."""
    within = found.interval
    behind = f" ({100 * within.low:.0f} to {100 * within.high:.0f})" if within else ""
    return f"{100 * found.mean:.0f} %{behind}"


def _written(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(_safe(cell) for cell in line)} |" for line in lines)


def _safe(words: str) -> str:
    """Names come from people: nothing of theirs becomes markup."""
    plain = " ".join(words.split())
    for sign in "\\`*_[]<>|#":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
