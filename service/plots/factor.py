"""The best temperature at each level of a study's factor, with its interval and its cells."""

from __future__ import annotations

from search import units
from search.analysis.study import guidance_words
from service.plots.axes import temperature_axis
from service.plots.data import Axis, Dots, Legend, Mark, Panel, PlotData, Whisker, Words
from thermowell.api.guidance import CellGuide, FactorGuide, Guidance, LevelGuide, Located

_COLOURS = {"moves": "best", "negligible": "close", "cannot tell": "soft"}
_VERDICTS = {
    "moves": "moves the best T",
    "negligible": "does not move it by anything that matters",
    "cannot tell": "the evidence cannot tell",
}


def factor_plot(guidance: Guidance, factor: FactorGuide) -> PlotData:
    """The factor's levels, a row each. An arrow says that the best T may lie beyond what was searched."""
    condition = ", on average over the other factors" if len(guidance.factors) > 1 else ""
    share = f"{100 * factor.share.mean:.0f} % of the variance"
    x = temperature_axis(*(guidance.searched or (1.0, 40.0)))
    contrasts = {entry.level: entry for entry in factor.contrasts}
    marks: list[Mark] = []
    for row, level in enumerate(factor.levels):
        contrast = contrasts.get(level.level)
        colour = "ink" if contrast is None else _COLOURS[contrast.verdict]
        cells = [best for cell in guidance.cells if (best := _cell_position(cell, factor, level)) is not None]
        marks.append(
            Dots([(best.temperature, row + 0.22) for best in cells], "soft", "a cell by itself", "ring", 2.6, 0.8)
        )
        marks += _level(level, float(row), colour, x)
        effect = "others against it" if contrast is None else guidance_words.effect(contrast, short=True)
        marks.append(Words(x.high, row - 0.14, guidance_words.temperature(level.best), "start", "ink", bold=True))
        marks.append(Words(x.high, row + 0.2, effect, "start", colour if contrast else "soft"))
    names = [f"{level.level} ({level.jobs} job{'' if level.jobs == 1 else 's'})" for level in factor.levels]
    widest = max((len(mark.text) for mark in marks if isinstance(mark, Words)), default=0)
    panel = Panel(x, Axis("", len(names) - 0.5, -0.5, categories=names), marks, margin=min(150.0, 6.6 * widest + 14))
    confidence = units.percent(guidance.confidence)
    return PlotData(
        name=f"factor-{guidance.factors.index(factor)}",
        title=f"Best temperature by {factor.name}",
        subtitle=f"{_VERDICTS[factor.verdict]}{condition}; {share}",
        description=factor.words,
        panels=[panel],
        height=48.0 * len(names),
        legend=[
            Legend("dot", "soft", f"a level, with its {confidence} interval; an arrow: it may lie beyond the range"),
            Legend("ring", "soft", "a cell by itself"),
        ],
    )


def _level(level: LevelGuide, row: float, colour: str, x: Axis) -> list[Mark]:
    best = level.best
    low, high = max(best.interval.low, x.low), min(best.interval.high, x.high)
    marks: list[Mark] = [
        Whisker(row, low, high, colour, width=2.6),
        Dots([(best.temperature, row)], colour, "a level", size=6.0, opacity=1.0),
    ]
    if best.censored_low:
        marks.append(Words(low, row - 0.2, "\N{LEFTWARDS ARROW}", "start", colour, bold=True))
    if best.censored_high:
        marks.append(Words(high, row - 0.2, "\N{RIGHTWARDS ARROW}", "end", colour, bold=True))
    return marks


def _cell_position(cell: CellGuide, factor: FactorGuide, level: LevelGuide) -> Located | None:
    if factor.factor in cell.levels:
        return cell.best if cell.levels[factor.factor] == level.level else None
    return cell.by_optimizer.get(level.level)
