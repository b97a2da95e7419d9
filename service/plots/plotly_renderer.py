"""A plot as Plotly's JSON, for Optuna Dashboard.

Plain JSON rather than Plotly for Python: that would be 60 MB more to install, for a library of which Optuna Dashboard
reads nothing but this JSON. The tests hold every plot to Plotly's own schema.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

from service.plots import svg
from service.plots.data import (
    Axis,
    Band,
    Bar,
    Dots,
    Line,
    Mark,
    Panel,
    PlotData,
    Rule,
    Stripes,
    Tiles,
    Whisker,
    Words,
)
from service.plots.layout import ticks

Json = dict[str, Any]
COLOURS = {name: light for name, (light, _) in svg.COLOURS.items()}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
SYMBOLS = {"dot": "circle", "ring": "circle-open", "diamond": "diamond", "open diamond": "diamond-open"}
DASHES = {"5 4": "dash", "3 3": "dot", "1.5 4": "dot"}
HEIGHT = 230
"""Of a row of panels, where there are several."""


def render(plot: PlotData) -> Json:
    """{"data": [...], "layout": {...}}. On white in the dashboard's dark mode too: its colours are made for it."""
    subtitle = plot.empty or plot.subtitle
    if plot.source is not None and not plot.empty:
        subtitle = f"{subtitle} ({plot.source.words})"
    words = f"<b>{plot.title}</b><br><span style='font-size:12px;color:{COLOURS['soft']}'>{subtitle}</span>"
    layout: Json = {
        "title": {"text": words, "x": 0.02, "xanchor": "left", "font": {"size": 16}},
        "font": {"family": FONT, "color": COLOURS["ink"]},
        "paper_bgcolor": COLOURS["paper"],
        "plot_bgcolor": COLOURS["paper"],
        "margin": {"l": 64, "r": 24, "t": 96, "b": 56},
        "legend": {"orientation": "h", "y": -0.22, "font": {"size": 11}},
        "hovermode": "closest",
        "shapes": [],
        "annotations": [],
    }
    data: list[Json] = []
    columns = max(1, min(plot.columns, len(plot.panels)))
    rows = math.ceil(len(plot.panels) / columns)
    if len(plot.panels) > 1:
        layout["grid"] = {"rows": rows, "columns": columns, "pattern": "independent", "ygap": 0.45, "xgap": 0.2}
        layout["showlegend"] = False
        if rows > 1:
            layout["height"] = 120 + HEIGHT * rows
    for place, panel in enumerate(plot.panels):
        suffix = str(place + 1) if place else ""
        data += _panel(panel, suffix, layout, alone=len(plot.panels) == 1)
    if plot.colour_bar is not None and plot.panels:
        data.append(_colour_bar(plot))
    _name_once(data)
    return {"data": data, "layout": layout}


def _name_once(traces: Sequence[Json]) -> None:
    """Groups traces of one name, so that the legend has the name once and hides and shows all of them together."""
    names: set[str] = set()
    for trace in traces:
        name = trace.get("name")
        if name is not None:
            trace["legendgroup"] = name
            if name in names:
                trace["showlegend"] = False
            names.add(name)


def _panel(panel: Panel, suffix: str, layout: Json, *, alone: bool) -> list[Json]:
    places: Json = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    layout[f"xaxis{suffix}"] = _axis(panel.x)
    layout[f"yaxis{suffix}"] = _axis(panel.y)
    if panel.title and not alone:
        layout["annotations"].append(
            {"text": f"<b>{panel.title}</b>", "xref": f"x{suffix} domain", "yref": f"y{suffix} domain", "x": 0,
             "y": 1.03, "xanchor": "left", "yanchor": "bottom", "showarrow": False, "font": {"size": 12}}
        )  # fmt: skip
    traces: list[Json] = []
    for row, strip in enumerate(mark for mark in panel.marks if isinstance(mark, Stripes)):
        layout["shapes"] += _stripes(strip, suffix, row)
    for mark in panel.marks:
        act = _TRACES.get(type(mark))
        if act is not None:
            traces += [trace | places for trace in act(mark, panel)]
        elif isinstance(mark, Rule):
            layout["shapes"].append(_rule(mark, panel, suffix))
    return traces


def _axis(axis: Axis) -> Json:
    drawn: Json = {
        "title": {"text": axis.title}, "gridcolor": COLOURS["rule"], "linecolor": COLOURS["soft"], "zeroline": False,
        "automargin": True,
    }  # fmt: skip
    low, high = axis.low * axis.scale, axis.high * axis.scale
    if axis.log:
        drawn |= {"type": "log", "range": rounded([math.log10(low), math.log10(high)])}
        powers = [2.0**power for power in range(-20, 21) if axis.low * 0.99 <= 2.0**power <= axis.high * 1.01]
        if 2 <= len(powers) <= 9:
            drawn |= {"tickvals": powers, "ticktext": [words for _, words in ticks(_of(powers, axis))]}
        else:
            drawn |= {"dtick": 1, "exponentformat": "e"}
        return drawn
    drawn["range"] = rounded([low, high])
    if axis.categories or axis.words:
        labels = ticks(axis)
        drawn |= {"tickvals": [v * axis.scale for v, _ in labels], "ticktext": [words for _, words in labels]}
    elif axis.unit:
        drawn["ticksuffix"] = axis.unit
    return drawn


def _of(powers: Sequence[float], axis: Axis) -> Axis:
    return Axis("", axis.low, axis.high, words=[(power, f"{power:g}") for power in powers])


def _scaled(panel: Panel, points: Sequence[tuple[float, float]]) -> Json:
    return {
        "x": rounded([x * panel.x.scale for x, _ in points]),
        "y": rounded([y * panel.y.scale for _, y in points]),
    }


def _line(mark: Line, panel: Panel) -> list[Json]:
    line = {"color": colour(mark.colour), "width": mark.width, "dash": DASHES.get(mark.dash, "solid")}
    trace = {"type": "scatter", "mode": "lines", "line": line, "name": mark.name, "opacity": mark.opacity}
    return [trace | _scaled(panel, mark.points) | {"showlegend": bool(mark.name) and mark.opacity == 1.0}]


def _band(mark: Band, panel: Panel) -> list[Json]:
    around = [*((x, high) for x, _, high in mark.points), *((x, low) for x, low, _ in reversed(mark.points))]
    trace: Json = {
        "type": "scatter", "mode": "lines", "fill": "toself", "fillcolor": faded(colour(mark.colour), mark.opacity),
        "line": {"width": 0}, "hoverinfo": "skip", "name": mark.name, "showlegend": False,
    }  # fmt: skip
    return [trace | _scaled(panel, around)]


def _dots(mark: Dots, panel: Panel) -> list[Json]:
    colours = [colour(name) for name in mark.colours] or colour(mark.colour)
    marker = {"color": colours, "size": 2.2 * mark.size, "symbol": SYMBOLS[mark.symbol], "opacity": mark.opacity}
    trace: Json = {"type": "scatter", "mode": "markers", "marker": marker, "name": mark.name}
    if mark.texts:
        trace["text"] = list(mark.texts)
    return [trace | _scaled(panel, mark.points)]


def _whisker(mark: Whisker, panel: Panel) -> list[Json]:
    points = [(mark.place, end) if mark.upright else (end, mark.place) for end in (mark.low, mark.high)]
    line = {"color": colour(mark.colour), "width": mark.width}
    trace = {"type": "scatter", "mode": "lines", "line": line, "hoverinfo": "skip", "showlegend": False}
    return [trace | _scaled(panel, points)]


def _bar(mark: Bar, panel: Panel) -> list[Json]:
    trace = {"type": "bar", "orientation": "h", "marker": {"color": colour(mark.colour)}, "showlegend": False}
    return [trace | _scaled(panel, [(mark.value, mark.row)]) | {"text": [mark.words], "textposition": "auto"}]


def _words(mark: Words, panel: Panel) -> list[Json]:
    side = {"start": "middle right", "middle": "middle center", "end": "middle left"}[mark.anchor]
    if mark.below:
        side = side.replace("middle ", "bottom " if mark.below > 0 else "top ", 1)
    trace = {"type": "scatter", "mode": "text", "text": [mark.text], "textposition": side, "showlegend": False}
    font = {"size": 11, "color": colour(mark.colour)}
    return [trace | {"textfont": font, "cliponaxis": False, "hoverinfo": "skip"} | _scaled(panel, [(mark.x, mark.y)])]


def _tiles(mark: Tiles, panel: Panel) -> list[Json]:
    steps = len(mark.colours) - 1
    return [
        {
            "type": "heatmap",
            "x": rounded([x * panel.x.scale for x in mark.xs]),
            "y": rounded([y * panel.y.scale for y in mark.ys]),
            "z": [rounded(row) for row in mark.values],
            "zmin": rounded([mark.limits[0]])[0],
            "zmax": rounded([mark.limits[1]])[0],
            "showscale": False,
            "colorscale": [[place / steps, name] for place, name in enumerate(mark.colours)],
            "hovertemplate": "T %{x:.3g}<br>%{y:.3g}<br>%{z:.4f}<extra></extra>",
        }
    ]


def _stripes(mark: Stripes, suffix: str, row: int) -> list[Json]:
    strip = {
        "type": "rect", "xref": f"x{suffix}", "yref": f"y{suffix} domain", "y0": 0.03 * row, "y1": 0.03 * row + 0.025,
        "fillcolor": colour(mark.colour), "opacity": 0.55, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip
    return [strip | {"x0": low, "x1": high} for low, high in rounded_pairs(mark.intervals)]


def _rule(mark: Rule, panel: Panel, suffix: str) -> Json:
    line = {"color": colour(mark.colour), "width": 1.4, "dash": DASHES.get(mark.dash, "solid")}
    value = mark.place * (panel.x.scale if mark.upright else panel.y.scale)
    ends = ("x", "y") if mark.upright else ("y", "x")
    shape: Json = {"type": "line", "line": line, f"{ends[0]}ref": f"{ends[0]}{suffix}", f"{ends[0]}0": value,
                   f"{ends[0]}1": value, f"{ends[1]}ref": f"{ends[1]}{suffix} domain", f"{ends[1]}0": 0,
                   f"{ends[1]}1": 1}  # fmt: skip
    if mark.name:
        shape["label"] = {"text": mark.name, "font": {"size": 10, "color": COLOURS["soft"]}, "textposition": "end"}
    return shape


def _colour_bar(plot: PlotData) -> Json:
    """Marks that nobody sees, for the sake of their colour bar."""
    assert plot.colour_bar is not None
    colours = plot.colour_bar.colours
    scale = [[place / (len(colours) - 1), name] for place, name in enumerate(colours)]
    bar = {"tickvals": [0, 1], "ticktext": [plot.colour_bar.low, plot.colour_bar.high], "thickness": 14}
    marker = {"color": [0], "cmin": 0, "cmax": 1, "colorscale": scale, "showscale": True, "colorbar": bar}
    return {
        "type": "scatter", "mode": "markers", "x": [None], "y": [None], "showlegend": False, "hoverinfo": "skip",
        "marker": marker,
    }  # fmt: skip


def colour(name: str) -> str:
    """A named colour, as it is by day; others as they are."""
    return name if name.startswith("#") else COLOURS[name]


def rounded(values: Sequence[Any]) -> list[Any]:
    """Six digits are more than a plot shows, and a third of the bytes."""
    return [float(f"{value:.6g}") if isinstance(value, float) else value for value in values]


def rounded_pairs(pairs: Sequence[tuple[float, float]]) -> list[list[float]]:
    """As `rounded`, of pairs."""
    return [rounded([float(low), float(high)]) for low, high in pairs]


def faded(name: str, opacity: float) -> str:
    """The colour, let through."""
    red, green, blue = (int(name[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


_TRACES = cast(
    "dict[type[Mark], Callable[[Any, Panel], list[Json]]]",
    {Line: _line, Band: _band, Dots: _dots, Whisker: _whisker, Bar: _bar, Tiles: _tiles, Words: _words},
)
