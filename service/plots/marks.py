"""Marks of a panel as SVG elements. What lies outside of the axes is shown at the edge, never left out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from service.plots import svg
from service.plots.data import Band, Bar, Dots, Line, Mark, Panel, Point, Rule, Tiles, Whisker, Words
from service.plots.layout import SIZE, Frame, wide
from service.plots.svg import Element

EDGE = 4.0
"""Half the width of a mark at the edge."""


def draw(root: Element, panel: Panel, frame: Frame) -> bool:
    """Draws a panel's marks; whether some of them lie outside and are shown at the edge."""
    outside = False
    for mark in panel.marks:
        act = _DRAW.get(type(mark))
        if act is not None:
            outside = act(root, mark, panel, frame) or outside
    return outside


def paint(element: Element, colour: str, *, fill: bool) -> None:
    """Gives a shape a named colour of the stylesheet, or one of its own."""
    kind = "fill" if fill else "stroke"
    if colour.startswith("#"):
        element.set("style", f"{element.get('style', '')}{kind}:{colour};".lstrip(";"))
    else:
        element.set("class", " ".join([*element.get("class", "").split(), f"tw-{kind[0]}-{colour}"]))


def shape(root: Element, tag: str, *, fill: str = "", stroke: str = "", **attributes: float | str) -> Element:
    """A shape in these colours."""
    element = svg.add(root, tag, **attributes)  # type: ignore[arg-type]
    if fill:
        element.attrib.pop("fill", None)
        paint(element, fill, fill=True)
    if stroke:
        paint(element, stroke, fill=False)
    return element


def symbol(root: Element, kind: str, colour: str, x: float, y: float, size: float, opacity: float = 1.0) -> None:
    """One mark at a place: a dot or a diamond, full or open."""
    if kind in ("dot", "ring"):
        if kind == "dot":
            shape(root, "circle", fill=colour, cx=x, cy=y, r=size, fill_opacity=opacity)
        else:
            shape(root, "circle", stroke=colour, cx=x, cy=y, r=size, stroke_opacity=opacity, stroke_width=1.2)
        return
    corners = [(x, y - size), (x + size, y), (x, y + size), (x - size, y)]
    fill = colour if kind == "diamond" else "paper"
    shape(root, "path", fill=fill, stroke=colour, d=svg.path(corners, True), stroke_width=2)


def edge_mark(root: Element, colour: str, frame: Frame, x: float, y: float, opacity: float = 0.8) -> None:
    """A small triangle at the edge nearest to a place that lies outside."""
    inner = min(max(x, frame.left), frame.right), min(max(y, frame.top), frame.bottom)
    vertical = not frame.top <= y <= frame.bottom
    way = (1 if y > frame.bottom else -1) if vertical else (1 if x > frame.right else -1)
    base = [(-EDGE, -6.0 * way), (EDGE, -6.0 * way), (0.0, 0.0)]
    corners = [(inner[0] + (a if vertical else b), inner[1] + (b if vertical else a)) for a, b in base]
    shape(root, "path", fill=colour, d=svg.path(corners, True), fill_opacity=opacity)


def _inside(frame: Frame, place: Point) -> bool:
    return frame.left - 0.5 <= place[0] <= frame.right + 0.5 and frame.top - 0.5 <= place[1] <= frame.bottom + 0.5


def _line(root: Element, mark: Line, panel: Panel, frame: Frame) -> bool:
    places = [(frame.across(x), frame.up(y)) for x, y in mark.points]
    outside = False
    for run in _runs(places, frame):
        if len(run) == 1:
            shape(root, "circle", fill=mark.colour, cx=run[0][0], cy=run[0][1], r=2, fill_opacity=mark.opacity)
            continue
        element = shape(root, "path", stroke=mark.colour, d=svg.path(run), stroke_width=mark.width)
        element.set("stroke-linejoin", "round")
        if mark.dash:
            element.set("stroke-dasharray", mark.dash)
        if mark.opacity < 1:
            element.set("stroke-opacity", f"{mark.opacity:g}")
    for before, after in itertools.pairwise(places):
        if _inside(frame, before) == _inside(frame, after) or (mark.rising and _inside(frame, after)):
            continue
        crossing = _crossing(before, after, frame)
        above = (after if _inside(frame, before) else before)[1] < frame.top
        edge_mark(root, mark.colour, frame, crossing[0], frame.top - 1 if above else frame.bottom + 1)
        outside = True
    if places and not any(_inside(frame, place) for place in places):
        for place in places[-1:] if mark.rising else (places[0], places[-1]):
            edge_mark(root, mark.colour, frame, *place)
        outside = True
    return outside


def _runs(places: Sequence[Point], frame: Frame) -> Iterator[list[Point]]:
    """The parts of a line that lie between the upper and the lower edge, each to where it leaves."""
    run: list[Point] = []
    for index, place in enumerate(places):
        if _inside(frame, place):
            if not run and index:
                run.append(_crossing(place, places[index - 1], frame))
            run.append(place)
        elif run:
            run.append(_crossing(run[-1], place, frame))
            yield run
            run = []
    if run:
        yield run


def _crossing(inner: Point, outer: Point, frame: Frame) -> Point:
    """Where the way between two places, one of them inside, meets the upper or the lower edge."""
    if not _inside(frame, inner):
        inner, outer = outer, inner
    edge = frame.top if outer[1] < frame.top else frame.bottom
    if outer[1] == inner[1]:
        return inner
    share = min(max((edge - inner[1]) / (outer[1] - inner[1]), 0.0), 1.0)
    return inner[0] + share * (outer[0] - inner[0]), edge


def _band(root: Element, mark: Band, panel: Panel, frame: Frame) -> bool:
    def place(x: float, y: float) -> Point:
        return frame.across(x), min(max(frame.up(y), frame.top), frame.bottom)

    around = [*(place(x, high) for x, _, high in mark.points), *(place(x, low) for x, low, _ in reversed(mark.points))]
    shape(root, "path", fill=mark.colour, d=svg.path(around, closed=True), fill_opacity=mark.opacity)
    return not all(panel.y.holds(low) and panel.y.holds(high) for _, low, high in mark.points)


def _dots(root: Element, mark: Dots, panel: Panel, frame: Frame) -> bool:
    group, outside = svg.add(root, "g"), False
    colours = mark.colours or [mark.colour] * len(mark.points)
    for (x, y), colour in zip(mark.points, colours, strict=True):
        place = frame.across(x), frame.up(y)
        if _inside(frame, place):
            symbol(group, mark.symbol, colour, *place, mark.size, mark.opacity)
        else:
            edge_mark(group, colour, frame, *place, opacity=max(mark.opacity, 0.6))
            outside = True
    return outside


def _whisker(root: Element, mark: Whisker, panel: Panel, frame: Frame) -> bool:
    scale, axis = (frame.up, panel.y) if mark.upright else (frame.across, panel.x)
    if not (panel.x if mark.upright else panel.y).holds(mark.place):
        return True  # its middle is marked at the edge
    across = (frame.across if mark.upright else frame.up)(mark.place)
    low, high = (scale(min(max(end, axis.low), axis.high)) for end in (mark.low, mark.high))
    ends = (across, low, across, high) if mark.upright else (low, across, high, across)
    shape(root, "line", stroke=mark.colour, x1=ends[0], y1=ends[1], x2=ends[2], y2=ends[3], stroke_width=mark.width)
    cut = False
    for end in (mark.low, mark.high):
        if not axis.holds(end):
            place = (across, scale(end)) if mark.upright else (scale(end), across)
            edge_mark(root, mark.colour, frame, *place)
            cut = True
    return cut


def _rule(root: Element, mark: Rule, panel: Panel, frame: Frame) -> bool:
    scale, axis = (frame.across, panel.x) if mark.upright else (frame.up, panel.y)
    if not axis.holds(mark.place):
        return False
    place = scale(mark.place)
    ends = (place, frame.top, place, frame.bottom) if mark.upright else (frame.left, place, frame.right, place)
    element = shape(root, "line", stroke=mark.colour, x1=ends[0], y1=ends[1], x2=ends[2], y2=ends[3], stroke_width=1.4)
    if mark.dash:
        element.set("stroke-dasharray", mark.dash)
        element.set("stroke-linecap", "round")
    if mark.upright and mark.name and not mark.labelled:
        beyond = place + 4 + wide(mark.name) > frame.right
        x, anchor = (place - 4, "end") if beyond else (place + 4, "start")
        earlier = panel.marks[: panel.marks.index(mark)]
        row = sum(isinstance(other_mark, Rule) and other_mark.upright for other_mark in earlier)
        svg.text(
            root,
            x,
            frame.bottom - 8 - 15 * row,
            mark.name,
            fill=_named(mark.colour),
            size=SIZE,
            anchor=anchor,
            halo=True,
        )
    return False


def _bar(root: Element, mark: Bar, panel: Panel, frame: Frame) -> bool:
    y, left = frame.up(mark.row), frame.across(panel.x.low)
    width = max(frame.across(mark.value) - left, 1.0)
    shape(root, "rect", fill=mark.colour, x=left, y=y - 7, width=width, height=14, rx=2)
    svg.text(root, left + width + 8, y + 4, mark.words, fill="soft")
    return False


def _tiles(root: Element, mark: Tiles, panel: Panel, frame: Frame) -> bool:
    shape(root, "rect", fill="rule", x=frame.left, y=frame.top, width=frame.right - frame.left,
          height=frame.bottom - frame.top)  # fmt: skip
    xs, ys = _edges([frame.across(x) for x in mark.xs]), _edges([frame.up(y) for y in mark.ys])
    pieces: dict[int, list[str]] = {}
    for row, values in enumerate(mark.values):
        steps = [-1 if value is None else step_of(value, mark.limits, len(mark.colours)) for value in values]
        start = 0
        for column in range(1, len(steps) + 1):
            if column == len(steps) or steps[column] != steps[start]:
                if steps[start] >= 0:
                    piece = f"M{xs[start]:.1f},{ys[row]:.1f}H{xs[column]:.1f}V{ys[row + 1]:.1f}H{xs[start]:.1f}Z"
                    pieces.setdefault(steps[start], []).append(piece)
                start = column
    for step, parts in sorted(pieces.items()):
        shape(root, "path", fill=mark.colours[step], d="".join(parts))
    return False


def step_of(value: float, limits: Point, steps: int) -> int:
    """Which of so many equal steps between the limits a value is in, the ends' for what lies beyond."""
    share = (value - limits[0]) / (limits[1] - limits[0])
    return min(max(int(share * steps), 0), steps - 1)


def _edges(places: list[float]) -> list[float]:
    """Between which places the cell of each lies: half way to its neighbours, and no further than the last."""
    between = [(a + b) / 2 for a, b in itertools.pairwise(places)]
    return [places[0], *between, places[-1]]


def _words(root: Element, mark: Words, panel: Panel, frame: Frame) -> bool:
    x, y = frame.across(mark.x), frame.up(mark.y) + 4 + mark.below
    offset = {"start": 8.0, "middle": 0.0, "end": -8.0}[mark.anchor]
    svg.text(root, x + offset, y, mark.text, fill=_named(mark.colour), size=SIZE, anchor=mark.anchor,
             weight=600 if mark.bold else 400, halo=True)  # fmt: skip
    return False


def _named(colour: str) -> str:
    return "ink" if colour.startswith("#") else colour


_DRAW = cast(
    "dict[type[Mark], Callable[[Element, Any, Panel, Frame], bool]]",
    {Line: _line, Band: _band, Dots: _dots, Whisker: _whisker, Rule: _rule, Bar: _bar, Tiles: _tiles, Words: _words},
)
