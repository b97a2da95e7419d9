"""Maps of T against each other setting, blank where there are too few trials."""

from __future__ import annotations

import itertools
import math

from search import units
from service.pages import svg
from service.pages.chart_axes import POOR_TO_GOOD, Panel, colour_bar, log_scale
from service.pages.svg import Scale
from thermowell.api.answers import InteractionMap, Interactions

WIDTH = 720
COLUMNS, LEFT, GAP, EDGE = 3, 56, 56, 14
TOP, PLOT, BETWEEN = 96, 132, 62


def draw(interactions: Interactions | None) -> str:
    """The maps as SVG; a sentence where there are none."""
    maps = interactions.maps if interactions else []
    rows = math.ceil(len(maps) / COLUMNS)
    height = TOP + rows * (PLOT + BETWEEN) + 24 if maps else 110
    title = "Temperature with each other setting"
    minimize = interactions is not None and interactions.direction == "minimize"
    limits = limits_of(maps, minimize)
    root = svg.picture("tw-interactions", WIDTH, height, title, _description(maps, limits, minimize))
    svg.text(root, 20, 28, title, size=16, weight=600)
    words = "fitted quality; line: the best T for each value; dots: trials; grey: too few trials near to say"
    svg.text(root, 20, 46, words, fill="soft")
    if interactions is None or not maps:
        words = "No optimizer has trials enough for a map yet." if interactions else "Nothing has been computed yet."
        svg.text(root, WIDTH / 2, 84, words, fill="soft", anchor="middle")
        return svg.to_text(root)
    width = (WIDTH - LEFT - EDGE - GAP * (COLUMNS - 1)) / COLUMNS
    for place, heatmap in enumerate(maps):
        x_left = LEFT + (place % COLUMNS) * (width + GAP)
        top = TOP + (place // COLUMNS) * (PLOT + BETWEEN)
        across = log_scale(heatmap.temperatures[0], heatmap.temperatures[-1], (x_left, x_left + width))
        up = Scale((heatmap.values[0], heatmap.values[-1]), (top + PLOT, top), log=heatmap.log)
        _map(Panel(root, x_left, x_left + width, top, top + PLOT, across, up), heatmap, limits, minimize)
    low, high = (units.level(units.shown(interactions), end) for end in limits)
    colours = POOR_TO_GOOD[::-1] if minimize else POOR_TO_GOOD
    low, high = (low, f"{high} or worse") if minimize else (f"{low} or worse", high)
    colour_bar(root, WIDTH / 2 - 90, height - 32, 180, colours, (low, high))
    return svg.to_text(root)


def _description(maps: list[InteractionMap], limits: tuple[float, float], minimize: bool) -> str:
    sentences = []
    for heatmap in maps:
        ridge = best_temperatures(heatmap, limits, minimize)
        if ridge:
            low, high = (f"{units.number(ridge[end][1], 2)} at {units.number(ridge[end][0], 2)}" for end in (0, -1))
            sentences.append(
                f"{units.setting(heatmap.setting)} of {units.OPTIMIZERS[heatmap.optimizer]}: best T {low}, {high}"
            )
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


def limits_of(maps: list[InteractionMap], minimize: bool) -> tuple[float, float]:
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


def _map(panel: Panel, heatmap: InteractionMap, limits: tuple[float, float], minimize: bool) -> None:
    svg.add(panel.root, "rect", fill="rule", x=panel.left, y=panel.top, width=panel.right - panel.left, height=PLOT)
    for level, shape in sorted(_levels(panel, heatmap, limits).items()):
        colour = POOR_TO_GOOD[-1 - level] if minimize else POOR_TO_GOOD[level]
        svg.add(panel.root, "path", d="".join(shape), style=f"fill:{colour}")
    ridge = [
        (panel.across(temperature), panel.up(value))
        for value, temperature in best_temperatures(heatmap, limits, minimize)
    ]
    if len(ridge) > 1:
        svg.add(panel.root, "path", stroke="ridge", d=svg.path(ridge), stroke_width=2, stroke_linejoin="round")
    group = svg.add(panel.root, "g")
    for temperature, value, _ in heatmap.trials:
        if panel.holds(temperature, value):
            x, y = panel.across(temperature), panel.up(value)
            svg.add(group, "circle", stroke="bright", fill="ridge", cx=x, cy=y, r=1.9, stroke_width=0.7)
    panel.ticks_across(grid=False, most=4)
    ticks = panel.up.ticks(4)
    if heatmap.log and len(ticks) > 5:
        ticks = ticks[:: math.ceil(len(ticks) / 5)]
    panel.ticks_up([(value, units.number(value, 2)) for value in ticks], grid=False)
    owner = units.OPTIMIZERS[heatmap.optimizer]
    panel.frame(f"{owner}: {units.setting(heatmap.setting).removeprefix(owner).strip()}", heatmap.optimizer)


def _levels(panel: Panel, heatmap: InteractionMap, limits: tuple[float, float]) -> dict[int, list[str]]:
    """Runs of cells of the same colour, row by row, as pieces of a path for each colour."""
    shapes: dict[int, list[str]] = {}
    xs = _edges([panel.across(t) for t in heatmap.temperatures])
    ys = _edges([panel.up(value) for value in heatmap.values])
    for row, (means, mask) in enumerate(zip(heatmap.means, heatmap.known, strict=True)):
        steps = [_step(mean, limits) if ok else -1 for mean, ok in zip(means, mask, strict=True)]
        start = 0
        for column in range(1, len(steps) + 1):
            if column == len(steps) or steps[column] != steps[start]:
                if steps[start] >= 0:
                    piece = f"M{xs[start]:.1f},{ys[row]:.1f}H{xs[column]:.1f}V{ys[row + 1]:.1f}H{xs[start]:.1f}Z"
                    shapes.setdefault(steps[start], []).append(piece)
                start = column
    return shapes


def _step(mean: float, limits: tuple[float, float]) -> int:
    share = (mean - limits[0]) / (limits[1] - limits[0])
    return min(max(int(share * len(POOR_TO_GOOD)), 0), len(POOR_TO_GOOD) - 1)


def _edges(places: list[float]) -> list[float]:
    """Between which places the cell of each lies: half way to its neighbours, and no further than the last."""
    between = [(a + b) / 2 for a, b in itertools.pairwise(places)]
    return [places[0], *between, places[-1]]
