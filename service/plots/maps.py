"""Maps of T against each other setting, blank where there are too few trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from search import units
from search.requests.job_view import JobView
from service.plots.axes import POOR_TO_GOOD, optimizer_colour, temperature_axis
from service.plots.data import Axis, ColourBar, Dots, Line, Mark, Panel, PlotData, Source, Tiles
from thermowell.api.answers import InteractionMap


def interactions(view: JobView) -> PlotData:
    """A map for each searched setting of each optimizer that was tried enough."""
    answer = view.interactions
    maps = answer.maps if answer else []
    minimize = answer is not None and answer.direction == "minimize"
    limits = limits_of(maps, minimize)
    completed = max((len(heatmap.trials) for heatmap in maps), default=0)
    moment = datetime.fromisoformat(answer.computed_at) if answer else None
    plot = PlotData(
        name="interactions",
        title="Temperature with each other setting",
        subtitle="fitted quality; line: the best T for each value; dots: trials; grey: too few trials near to say",
        description=_description(maps, limits, minimize),
        source=Source(completed, view.job.progress.search_budget, moment),
    )
    if answer is None or not maps:
        words = "No optimizer has trials enough for a map yet." if answer else "Nothing has been computed yet."
        return replace(plot, empty=words)
    colours = POOR_TO_GOOD[::-1] if minimize else POOR_TO_GOOD
    low, high = (units.level(units.shown(answer), end) for end in limits)
    low, high = (low, f"{high} or worse") if minimize else (f"{low} or worse", high)
    panels = [_panel(heatmap, limits, colours, minimize) for heatmap in maps]
    return replace(plot, panels=panels, columns=3, height=132, colour_bar=ColourBar(colours, low, high))


def _panel(heatmap: InteractionMap, limits: tuple[float, float], colours: Sequence[str], minimize: bool) -> Panel:
    values = [
        [mean if ok else None for mean, ok in zip(means, mask, strict=True)]
        for means, mask in zip(heatmap.means, heatmap.known, strict=True)
    ]
    ridge = [(temperature, value) for value, temperature in best_temperatures(heatmap, limits, minimize)]
    points = [(temperature, value) for temperature, value, _ in heatmap.trials]
    marks: list[Mark] = [Tiles(heatmap.temperatures, heatmap.values, values, limits, colours)]
    if len(ridge) > 1:
        marks.append(Line(ridge, "ridge", "best T"))
    marks.append(Dots(points, "ridge", "trials", size=1.6, opacity=1.0))
    owner = units.OPTIMIZERS[heatmap.optimizer]
    choices = ", ".join(f"{place} {choice}" for place, choice in enumerate(heatmap.choices or []))
    setting = units.setting(heatmap.setting).removeprefix(owner).strip()
    title = f"{owner}: {setting} ({choices})" if choices else f"{owner}: {setting}"
    x = temperature_axis(heatmap.temperatures[0], heatmap.temperatures[-1], "")
    low, high = heatmap.values[0], heatmap.values[-1]
    return Panel(x, Axis("", low, high, log=heatmap.log), marks, title, optimizer_colour(heatmap.optimizer))


def _description(maps: Sequence[InteractionMap], limits: tuple[float, float], minimize: bool) -> str:
    sentences = []
    for heatmap in maps:
        ridge = best_temperatures(heatmap, limits, minimize)
        if ridge:
            low, high = (f"{units.number(ridge[end][1], 2)} at {units.number(ridge[end][0], 2)}" for end in (0, -1))
            name = f"{units.setting(heatmap.setting)} of {units.OPTIMIZERS[heatmap.optimizer]}"
            sentences.append(f"{name}: best T {low}, {high}")
    return "; ".join(sentences) or "No setting has trials enough for a map."


def best_temperatures(
    heatmap: InteractionMap, limits: tuple[float, float], minimize: bool = False
) -> list[tuple[float, float]]:
    """(setting, T with the best mean) in the setting's order, where that mean is known and not beyond the worse limit.

    Where nothing is any good, the best of it tells of no temperature.
    """
    sign = -1 if minimize else 1
    ridge = []
    for value, means, mask in zip(heatmap.values, heatmap.means, heatmap.known, strict=True):
        means_known = [(sign * mean, t) for mean, t, ok in zip(means, heatmap.temperatures, mask, strict=True) if ok]
        if means_known and max(means_known)[0] >= sign * limits[1 if minimize else 0]:
            ridge.append((value, max(means_known)[1]))
    return ridge


def limits_of(maps: Sequence[InteractionMap], minimize: bool) -> tuple[float, float]:
    """The better two thirds of what is known: a cliff would leave the plateau one colour."""
    means_known = sorted(
        mean
        for heatmap in maps
        for means, mask in zip(heatmap.means, heatmap.known, strict=True)
        for mean, ok in zip(means, mask, strict=True)
        if ok
    )
    if not means_known:
        return 0.0, 1.0
    third = len(means_known) // 3
    low, high = (means_known[0], means_known[-1 - third]) if minimize else (means_known[third], means_known[-1])
    return (low, high) if low < high else (low - 0.01, high + 0.01)
