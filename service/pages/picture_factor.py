"""The chart of a study's factor: the best temperature at each level, with its interval and its cells."""

from __future__ import annotations

from search import units
from search.analysis.study import guidance_words
from service.pages import svg
from service.pages.chart_axes import log_scale, wide
from service.pages.svg import Element, Scale
from thermowell.api.guidance import CellGuide, FactorGuide, Guidance, LevelGuide, Located

WIDTH = 748
LEFT, RIGHT = 196, 528
TOP, ROW = 78, 46
_COLOURS = {"moves": "best", "negligible": "close", "cannot tell": "soft"}
_VERDICTS = {
    "moves": "moves the best T",
    "negligible": "does not move it by anything that matters",
    "cannot tell": "the evidence cannot tell",
}


def draw(guidance: Guidance, factor: FactorGuide) -> str:
    """The factor's levels as SVG. An arrow says that the best T may lie beyond what was searched."""
    height = TOP + ROW * len(factor.levels) + 62
    title = f"Best temperature by {factor.name}"
    name = f"tw-factor-{guidance.factors.index(factor)}"
    root = svg.picture(name, WIDTH, height, title, factor.words)
    svg.text(root, 20, 28, title, size=16, weight=600)
    condition = ", on average over the other factors" if len(guidance.factors) > 1 else ""
    share = f"{100 * factor.share.mean:.0f} % of the variance"
    svg.text(root, 20, 46, f"{_VERDICTS[factor.verdict]}{condition}; {share}", fill="soft")
    across = log_scale(*(guidance.searched or (1.0, 40.0)), (LEFT, RIGHT))
    bottom = TOP + ROW * len(factor.levels)
    _axis(root, across, bottom)
    against = {entry.level: entry for entry in factor.contrasts}
    for place, level in enumerate(factor.levels):
        y = TOP + ROW * (place + 0.5)
        contrast = against.get(level.level)
        colour = "ink" if contrast is None else _COLOURS[contrast.verdict]
        _cells(root, guidance, factor, level, across, y)
        _level(root, level, across, y, colour)
        temperature = guidance_words.temperature(level.best)
        svg.text(root, RIGHT + 24, y - 2, temperature, weight=600)
        effect = "others against it" if contrast is None else guidance_words.effect(contrast, short=True)
        svg.text(root, RIGHT + 24, y + 14, effect, fill=colour if contrast else "soft", size=11.5)
    _legend(root, guidance, height - 14)
    return svg.to_text(root)


def _axis(root: Element, across: Scale, bottom: float) -> None:
    for value in across.ticks():
        x = across(value)
        svg.line(root, x, TOP - 8, x, bottom + 4, "rule")
        svg.text(root, x, bottom + 18, units.number(value), fill="soft", size=11.5, anchor="middle")
    svg.line(root, LEFT, bottom, RIGHT, bottom, "soft")
    svg.text(root, RIGHT + 24, bottom + 18, "temperature", fill="soft", size=11.5)


def _level(root: Element, level: LevelGuide, across: Scale, y: float, colour: str) -> None:
    svg.text(root, LEFT - 16, y - 2, _cut(level.level), anchor="end", weight=600)
    jobs = f"{level.jobs} job{'' if level.jobs == 1 else 's'}"
    svg.text(root, LEFT - 16, y + 13, jobs, fill="soft", size=11.5, anchor="end")
    left, right = across(level.best.interval.low), across(level.best.interval.high)
    svg.line(root, left, y, right, y, colour, 2.6)
    if level.best.censored_low:
        _arrow(root, left, y, -1, colour)
    if level.best.censored_high:
        _arrow(root, right, y, 1, colour)
    svg.add(root, "circle", fill=colour, stroke="paper", cx=across(level.best.temperature), cy=y, r=6, stroke_width=1.5)


def _arrow(root: Element, x: float, y: float, way: int, colour: str) -> None:
    """Beyond the end of what was searched."""
    svg.line(root, x, y, x + 8 * way, y, colour, 2.6)
    head = [(x + 15 * way, y), (x + 6 * way, y - 5), (x + 6 * way, y + 5)]
    svg.add(root, "path", fill=colour, d=svg.path(head, closed=True))


def _cells(root: Element, guidance: Guidance, factor: FactorGuide, level: LevelGuide, across: Scale, y: float) -> None:
    """Each cell's own best T, by itself: what the level is made of."""
    for cell in guidance.cells:
        best = _cell_position(cell, factor, level)
        if best is not None:
            svg.add(root, "circle", stroke="soft", cx=across(best.temperature), cy=y + 10, r=2.6, stroke_opacity=0.8)


def _cell_position(cell: CellGuide, factor: FactorGuide, level: LevelGuide) -> Located | None:
    if factor.factor in cell.levels:
        return cell.best if cell.levels[factor.factor] == level.level else None
    return cell.by_optimizer.get(level.level)


def _legend(root: Element, guidance: Guidance, y: float) -> None:
    confidence = units.percent(guidance.confidence)
    entries = [f"a level, with its {confidence} interval", "a cell by itself", "may lie beyond the range"]
    x = 20.0
    for place, words in enumerate(entries):
        if place == 0:
            svg.line(root, x, y - 4, x + 18, y - 4, "soft", 2.6)
            svg.add(root, "circle", fill="soft", cx=x + 9, cy=y - 4, r=5)
        elif place == 1:
            svg.add(root, "circle", stroke="soft", cx=x + 9, cy=y - 4, r=2.6)
        else:
            _arrow(root, x, y - 4, 1, "soft")
        svg.text(root, x + 24, y, words, fill="soft", size=11.5)
        x += 24 + wide(words) + 22


def _cut(words: str) -> str:
    """A level's name as far as there is room for it."""
    return words if len(words) <= 24 else f"{words[:23]}…"
