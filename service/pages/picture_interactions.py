"""Maps of T against each other setting, blank where there are too few trials."""

from __future__ import annotations

import itertools
import math

from search.public import InteractionMap, Interactions, units
from service.pages import svg
from service.pages.names import setting
from service.pages.panel import POOR_TO_GOOD, Panel, colour_bar, log_scale
from service.pages.svg import Scale

WIDTH = 720
COLUMNS, LEFT, GAP, EDGE = 3, 56, 56, 14
TOP, PLOT, BETWEEN = 96, 132, 62


def draw(found: Interactions | None) -> str:
    """The maps as SVG; a sentence where there are none."""
    maps = found.maps if found else []
    rows = math.ceil(len(maps) / COLUMNS)
    height = TOP + rows * (PLOT + BETWEEN) + 24 if maps else 110
    title = "Temperature with each other setting"
    minimize = found is not None and found.direction == "minimize"
    limits = limits_of(maps, minimize)
    root = svg.picture("tw-interactions", WIDTH, height, title, _description(maps, limits, minimize))
    svg.text(root, 20, 28, title, size=16, weight=600)
    words = "fitted quality; line: the best T for each value; dots: trials; grey: too few trials near to say"
    svg.text(root, 20, 46, words, fill="soft")
    if found is None or not maps:
        words = "No optimizer has trials enough for a map yet." if found else "Nothing has been computed yet."
        svg.text(root, WIDTH / 2, 84, words, fill="soft", anchor="middle")
        return svg.written(root)
    width = (WIDTH - LEFT - EDGE - GAP * (COLUMNS - 1)) / COLUMNS
    for place, one in enumerate(maps):
        left = LEFT + (place % COLUMNS) * (width + GAP)
        top = TOP + (place // COLUMNS) * (PLOT + BETWEEN)
        across = log_scale(one.temperatures[0], one.temperatures[-1], (left, left + width))
        up = Scale((one.values[0], one.values[-1]), (top + PLOT, top), log=one.log)
        _map(Panel(root, left, left + width, top, top + PLOT, across, up), one, limits, minimize)
    low, high = (units.level(found.metric, end) for end in limits)
    colours = POOR_TO_GOOD[::-1] if minimize else POOR_TO_GOOD
    low, high = (low, f"{high} or worse") if minimize else (f"{low} or worse", high)
    colour_bar(root, WIDTH / 2 - 90, height - 32, 180, colours, (low, high))
    return svg.written(root)


def _description(maps: list[InteractionMap], limits: tuple[float, float], minimize: bool) -> str:
    said = []
    for one in maps:
        ridge = best_temperatures(one, limits, minimize)
        if ridge:
            low, high = (f"{units.number(ridge[end][1], 2)} at {units.number(ridge[end][0], 2)}" for end in (0, -1))
            said.append(f"{setting(one.setting)} of {units.OPTIMIZERS[one.optimizer]}: best T {low}, {high}")
    return "; ".join(said) or "No setting has trials enough for a map."


def best_temperatures(
    one: InteractionMap, limits: tuple[float, float], minimize: bool = False
) -> list[tuple[float, float]]:
    """(setting, T with the best mean) in the setting's order, where that mean is known and not beyond the worse limit.

    Where nothing is any good, the best of it tells of no temperature.
    """
    sign = -1 if minimize else 1
    ridge = []
    for value, means, known in zip(one.values, one.means, one.known, strict=True):
        seen = [(sign * mean, t) for mean, t, ok in zip(means, one.temperatures, known, strict=True) if ok]
        if seen and max(seen)[0] >= sign * limits[1 if minimize else 0]:
            ridge.append((value, max(seen)[1]))
    return ridge


def limits_of(maps: list[InteractionMap], minimize: bool) -> tuple[float, float]:
    """The better two thirds of what is known: a cliff would leave the plateau one colour."""
    known = sorted(
        mean
        for one in maps
        for means, seen in zip(one.means, one.known, strict=True)
        for mean, ok in zip(means, seen, strict=True)
        if ok
    )
    if not known:
        return 0.0, 1.0
    third = len(known) // 3
    low, high = (known[0], known[-1 - third]) if minimize else (known[third], known[-1])
    return (low, high) if low < high else (low - 0.01, high + 0.01)


def _map(panel: Panel, one: InteractionMap, limits: tuple[float, float], minimize: bool) -> None:
    svg.add(panel.root, "rect", fill="rule", x=panel.left, y=panel.top, width=panel.right - panel.left, height=PLOT)
    for level, shape in sorted(_levels(panel, one, limits).items()):
        colour = POOR_TO_GOOD[-1 - level] if minimize else POOR_TO_GOOD[level]
        svg.add(panel.root, "path", d="".join(shape), style=f"fill:{colour}")
    ridge = [
        (panel.across(temperature), panel.up(value)) for value, temperature in best_temperatures(one, limits, minimize)
    ]
    if len(ridge) > 1:
        svg.add(panel.root, "path", stroke="ridge", d=svg.path(ridge), stroke_width=2, stroke_linejoin="round")
    group = svg.add(panel.root, "g")
    for temperature, value, _ in one.trials:
        if panel.holds(temperature, value):
            x, y = panel.across(temperature), panel.up(value)
            svg.add(group, "circle", stroke="bright", fill="ridge", cx=x, cy=y, r=1.9, stroke_width=0.7)
    panel.ticks_across(grid=False, most=4)
    ticks = panel.up.ticks(4)
    if one.log and len(ticks) > 5:
        ticks = ticks[:: math.ceil(len(ticks) / 5)]
    panel.ticks_up([(value, units.number(value, 2)) for value in ticks], grid=False)
    owner = units.OPTIMIZERS[one.optimizer]
    panel.frame(f"{owner}: {setting(one.setting).removeprefix(owner).strip()}", one.optimizer)


def _levels(panel: Panel, one: InteractionMap, limits: tuple[float, float]) -> dict[int, list[str]]:
    """Runs of cells of the same colour, row by row, as pieces of a path for each colour."""
    shapes: dict[int, list[str]] = {}
    xs = _edges([panel.across(t) for t in one.temperatures])
    ys = _edges([panel.up(value) for value in one.values])
    for row, (means, known) in enumerate(zip(one.means, one.known, strict=True)):
        steps = [_step(mean, limits) if ok else -1 for mean, ok in zip(means, known, strict=True)]
        begun = 0
        for column in range(1, len(steps) + 1):
            if column == len(steps) or steps[column] != steps[begun]:
                if steps[begun] >= 0:
                    piece = f"M{xs[begun]:.1f},{ys[row]:.1f}H{xs[column]:.1f}V{ys[row + 1]:.1f}H{xs[begun]:.1f}Z"
                    shapes.setdefault(steps[begun], []).append(piece)
                begun = column
    return shapes


def _step(mean: float, limits: tuple[float, float]) -> int:
    share = (mean - limits[0]) / (limits[1] - limits[0])
    return min(max(int(share * len(POOR_TO_GOOD)), 0), len(POOR_TO_GOOD) - 1)


def _edges(places: list[float]) -> list[float]:
    """Between which places the cell of each lies: half way to its neighbours, and no further than the last."""
    between = [(a + b) / 2 for a, b in itertools.pairwise(places)]
    return [places[0], *between, places[-1]]
