"""A plot as self-contained SVG of any width: its headings, panels, legend and colours, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from service.plots import marks, svg
from service.plots.axes import colour_bar
from service.plots.data import Legend, Line, Panel, PlotData, Rule, Stripes
from service.plots.layout import (
    BOLD,
    NARROW,
    SIZE,
    Frame,
    Margins,
    category_lines,
    fitting,
    frame,
    margins,
    stripe_height,
    stripe_lines,
    tick_lines,
    ticks,
    wide,
    wrapped,
)
from service.plots.svg import Element

Width = Literal["wide", "narrow"]
WIDTHS: dict[Width, int] = {"wide": 720, "narrow": 358}
"""In pixels: for a page, and for a telephone held upright."""
EDGE, GAP = 14.0, 18.0


@dataclass(frozen=True, slots=True)
class _Row:
    """Panels beside share other, and how high they are with all that belongs to them."""

    panels: Sequence[Panel]
    around: Sequence[Margins]
    above: float
    below: float


def render(plot: PlotData, width: Width = "wide") -> str:
    """The plot as SVG. The same plot gives the same picture."""
    across = WIDTHS[width]
    narrow = across < NARROW
    title = wrapped(plot.title, across - 2 * EDGE, 16 * BOLD)
    subtitle = wrapped(plot.subtitle, across - 2 * EDGE, 12)
    heading = 12 + 20 * len(title) + 16 * len(subtitle)
    rows = [] if plot.empty else _rows(plot, across, narrow)
    categories = any(panel.y.categories for panel in plot.panels)
    plot_height = min(plot.height, 220.0) if narrow and not categories else plot.height
    body = sum(row.above + plot_height + row.below for row in rows)
    entries = _legend_rows([*plot.legend, *_moved(plot, narrow)], across)
    footer = 20 * len(entries) + (30 if plot.colour_bar and rows else 0)
    empty = wrapped(plot.empty, across - 2 * EDGE, 14) if plot.empty else []
    height = heading + (body + footer + 12 if rows else 34 + 20 * len(empty))
    suffix = "" if width == "wide" else f"-{width}"
    root = svg.picture(f"tw-{plot.name}{suffix}", across, round(height), plot.title, plot.description)
    for place, line in enumerate(title):
        svg.text(root, EDGE, 28 + 20 * place, line, size=16, weight=600)
    for place, line in enumerate(subtitle):
        svg.text(root, EDGE, 8 + 20 * len(title) + 18 + 16 * place, line, fill="soft")
    for place, line in enumerate(empty):
        svg.text(root, across / 2, heading + 24 + 20 * place, line, fill="soft", size=14, anchor="middle")
    y, outside = float(heading), False
    for row in rows:
        outside = _draw_row(root, row, plot, across, y, plot_height) or outside
        y += row.above + plot_height + row.below
    if rows:
        _draw_legend(root, entries, y + 14)
        if plot.colour_bar is not None:
            bar, span = plot.colour_bar, 120 if narrow else 180
            left = across / 2 - span / 2 + (wide(bar.low) - wide(bar.high)) / 2
            colour_bar(root, left, y + 6 + 20 * len(entries), span, bar.colours, (bar.low, bar.high))
        if plot.source is not None:
            height += 18
            svg.text(root, EDGE, round(height) - 9, plot.source.words, fill="soft", size=SIZE)
        if outside:
            height += 18 if narrow or plot.source is None else 0
            words = "triangles at the edge: what lies beyond it"
            svg.text(root, across - EDGE, round(height) - 9, words, fill="soft", size=SIZE, anchor="end")
    svg.resize(root, across, round(height))
    return svg.to_text(root)


def _rows(plot: PlotData, across: int, narrow: bool) -> list[_Row]:
    columns = max(1, min(plot.columns, len(plot.panels), 1 if narrow and plot.columns < 3 else 2 if narrow else 9))
    width = _column_width(across, columns)
    rows = []
    for start in range(0, len(plot.panels), columns):
        panels = plot.panels[start : start + columns]
        around = [margins(panel, width, narrow) for panel in panels]
        above, below = max(share.above for share in around), max(share.below for share in around)
        rows.append(_Row([*panels, *[None] * (columns - len(panels))], around, above, below))  # type: ignore[list-item]
    return rows


def _column_width(across: int, columns: int) -> float:
    return (across - 2 * EDGE - GAP * (columns - 1)) / columns


def _draw_row(root: Element, row: _Row, plot: PlotData, across: int, y: float, height: float) -> bool:
    width, outside = _column_width(across, len(row.panels)), False
    narrow = across < NARROW
    for place, around in enumerate(row.around):
        panel = row.panels[place]
        even = Margins(around.left, around.right, row.above, row.below)
        placed = frame(panel, EDGE + place * (width + GAP), y, width, height, even)
        _axes(root, panel, placed, width)
        outside = marks.draw(root, panel, placed) or outside
        if not narrow:
            _end_labels(root, panel, placed)
        _stripes(root, panel, placed, width)
    return outside


def _axes(root: Element, panel: Panel, placed: Frame, width: float) -> None:
    lines = wrapped(panel.title, placed.right - placed.left, 12.5 * BOLD) if panel.title else []
    top = placed.top - 8 - (16 if panel.y.title else 0)
    for place, line in enumerate(reversed(lines)):
        svg.text(root, placed.left, top - 15 * place, line, fill=panel.colour, size=12.5, weight=600)
    if panel.note:
        svg.text(root, placed.right, top, panel.note, fill="soft", size=SIZE, anchor="end")
    if panel.y.title:
        svg.text(root, placed.left, placed.top - 6, panel.y.title, fill="soft", size=SIZE)
    for value, words in ticks(panel.y, max(3, round((placed.bottom - placed.top) / 50))):
        y = placed.up(value)
        svg.line(root, placed.left, y, placed.right, y, "rule")
        parts = wrapped(words, 0.42 * width)
        for place, part in enumerate(parts):
            svg.text(root, placed.left - 7, y + 4 + 13 * (place - (len(parts) - 1) / 2), part,
                     fill="soft" if not panel.y.categories else "ink", size=SIZE, anchor="end")  # fmt: skip
    _ticks_across(root, panel, placed, width)
    svg.line(root, placed.left, placed.bottom, placed.right, placed.bottom, "soft")


def _ticks_across(root: Element, panel: Panel, placed: Frame, width: float) -> None:
    about = max(3, round((placed.right - placed.left) / 60))
    values = ticks(panel.x, about)
    names = category_lines(panel, width)
    lines = tick_lines(panel, width)
    if not names:
        values = fitting(values, placed.across)
    for index, (value, words) in enumerate(values):
        x = placed.across(value)
        svg.line(root, x, placed.top, x, placed.bottom + 4, "rule")
        for place, part in enumerate(names[index] if names else [words]):
            if part:
                most = placed.right + 10 - wide(part) / 2  # the last name ends with the panel
                centre = min(x, most) if names else x
                svg.text(root, centre, placed.bottom + 17 + 15 * place, part, fill="soft", size=SIZE, anchor="middle")
    if panel.x.title:
        y = placed.bottom + 17 + 15 * (lines - 1) + 16
        svg.text(root, placed.right, y, panel.x.title, fill="soft", size=SIZE, anchor="end")


def _end_labels(root: Element, panel: Panel, placed: Frame) -> None:
    """Names at the right ends of lines, apart from share other."""
    labels: list[tuple[str, str, float]] = []
    for mark in panel.marks:
        if isinstance(mark, Line) and mark.labelled and mark.points:
            labels.append((mark.name, mark.colour, placed.up(mark.points[-1][1])))
        elif isinstance(mark, Rule) and mark.labelled and panel.y.holds(mark.place):
            labels.append((mark.name, mark.colour, placed.up(mark.place)))
    places = svg.spread_out([y for _, _, y in labels], 16, placed.top + 6, placed.bottom - 2)
    for (words, colour, _), y in zip(labels, places, strict=True):
        element = svg.text(root, placed.right + 10, y + 4, words, fill="", size=12, weight=600)
        marks.paint(element, colour, fill=True)


def _stripes(root: Element, panel: Panel, placed: Frame, width: float) -> None:
    rows = [mark for mark in panel.marks if isinstance(mark, Stripes)]
    lines = tick_lines(panel, width) if panel.x.categories else 1
    begin = placed.bottom + 30 + 15 * (lines - 1) + (16 if panel.x.title else 0)
    y = begin
    for mark in rows:
        svg.line(root, placed.left, y, placed.right, y, "rule")
        for low, high in mark.intervals:
            left, right = placed.across(max(low, panel.x.low)), placed.across(min(high, panel.x.high))
            marks.shape(root, "rect", fill=mark.colour, x=left, y=y - 4, width=max(right - left, 2), height=8, rx=2)
        for place, line in enumerate(stripe_lines(mark, placed.right - placed.left)):
            svg.text(root, placed.left, y + 17 + 14 * place, line, fill=mark.colour, size=SIZE)
        y += stripe_height(mark, placed.right - placed.left)


def _moved(plot: PlotData, narrow: bool) -> list[Legend]:
    """Names that find no room at the ends of their lines."""
    if not narrow:
        return []
    entries: dict[str, Legend] = {}
    for panel in plot.panels:
        for mark in panel.marks:
            if isinstance(mark, Line | Rule) and mark.labelled and mark.name:
                kind: Literal["dots", "dashes", "line"] = "dots" if isinstance(mark, Rule) else "line"
                entries.setdefault(
                    mark.name, Legend("dashes" if mark.dash and kind == "line" else kind, mark.colour, mark.name)
                )
    return list(entries.values())


def _legend_rows(entries: Sequence[Legend], across: int) -> list[list[tuple[Legend | None, float, str]]]:
    """Entries in rows that fit, share with its place; one that is too long by itself goes on in the next row."""
    rows: list[list[tuple[Legend | None, float, str]]] = []
    x = float(across)
    for entry in entries:
        first, *rest = wrapped(entry.words, across - 2 * EDGE - 24, SIZE)
        length = 24 + wide(first) + 16
        if x + length - 16 > across - EDGE or rest:
            rows.append([])
            x = EDGE
        rows[-1].append((entry, x, first))
        x += length
        for line in rest:
            rows.append([(None, EDGE, line)])
            x = float(across)
    return rows


def _draw_legend(root: Element, rows: Sequence[Sequence[tuple[Legend | None, float, str]]], y: float) -> None:
    for place, row in enumerate(rows):
        for entry, x, words in row:
            if entry is not None:
                _sample(root, entry, x, y + 20 * place)
            svg.text(root, x + 24, y + 20 * place + 4, words, fill="soft", size=SIZE)


def _sample(root: Element, entry: Legend, x: float, y: float) -> None:
    if entry.kind in ("dot", "ring", "diamond", "open diamond"):
        size = {"dot": 2.8, "ring": 2.4, "diamond": 6.0, "open diamond": 5.0}[entry.kind]
        marks.symbol(root, entry.kind, entry.colour, x + 9, y, size, 0.8)
    elif entry.kind == "band":
        marks.shape(root, "rect", fill=entry.colour, x=x, y=y - 6, width=18, height=12, fill_opacity=0.3)
    elif entry.kind == "stripe":
        marks.shape(root, "rect", fill=entry.colour, x=x, y=y - 4, width=18, height=8, rx=2)
    else:
        element = marks.shape(root, "line", stroke=entry.colour, x1=x, y1=y, x2=x + 18, y2=y, stroke_width=2.2)
        if entry.kind != "line":
            element.set("stroke-dasharray", "5 4" if entry.kind == "dashes" else "1.5 4")
