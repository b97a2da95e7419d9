"""Colours, axes and traces that all plots in Optuna Dashboard share, as Plotly's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from search import units
from service.pages import svg
from service.pages.chart_axes import roomy

Json = dict[str, Any]
COLOURS = {name: light for name, (light, _) in svg.COLOURS.items()}
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"


def figure(title: str, subtitle: str, data: Sequence[Json], **layout: Any) -> Json:
    """A whole figure. On white in the dashboard's dark mode too: its colours are made for it."""
    words = f"<b>{title}</b><br><span style='font-size:12px;color:{COLOURS['soft']}'>{subtitle}</span>"
    usual: Json = {
        "title": {"text": words, "x": 0.02, "xanchor": "left", "font": {"size": 16}},
        "font": {"family": FONT, "color": COLOURS["ink"]},
        "paper_bgcolor": COLOURS["paper"],
        "plot_bgcolor": COLOURS["paper"],
        "margin": {"l": 64, "r": 24, "t": 84, "b": 56},
        "legend": {"orientation": "h", "y": -0.22, "font": {"size": 11}},
        "hovermode": "closest",
    }
    return {"data": list(data), "layout": usual | layout}


def axis(title: str, *, log: bool = False) -> Json:
    """One axis; a logarithmic one has its labels at powers of two, as temperatures are named."""
    drawn: Json = {
        "title": {"text": title}, "gridcolor": COLOURS["rule"], "linecolor": COLOURS["soft"], "zeroline": False,
        "automargin": True,
    }  # fmt: skip
    if log:
        powers = [2.0**power for power in range(-6, 11)]
        drawn |= {"type": "log", "tickvals": powers, "ticktext": [units.number(power) for power in powers]}
    return drawn


def quality_axis(metric: units.Metric, values: Sequence[float] = ()) -> Json:
    """The objective's axis: per cent, or nats. It shows these values; what lies beyond is there for who zooms out."""
    display = units.measure(metric)
    drawn = axis(f"{display.label}{display.in_unit}")
    return drawn | ({"range": display_values(metric, roomy(values, metric))} if values else {})


def line(x: Sequence[Any], y: Sequence[Any], colour: str, name: str, *, width: float = 2.2, **more: Any) -> Json:
    """A line through these points."""
    drawn = {"color": colour, "width": width}
    return {"type": "scatter", "mode": "lines", "x": rounded(x), "y": list(y), "line": drawn, "name": name, **more}


def marks(
    x: Sequence[Any],
    y: Sequence[Any],
    colour: str,
    name: str,
    *,
    symbol: str | Sequence[str],
    size: float,
    opacity: float = 1.0,
    **more: Any,
) -> Json:
    """A mark at each of these points."""
    drawn: Json = {"color": colour, "size": size, "symbol": symbol, "opacity": opacity}
    return {"type": "scatter", "mode": "markers", "x": rounded(x), "y": list(y), "marker": drawn, "name": name, **more}


def display_values(metric: units.Metric, values: Sequence[float]) -> list[float]:
    """Values of the objective as people read them: shares in per cent."""
    return rounded([value * units.scale(metric) for value in values])


def rounded(values: Sequence[Any]) -> list[Any]:
    """Six digits are more than a plot shows, and a third of the bytes."""
    return [float(f"{value:.6g}") if isinstance(value, float) else value for value in values]


def faded(colour: str, opacity: float) -> str:
    """The colour, let through."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
