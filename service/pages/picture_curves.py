"""The chart of learning curves: quality over epochs, coloured by temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence

from search import units
from search.requests.job_view import Curve, JobView
from service.pages import svg
from service.pages.chart_axes import COLD_TO_HOT, Panel, colour_bar, heat, quality_ticks, roomy
from service.pages.svg import Scale

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 58, 690, 72, 322


def draw(standing: JobView) -> str:
    """The curves as SVG; a sentence where no trial of the search has said anything."""
    curves, metric = standing.curves, units.shown(standing.response)
    title = f"{units.measure(metric).heading} over epochs, by temperature"
    root = svg.picture("tw-curves", WIDTH, HEIGHT if curves else 110, title, _description(curves))
    svg.text(root, 20, 28, title, size=16, weight=600)
    searched = sum(trial.stage == "search" for trial in standing.trials)
    scope = f"{len(curves)} of {searched} search trials" if len(curves) < searched else "every search trial"
    svg.text(root, 20, 46, f"{scope}, one seed each; dashed: stopped early or going on", fill="soft")
    if not curves:
        svg.text(root, WIDTH / 2, 84, "No trial has told an epoch yet.", fill="soft", anchor="middle")
        return svg.to_text(root)
    last = max(epochs[-1] for epochs in (curve.epochs for curve in curves))
    across = Scale((0, max(last, 2)), (LEFT, RIGHT))
    up = Scale(_limits(curves, metric, standing.response.direction == "minimize"), (BOTTOM, TOP))
    panel = Panel(root, LEFT, RIGHT, TOP, BOTTOM, across, up)
    panel.ticks_up(quality_ticks(up, metric))
    panel.ticks_across(grid=False)
    shade = shades([curve.temperature for curve in curves])
    group = svg.add(root, "g", stroke_width=1.4, stroke_linejoin="round")
    for curve, share in sorted(zip(curves, shade, strict=True), key=lambda pair: pair[1]):
        points = [panel.inside(epoch, value) for epoch, value in zip(curve.epochs, curve.values, strict=True)]
        style = f"stroke:{heat(share)};stroke-opacity:.75"
        dashes = {} if curve.state == "completed" else {"stroke_dasharray": "3 3"}
        if len(points) == 1:
            svg.add(group, "circle", cx=points[0][0], cy=points[0][1], r=2, style=style, **dashes)
        else:
            svg.add(group, "path", d=svg.path(points), style=style, **dashes)
    panel.frame("")
    svg.text(root, RIGHT, BOTTOM + 34, "epoch", fill="soft", size=11.5, anchor="end")
    temperatures = [curve.temperature for curve in curves]
    ends = (f"T = {units.number(min(temperatures))}", f"T = {units.number(max(temperatures))}")
    colour_bar(root, WIDTH / 2 - 90, HEIGHT - 36, 180, COLD_TO_HOT, ends)
    return svg.to_text(root)


def shades(temperatures: Sequence[float]) -> list[float]:
    """Where each T lies between the lowest and the highest, 0 to 1, in equal ratios."""
    low, high = math.log(min(temperatures)), math.log(max(temperatures))
    return [(math.log(t) - low) / (high - low) if high > low else 0.5 for t in temperatures]


def _description(curves: Sequence[Curve]) -> str:
    if not curves:
        return "No trial has told an epoch yet."
    low, high = min(curves, key=lambda c: c.temperature), max(curves, key=lambda c: c.temperature)
    return (
        f"{len(curves)} learning curves, from T = {units.number(low.temperature)}, which ends at "
        f"{units.number(low.values[-1])}, to T = {units.number(high.temperature)}, which ends at "
        f"{units.number(high.values[-1])}."
    )


def _limits(curves: Sequence[Curve], metric: units.Metric, minimize: bool) -> tuple[float, float]:
    """All that shares may be; of other measures what lies beyond twice the middle value of the first epochs is cut."""
    values = sorted(value for curve in curves for value in curve.values)
    if minimize:
        first = sorted(curve.values[0] for curve in curves)
        values = [value for value in values if value <= 2 * first[len(first) // 2]] or values
    return roomy([values[0], values[-1]], metric)
