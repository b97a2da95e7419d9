"""The chart of the teacher's softness: the mean entropy of its softmax along T."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

from search import scales, units
from search.requests.job_view import JobView
from service.pages import svg
from service.pages.chart_axes import Panel, log_scale
from service.pages.svg import Scale

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 58, 560, 72, 270


def draw(standing: JobView) -> str:
    """The curve as SVG, with the temperatures that are compared; a sentence where nothing is known."""
    points = sorted(standing.response.softness)
    title = "Softness of the teacher over temperature"
    most = ceiling(standing)
    root = svg.picture("tw-softness", WIDTH, HEIGHT if points else 110, title, _description(points, most))
    svg.text(root, 20, 28, title, size=16, weight=600)
    svg.text(root, 20, 46, "mean entropy of softmax(logits / T) on the validation part, in nats", fill="soft")
    if not points:
        svg.text(root, WIDTH / 2, 84, "No trial has measured it yet.", fill="soft", anchor="middle")
        return svg.to_text(root)
    top = most if most else max(entropy for _, entropy in points) * 1.08
    up = Scale((0.0, max(top, 1e-3)), (BOTTOM, TOP))
    panel = Panel(root, LEFT, RIGHT, TOP, BOTTOM, log_scale(points[0][0], points[-1][0], (LEFT, RIGHT)), up)
    panel.ticks_up([(value, units.number(value, 2)) for value in up.ticks(5)])
    panel.ticks_across()
    if most:
        svg.text(root, RIGHT + 16, TOP + 4, "all classes alike", fill="soft", size=11.5)
        svg.line(root, LEFT, TOP, RIGHT, TOP, "soft", 1.4, stroke_dasharray="1.5 4", stroke_linecap="round")
    places = [panel.inside(t, entropy) for t, entropy in points]
    svg.add(root, "path", stroke="ink", d=svg.path(places), stroke_width=2.2)
    if not standing.final:  # each of them was measured by a trial
        group = svg.add(root, "g")
        for x, y in places:
            svg.add(group, "circle", fill="ink", cx=x, cy=y, r=2.6, fill_opacity=0.6)
    _marks(standing, panel, points)
    panel.frame("")
    svg.text(root, RIGHT + 16, BOTTOM + 17, "temperature", fill="soft")
    return svg.to_text(root)


def ceiling(standing: JobView) -> float | None:
    """The entropy of a teacher that prefers nothing; None where its classes are not known yet."""
    classes = (standing.job.teacher or {}).get("classes")
    return math.log(classes) if isinstance(classes, int) and classes > 1 else None


def entropy_at(points: Sequence[tuple[float, float]], temperature: float) -> float:
    """Between the known temperatures, in equal ratios; at the ends, the ends'."""
    index = bisect.bisect_left([pair[0] for pair in points], temperature)
    if index == 0 or index == len(points):
        return points[min(index, len(points) - 1)][1]
    (t1, v1), (t2, v2) = points[index - 1], points[index]
    return v1 + (v2 - v1) * scales.share_of(temperature, t1, t2, log=True)


def _description(points: Sequence[tuple[float, float]], most: float | None) -> str:
    if not points:
        return "No trial has measured the teacher's softness yet."
    ends = (f"{units.number(entropy, 2)} nats at T = {units.number(t)}" for t, entropy in (points[0], points[-1]))
    sentence = "The mean entropy rises from " + " to ".join(ends)
    return f"{sentence}; {units.number(most, 3)} would be a teacher that prefers no class." if most else f"{sentence}."


def _marks(standing: JobView, panel: Panel, points: Sequence[tuple[float, float]]) -> None:
    """T = 1, T = 4 and the chosen one, named to the right."""
    marks = [(1.0, "T = 1", "soft"), (4.0, "T = 4", "soft")]
    if standing.result is not None:
        winner = float(standing.result.winner.configuration["temperature"])
        marks.append((winner, f"chosen, T = {units.number(winner)}", "best"))
    visible = [mark for mark in marks if points[0][0] <= mark[0] <= points[-1][0]]
    heights = [panel.up(entropy_at(points, temperature)) for temperature, _, _ in visible]
    for (temperature, words, colour), y, place in zip(
        visible, heights, svg.spread_out(heights, 16, TOP + 20, BOTTOM - 4), strict=True
    ):
        x = panel.across(temperature)
        svg.line(panel.root, x, y, panel.right, y, "rule")
        svg.add(panel.root, "circle", fill=colour, stroke="paper", cx=x, cy=y, r=5, stroke_width=1.5)
        label = f"{words}: {units.number(entropy_at(points, temperature), 2)}"
        svg.text(panel.root, panel.right + 16, place + 4, label, fill=colour, size=11.5, weight=600)
