"""Limits of axes, and colours for T and quality."""

from __future__ import annotations

import math
from collections.abc import Sequence

from search import units
from search.spec.optimizers import OWN
from service.plots import svg
from service.plots.data import Axis, ColourBar
from service.plots.svg import Element

COLD_TO_HOT = ("#2f6fd0", "#7f56c5", "#c8457f", "#e0602f", "#e39a1f")
"""Of temperatures, from the lowest to the highest: apart in hue and in lightness, visible on white and on black."""
POOR_TO_GOOD = ("#45327a", "#3c5290", "#30718f", "#2a8f86", "#49ab6d", "#8ec252", "#d2d245", "#f6e55f")
"""Of quality: eight steps."""


def roomy(values: Sequence[float], metric: units.Metric) -> tuple[float, float]:
    """From the lowest to the highest with some margin; shares do not go beyond one by more than it takes to see."""
    low, high = min(values), max(values)
    margin = margin_of(low, high)
    share = units.measure(metric).unit == units.PER_CENT
    return low - margin, min(high + margin, 1.0 + margin / 2) if share else high + margin


def margin_of(low: float, high: float) -> float:
    """Room beside values from low to high, enough for ticks to differ where the values hardly do."""
    size = max(abs(low), abs(high))
    return 0.06 * (high - low) if high - low > max(1e-9 * size, 1e-12) else 0.01 * max(size, 1.0)


def heat(share: float, colours: Sequence[str] = COLD_TO_HOT) -> str:
    """The colour at this share (0 to 1) of a row of colours."""
    position = min(max(share, 0.0), 1.0) * (len(colours) - 1)
    index = min(int(position), len(colours) - 2)
    before, after = (tuple(int(c[place : place + 2], 16) for place in (1, 3, 5)) for c in colours[index : index + 2])
    mixed = (round(a + (b - a) * (position - index)) for a, b in zip(before, after, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def colour_bar(root: Element, x: float, y: float, width: float, colours: Sequence[str], ends: tuple[str, str]) -> None:
    """A row of steps from one end to the other, with the ends' words beside it."""
    steps = 24 if len(colours) < 8 else len(colours)
    svg.text(root, x - 8, y + 9, ends[0], fill="soft", size=11.5, anchor="end")
    for step in range(steps):
        colour = heat(step / (steps - 1), colours) if len(colours) < 8 else colours[step]
        left, right = x + width * step / steps, x + width * (step + 1) / steps
        svg.add(root, "path", d=f"M{left:.1f},{y:.1f}H{right:.1f}V{y + 11:.1f}H{left:.1f}Z", style=f"fill:{colour}")
    svg.text(root, x + width + 8, y + 9, ends[1], fill="soft", size=11.5)


def quality_axis(metric: units.Metric, values: Sequence[float], title: str = "") -> Axis:
    """The objective's axis, wide enough for these values, in per cent or nats."""
    low, high = roomy(values, metric)
    display = units.measure(metric)
    unit = "" if display.name == "nll" or not display.unit else f" {display.unit}"
    return Axis(title, low, high, scale=display.factor, unit=unit)


def temperature_axis(low: float, high: float, title: str = "temperature") -> Axis:
    """The axis of T, in equal ratios."""
    return Axis(title, *((low, high) if low < high else (low / 2 or low, high * 2)), log=True)


def shades(temperatures: Sequence[float]) -> list[float]:
    """Where each T lies between the lowest and the highest, 0 to 1, in equal ratios."""
    if not temperatures:
        return []
    low, high = math.log(min(temperatures)), math.log(max(temperatures))
    return [(math.log(t) - low) / (high - low) if high > low else 0.5 for t in temperatures]


def heat_bar(temperatures: Sequence[float]) -> ColourBar:
    """The colours of temperatures, from the lowest to the highest."""
    ends = (f"T = {units.number(end)}" for end in (min(temperatures), max(temperatures)))
    return ColourBar(COLD_TO_HOT, *ends)


def optimizer_colour(name: str) -> str:
    """An optimizer's own colour; one for what a training of one's own has."""
    if name == OWN:
        return "close"
    return name if name in units.OPTIMIZERS else "soft"
