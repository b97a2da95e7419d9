"""Maps of T against each other setting in Optuna Dashboard, a figure for each optimizer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from search import units
from search.requests.job_view import JobView
from service.pages.chart_axes import POOR_TO_GOOD
from service.pages.figures_base import COLOURS, Json, axis, display_values, figure, line, marks, rounded
from service.pages.picture_interactions import best_temperatures, limits_of
from thermowell.api.answers import InteractionMap, Interactions

LATER = "too few trials for a map yet"


def draw(standing: JobView) -> dict[str, Json]:
    """A figure for each optimizer that has maps, by name; one that says so where none has."""
    interactions = standing.interactions
    maps = interactions.maps if interactions else []
    if interactions is None or not maps:
        empty = figure("Temperature with each other setting", LATER, [], xaxis=axis("temperature"), yaxis=axis(""))
        return {"interactions": empty}
    limits = limits_of(maps, interactions.direction == "minimize")
    optimizers = list(dict.fromkeys(heatmap.optimizer for heatmap in maps))
    return {
        f"interactions-{name}": _optimizer_figure(
            interactions, name, [heatmap for heatmap in maps if heatmap.optimizer == name], limits
        )
        for name in optimizers
    }


def _optimizer_figure(
    interactions: Interactions, optimizer: str, maps: Sequence[InteractionMap], limits: tuple[float, float]
) -> Json:
    """The maps of one optimizer, side by side; a card of the dashboard has room for two rows of three."""
    columns = 2 if len(maps) in (2, 4) else min(3, len(maps))
    rows = math.ceil(len(maps) / columns)
    minimize, words = interactions.direction == "minimize", units.OPTIMIZERS.get(optimizer, optimizer)
    layout: Json = {
        "grid": {"rows": rows, "columns": columns, "pattern": "independent", "ygap": 0.42, "xgap": 0.22},
        "showlegend": False,
        "margin": {"l": 48, "r": 16, "t": 112, "b": 48},
        "annotations": [],
    }
    data: list[Json] = []
    for place, heatmap in enumerate(maps):
        suffix = str(place + 1) if place else ""
        places: Json = {"xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
        label = units.setting(heatmap.setting).removeprefix(words).strip()
        below = place + columns >= len(maps)
        layout[f"xaxis{suffix}"] = axis("temperature" if below else "", log=True) | {"showgrid": False}
        scale: Json = {"type": "log", "dtick": 1, "exponentformat": "e"} if heatmap.log else {}
        layout[f"yaxis{suffix}"] = axis("") | scale | {"showgrid": False}
        layout["annotations"].append(
            {"text": f"<b>{label}</b>", "xref": f"x{suffix} domain", "yref": f"y{suffix} domain", "x": 0, "y": 1.02,
             "xanchor": "left", "yanchor": "bottom", "showarrow": False, "font": {"size": 12}}
        )  # fmt: skip
        data += _map(interactions, heatmap, label, limits, minimize=minimize, places=places, bar=place == 0)
    subtitle = "line: the best T for each value; dots: trials; blank: too few trials near to say"
    return figure(f"Temperature with each other setting of {words}", subtitle, data, **layout)


def _map(
    interactions: Interactions,
    heatmap: InteractionMap,
    label: str,
    limits: tuple[float, float],
    *,
    minimize: bool,
    places: Json,
    bar: bool,
) -> list[Json]:
    """One map's traces: the surface, the best T along it, and the trials."""
    colours = POOR_TO_GOOD[::-1] if minimize else POOR_TO_GOOD
    low, high = rounded([end * units.scale(units.shown(interactions)) for end in limits])
    surface: Json = {
        "type": "heatmap",
        "x": rounded(heatmap.temperatures),
        "y": rounded(heatmap.values),
        "z": _known_means(heatmap, units.shown(interactions)),
        "zmin": low,
        "zmax": high,
        "showscale": bar,
        "colorscale": [[place / (len(colours) - 1), colour] for place, colour in enumerate(colours)],
        "hovertemplate": f"T %{{x:.3g}}<br>{label} %{{y:.3g}}<br>%{{z:.2f}}<extra></extra>",
        **places,
    }
    if bar:
        surface["colorbar"] = {"title": {"text": units.shown(interactions).label}, "thickness": 14}
    ridge = best_temperatures(heatmap, limits, minimize)
    temperatures, values = [t for t, _, _ in heatmap.trials], rounded([v for _, v, _ in heatmap.trials])
    dot = {"line": {"color": COLOURS["bright"], "width": 0.7}}
    trials = marks(temperatures, values, COLOURS["ridge"], "trials", symbol="circle", size=4, **places)
    trials["marker"] |= dot
    best = rounded([value for value, _ in ridge])
    return [surface, line([t for _, t in ridge], best, COLOURS["ridge"], "best T", **places), trials]


def _known_means(heatmap: InteractionMap, metric: units.Metric) -> list[list[float | None]]:
    return [
        [value if ok else None for value, ok in zip(display_values(metric, means), mask, strict=True)]
        for means, mask in zip(heatmap.means, heatmap.known, strict=True)
    ]
