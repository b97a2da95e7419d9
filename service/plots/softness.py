"""The teacher's softness: the mean entropy of its softmax along T."""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import replace

from search import scales, units
from search.requests.job_view import JobView
from service.plots.axes import temperature_axis
from service.plots.data import Axis, Dots, Line, Mark, Panel, PlotData, Rule, Source, Words


def softness(view: JobView) -> PlotData:
    """The curve, with the temperatures that are compared; a sentence where nothing is known."""
    points, most = sorted(view.response.softness), ceiling(view)
    plot = PlotData(
        name="softness",
        title="Softness of the teacher over temperature",
        subtitle="mean entropy of softmax(logits / T) on the validation part, in nats",
        description=_description(points, most),
        source=Source(len(points), len(points)) if points else None,
    )
    if not points:
        return replace(plot, empty="No trial has measured it yet.")
    top = max(most or max(entropy for _, entropy in points) * 1.08, 1e-3)
    marks: list[Mark] = []
    if most:
        marks.append(Rule(most, "soft", "all classes alike", dash="1.5 4", labelled=True))
    marks.append(Line(points, "ink", "mean entropy", 2.2))
    if not view.final:  # each of them was measured by a trial
        marks.append(Dots(points, "ink", "measured by trials", opacity=0.6))
    for temperature, words, colour in _compared(view):
        if points[0][0] <= temperature <= points[-1][0]:
            entropy = entropy_at(points, temperature)
            marks.append(Dots([(temperature, entropy)], colour, words, size=5, opacity=1.0))
            text, near_end = f"{words}: {units.number(entropy, 2)}", _share(points, temperature) > 0.7
            above = near_end or entropy < 0.15 * top
            marks.append(
                Words(temperature, entropy, text, "end" if near_end else "start", colour, -12 if above else 12, True)
            )
    x = temperature_axis(points[0][0], points[-1][0])
    panel = Panel(x, Axis("", 0.0, top * 1.02), marks)
    return replace(plot, panels=[panel], height=200)


def _share(points: Sequence[tuple[float, float]], temperature: float) -> float:
    return scales.share_of(temperature, points[0][0], points[-1][0], log=True)


def _compared(view: JobView) -> list[tuple[float, str, str]]:
    """T = 1, T = 4 and the chosen one, which takes their place where it is one of them."""
    marks = [(1.0, "T = 1", "soft"), (4.0, "T = 4", "soft")]
    if view.result is None:
        return marks
    winner = view.result.winner.configuration.temperature
    marks = [mark for mark in marks if abs(scales.log_ratio(mark[0], winner)) > 0.2]
    return [*marks, (winner, f"chosen, T = {units.number(winner)}", "best")]


def ceiling(view: JobView) -> float | None:
    """The entropy of a teacher that prefers nothing; None where its classes are not known yet."""
    classes = (view.job.teacher or {}).get("classes")
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
