"""The temperature responses of each optimizer, a chart each, on one scale, with bands and sets.

Or, averaged, what a temperature is worth to somebody who does not tune the other settings with it.
"""

from __future__ import annotations

from search import units
from service.pages import svg
from service.pages.chart_axes import Panel, log_scale, quality_ticks, roomy
from service.pages.svg import Scale
from thermowell.api.answers import ResponseCurve, TemperatureResponse

WIDTH = 720
LEFT, GAP, EDGE = 58, 30, 20
TOP, PLOT = 92, 190


def draw(response: TemperatureResponse, *, averaged: bool = False) -> str:
    """The optimizers side by side as SVG; a sentence where none was tried enough.

    `averaged`: the other settings averaged over the searched space, in place of at their best.
    """
    if averaged:
        means = [c.model_copy(update={"points": c.marginal}) for c in response.per_optimizer if c.marginal]
        response = response.model_copy(update={"per_optimizer": means})
    curves = response.per_optimizer
    names = [units.OPTIMIZERS.get(curve.optimizer or "", "") for curve in curves]
    description = "; ".join(
        f"{name} is best at about T = {units.number(_best(c, response, averaged), 2)}"
        for name, c in zip(names, curves, strict=True)
    )
    height = TOP + PLOT + (36 if averaged else 92) if curves else 110
    title = "Temperature on average over the other settings" if averaged else "Temperature response by optimizer"
    root = svg.picture(
        "tw-marginal" if averaged else "tw-optimizers",
        WIDTH,
        height,
        title,
        description or "No optimizer has trials enough for a curve.",
    )
    svg.text(root, 20, 28, title, size=16, weight=600)
    condition = "averaged over the searched space" if averaged else "at their best for it"
    svg.text(root, 20, 46, f"for each temperature, the optimizer's other settings {condition}", fill="soft")
    if not curves:
        svg.text(root, WIDTH / 2, 84, "No optimizer has trials enough for a curve yet.", fill="soft", anchor="middle")
        return svg.to_text(root)
    width = (WIDTH - LEFT - EDGE - GAP * (len(curves) - 1)) / len(curves)
    limits = roomy(shown_values(response), units.shown(response))
    for place, (curve, name) in enumerate(zip(curves, names, strict=True)):
        x_left = LEFT + place * (width + GAP)
        ends = (curve.points[0].temperature, curve.points[-1].temperature)
        across = log_scale(*ends, (x_left, x_left + width))
        panel = Panel(root, x_left, x_left + width, TOP, TOP + PLOT, across, Scale(limits, (TOP + PLOT, TOP)))
        _optimizer_chart(panel, response, curve, name, first=place == 0)
        if not averaged:
            _trials(panel, response, curve)
            _sets(panel, curve)
    return svg.to_text(root)


def _best(curve: ResponseCurve, response: TemperatureResponse, averaged: bool) -> float:
    if not averaged:
        return curve.best_temperature
    sign = -1 if response.direction == "minimize" else 1
    return max(curve.points, key=lambda point: sign * point.mean).temperature


def shown_values(response: TemperatureResponse) -> list[float]:
    """What must be inside of the charts: the curves whole, their bands as far as they say something."""
    means = [point.mean for curve in response.per_optimizer for point in curve.points]
    if not means:
        return []
    room = 0.6 * (max(means) - min(means)) + 1e-9
    ends = [end for c in response.per_optimizer for p in c.points for end in (p.low, p.high)]
    return [*means, *(end for end in ends if min(means) - room <= end <= max(means) + room)]


def _optimizer_chart(
    panel: Panel, response: TemperatureResponse, curve: ResponseCurve, name: str, *, first: bool
) -> None:
    root, colour = panel.root, curve.optimizer or "soft"
    ticks = quality_ticks(panel.up, units.shown(response))
    panel.ticks_up(ticks if first else [(value, "") for value, _ in ticks])
    panel.ticks_across(most=6 if panel.right - panel.left > 250 else 4)
    high = [panel.inside(p.temperature, p.high) for p in curve.points]
    low = [panel.inside(p.temperature, p.low) for p in curve.points]
    svg.add(root, "path", fill=colour, d=svg.path([*high, *reversed(low)], True), fill_opacity=0.18)
    line = [panel.inside(p.temperature, p.mean) for p in curve.points]
    svg.add(root, "path", stroke=colour, d=svg.path(line), stroke_width=2.2)
    panel.frame(name, colour)


def _trials(panel: Panel, response: TemperatureResponse, curve: ResponseCurve) -> None:
    """One dot for each, a ring where it was stopped early."""
    observations = [observation for observation in response.observations if observation.optimizer == curve.optimizer]
    colour, group = curve.optimizer or "soft", svg.add(panel.root, "g")
    for observation in observations:
        if panel.holds(observation.temperature, observation.value):
            x, y = panel.across(observation.temperature), panel.up(observation.value)
            if observation.state == "completed":
                svg.add(group, "circle", fill=colour, cx=x, cy=y, r=2.4, fill_opacity=0.4)
            else:
                svg.add(group, "circle", stroke=colour, cx=x, cy=y, r=2.0, stroke_opacity=0.45)
    svg.text(
        panel.root, panel.right, panel.top - 8, f"{len(observations)} trials", fill="soft", size=11.5, anchor="end"
    )


def _sets(panel: Panel, curve: ResponseCurve) -> None:
    """Below: which temperatures may be this optimizer's best, and which are shown to be as good."""
    for row, (temperatures, colour, words) in enumerate(
        ((curve.confidence_set, "best", "may be its best"), (curve.equivalent_set, "close", "shown to be as good"))
    ):
        y = panel.bottom + 38 + 24 * row
        svg.line(panel.root, panel.left, y, panel.right, y, "rule")
        if not temperatures.intervals:
            words = f"none is {words}" if row else words
        svg.text(panel.root, panel.left, y + 14, words, fill=colour, size=11.5)
        for low, high in temperatures.intervals:
            left, right = panel.across(low), panel.across(high)
            svg.add(panel.root, "rect", fill=colour, x=left, y=y - 3, width=max(right - left, 2), height=6, rx=2)
