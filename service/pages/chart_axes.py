"""Panels of several small charts: a frame with axes for each, and colours for T and quality."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from search import units
from service.pages import svg
from service.pages.svg import Element, Scale

COLD_TO_HOT = ("#2f6fd0", "#7f56c5", "#c8457f", "#e0602f", "#e39a1f")
"""Of temperatures, from the lowest to the highest: apart in hue and in lightness, visible on white and on black."""
POOR_TO_GOOD = ("#45327a", "#3c5290", "#30718f", "#2a8f86", "#49ab6d", "#8ec252", "#d2d245", "#f6e55f")
"""Of quality: eight steps."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A chart between these places of the picture."""

    root: Element
    left: float
    right: float
    top: float
    bottom: float
    across: Scale
    up: Scale

    def frame(self, title: str, colour: str = "ink") -> None:
        """Its title above, and the line below."""
        svg.text(self.root, self.left, self.top - 8, title, fill=colour, size=12.5, weight=600)
        svg.line(self.root, self.left, self.bottom, self.right, self.bottom, "soft")

    def ticks_across(self, *, grid: bool = True, most: int = 99) -> None:
        """Values along the lower axis, as people write numbers; every so many where they would be too many."""
        ticks = self.across.ticks()
        for value in ticks[:: max(1, math.ceil(len(ticks) / most))]:
            x = self.across(value)
            if grid:
                svg.line(self.root, x, self.top, x, self.bottom, "rule")
            svg.line(self.root, x, self.bottom, x, self.bottom + 4, "soft")
            svg.text(self.root, x, self.bottom + 17, units.number(value), fill="soft", size=11.5, anchor="middle")

    def ticks_up(self, words: Sequence[tuple[float, str]], *, grid: bool = True) -> None:
        """These values, with these words, along the left axis."""
        for value, label in words:
            y = self.up(value)
            if grid:
                svg.line(self.root, self.left, y, self.right, y, "rule")
            svg.text(self.root, self.left - 6, y + 4, label, fill="soft", size=11.5, anchor="end")

    def inside(self, x: float, y: float) -> tuple[float, float]:
        """The place of a point, kept within the frame."""
        place = (self.across(x), self.up(y))
        return min(max(place[0], self.left), self.right), min(max(place[1], self.top), self.bottom)

    def holds(self, x: float, y: float) -> bool:
        """Whether a point lies within the frame."""
        place = (self.across(x), self.up(y))
        across = self.left - 1e-6 <= place[0] <= self.right + 1e-6
        return across and min(self.top, self.bottom) - 1e-6 <= place[1] <= max(self.top, self.bottom) + 1e-6


def quality_ticks(scale: Scale, metric: units.Metric, about: int = 5) -> list[tuple[float, str]]:
    """Round values of the objective with their words, of which the last has the unit."""
    ticks = scale.ticks(about)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else 1.0
    places = max(0, -math.floor(math.log10(step * units.scale(metric)) + 1e-9))
    display = units.measure(metric)
    unit = "" if display.name == "nll" or not display.unit else f" {display.unit}"
    return [(value, units.plain(metric, value, places) + (unit if value == ticks[-1] else "")) for value in ticks]


def log_scale(low: float, high: float, places: tuple[float, float]) -> Scale:
    """A logarithmic scale, widened where both ends are the same."""
    return Scale((low, high) if low < high else (low / 2 or low, high * 2), places, log=True)


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


def wide(words: str, size: float = 11.5) -> float:
    """About how wide these words are."""
    return len(words) * size * svg.SANS
