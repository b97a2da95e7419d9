"""The list of a job's pictures, each drawn from the job's state alone, as self-contained SVG."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from search import units
from search.requests.job_view import JobView
from service.pages import (
    picture_curves,
    picture_interactions,
    picture_optimizers,
    picture_response,
    picture_softness,
    svg,
)
from service.pages.chart_axes import margin_of
from service.pages.svg import Element, Scale
from thermowell.api.answers import Gain, Importances, Interval

WIDTH = 720
Name = Literal["response", "optimizers", "marginal", "interactions", "curves", "gains", "softness", "importances"]
Draw = Callable[[JobView], str]


def draw(name: Name, standing: JobView) -> str:
    """The picture of this name. Raises KeyError for others."""
    return PICTURES[name](standing)


def gains(standing: JobView) -> str:
    """What the winner gains over each baseline, on validation and, where it was read, on test."""
    metric, result = units.shown(standing.response), standing.result
    rows = [gain for gain in result.gains if gain.mean is not None] if result else []
    height = 104 + 38 * max(len(rows), 1)
    root = svg.picture("tw-gains", WIDTH, height, "What it gains", _gains_description(metric, rows))
    svg.text(root, 20, 28, "Gain over what one would have done", size=16, weight=600)
    unit = units.measure(metric).unit_of_difference
    hollow = "; hollow: on the test part" if any(gain.test_mean is not None for gain in rows) else ""
    svg.text(
        root,
        20,
        46,
        f"in {f'{unit} of ' if unit else ''}{units.measure(metric).label}, paired by seed; "
        f"right of zero is better{hollow}",
        fill="soft",
    )
    if not rows:
        words = "No baseline can be compared." if result else "Measured at the end, on fresh seeds that chose nothing."
        svg.text(root, WIDTH / 2, 90, words, fill="soft", size=14, anchor="middle")
        return svg.to_text(root)
    across = Scale(_reach(rows), (196, 540))
    bottom = height - 38
    for value in across.ticks():
        svg.line(root, across(value), 62, across(value), bottom, "rule")
        words = units.plain(metric, value, _tick_places(across, metric))
        svg.text(root, across(value), bottom + 18, words, fill="soft", anchor="middle")
    svg.line(root, across(0), 62, across(0), bottom, "soft", 1.4)
    for index, gain in enumerate(rows):
        _gain(root, gain, metric, across, 84 + 38 * index)
    return svg.to_text(root)


def _gains_description(metric: units.Metric, rows: list[Gain]) -> str:
    sentences = (
        f"over {units.ARMS[gain.over]}, {gain.variant.replace('_', ' ')}: "
        f"{units.difference_within(metric, gain.mean or 0.0, gain.interval)}"
        for gain in rows
    )
    return "; ".join(sentences) or "No baseline can be compared."


def _reach(rows: list[Gain]) -> tuple[float, float]:
    """From the lowest to the highest end, with zero inside."""
    values = [0.0]
    for gain in rows:
        for mean, interval in ((gain.mean, gain.interval), (gain.test_mean, gain.test_interval)):
            values += [] if mean is None else [mean]
            values += [] if interval is None else [interval.low, interval.high]
    margin = margin_of(min(values), max(values))
    return min(values) - margin, max(values) + margin


def _tick_places(across: Scale, metric: units.Metric) -> int:
    step = across.ticks()[1] - across.ticks()[0]
    return next(
        n
        for n in range(7)
        if abs(step * units.scale(metric) * 10**n - round(step * units.scale(metric) * 10**n)) < 1e-6
    )


def _gain(root: Element, gain: Gain, metric: units.Metric, across: Scale, y: float) -> None:
    assert gain.mean is not None
    weight = 600 if gain.headline else 400
    svg.text(root, 186, y - 1, units.ARMS[gain.over], anchor="end", weight=weight)
    note = "tuned for itself" if gain.headline else "at the winner's settings"
    svg.text(root, 186, y + 12, note, fill="soft", size=11.5, anchor="end")
    colour = "best" if gain.headline else "soft"
    _whisker(root, gain.mean, gain.interval, across, y - 2, colour, solid=True)
    if gain.test_mean is not None:
        _whisker(root, gain.test_mean, gain.test_interval, across, y + 8, colour, solid=False)
    places = units.places(metric, gain.interval)
    svg.text(root, 556, y - 1, units.difference(metric, gain.mean, places), weight=weight)
    if gain.interval is not None:
        low, high = (units.plain(metric, end, places) for end in (gain.interval.low, gain.interval.high))
        svg.text(root, 556, y + 12, f"{low} to {high}", fill="soft", size=11.5)


def _whisker(
    root: Element, mean: float, interval: Interval | None, across: Scale, y: float, colour: str, *, solid: bool
) -> None:
    if interval is not None:
        svg.line(root, across(interval.low), y, across(interval.high), y, colour, 2.4 if solid else 1.2)
    svg.add(
        root, "circle", fill=colour if solid else "paper", stroke=colour, cx=across(mean), cy=y, r=4.5 if solid else 3
    )


def importances(importance: Importances | None) -> str:
    """How much each setting decided, as bars; temperature stands out."""
    rows = sorted(importance.importances.items(), key=lambda row: -row[1]) if importance else []
    height = 76 + 26 * max(len(rows), 1)
    description = ", ".join(f"{name} {share:.0%}" for name, share in rows) or "Too few trials."
    root = svg.picture("tw-importances", WIDTH, height, "What mattered", description)
    svg.text(root, 20, 28, "What decided whether a trial was good", size=16, weight=600)
    svg.text(
        root,
        20,
        46,
        f"share of each searched setting; {importance.evaluator if importance else 'not computed yet'}",
        fill="soft",
    )
    if not rows:
        svg.text(root, WIDTH / 2, 82, "Too few trials to say.", fill="soft", size=14, anchor="middle")
    across = Scale((0.0, max((share for _, share in rows), default=1.0) or 1.0), (196, 600))
    for index, (name, share) in enumerate(rows):
        y = 74 + 26 * index
        mine = name == "temperature"
        svg.text(root, 186, y + 4, units.setting(name), anchor="end", weight=600 if mine else 400)
        width = max(across(share) - 196, 1)
        svg.add(root, "rect", fill="best" if mine else "band", x=196, y=y - 7, width=width, height=14, rx=2)
        svg.text(root, 196 + width + 8, y + 4, f"{100 * share:.0f} %", fill="soft")
    return svg.to_text(root)


PICTURES: dict[Name, Draw] = {
    "response": lambda standing: picture_response.draw(standing.result, standing.response),
    "optimizers": lambda standing: picture_optimizers.draw(standing.response),
    "marginal": lambda standing: picture_optimizers.draw(standing.response, averaged=True),
    "interactions": lambda standing: picture_interactions.draw(standing.interactions),
    "curves": picture_curves.draw,
    "gains": gains,
    "softness": picture_softness.draw,
    "importances": lambda standing: importances(standing.importances),
}
