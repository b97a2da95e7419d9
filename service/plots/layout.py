"""Places of a plot's parts in a picture of a given width: words that fit, ticks that do not collide."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from search import units
from service.plots import svg
from service.plots.data import Axis, Line, Panel, Rule, Stripes
from service.plots.svg import Scale

SIZE = 11.5
TICK_GAP = 10.0
BOLD = 1.14
"""How much wider bold words are."""
STRIPE = 32.0
NARROW = 500.0
"""Below this width names at the ends of lines move into the legend, and panels below each other."""


def wide(words: str, size: float = SIZE) -> float:
    """About how wide these words are, rather more than less."""
    return len(words) * size * svg.SANS


def wrapped(words: str, width: float, size: float = SIZE) -> list[str]:
    """The words in lines that fit into a width; a word that does not fit by itself is parted."""
    lines: list[str] = []
    most = max(4, int(width / (size * svg.SANS)))
    for word in words.split():
        pieces = [word[start : start + most] for start in range(0, len(word), most)]
        for piece in pieces:
            if lines and len(lines[-1]) + 1 + len(piece) <= most:
                lines[-1] += f" {piece}"
            else:
                lines.append(piece)
    return lines or [""]


def ticks(axis: Axis, about: int = 5) -> list[tuple[float, str]]:
    """Values along an axis with their words, of which the last has the unit."""
    if axis.categories:
        return [(float(place), name) for place, name in enumerate(axis.categories)]
    if axis.words:
        return list(axis.words)
    values = Scale((axis.low, axis.high), (0, 1), axis.log).ticks(about)
    if axis.whole:
        values = [value for value in values if value == round(value)]
    if axis.log or len(values) < 2:
        return [(value, units.number(value * axis.scale)) for value in values]
    step = abs(values[1] - values[0]) * axis.scale
    places = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
    last = values[-1]
    return [(value, number(value * axis.scale, places) + (axis.unit if value == last else "")) for value in values]


def number(value: float, places: int) -> str:
    """A number with so many decimals, with a real minus sign."""
    text = f"{value:.{places}f}"
    negative = text.startswith("-") and float(text) != 0
    return f"{units.MINUS if negative else ''}{text.lstrip('-')}"


def fitting(labels: Sequence[tuple[float, str]], scale: Scale, size: float = SIZE) -> list[tuple[float, str]]:
    """Those ticks whose words do not touch each other: every one, every second, and so on."""
    for stride in range(1, len(labels) + 1):
        subset = labels[::stride]
        places = sorted((scale(value), wide(words, size)) for value, words in subset)
        gaps = [b[0] - b[1] / 2 - a[0] - a[1] / 2 for a, b in itertools.pairwise(places)]
        if all(gap >= TICK_GAP for gap in gaps):
            return list(subset)
    return list(labels[:1])


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a panel's plot lies, and its scales."""

    left: float
    right: float
    top: float
    bottom: float
    across: Scale
    up: Scale


@dataclass(frozen=True, slots=True)
class Margins:
    """Room around a panel's plot."""

    left: float
    right: float
    above: float
    below: float


def margins(panel: Panel, width: float, narrow: bool) -> Margins:
    """What a panel needs around its plot in a column of this width."""
    most = 0.42 * width
    labels = [line for _, words in ticks(panel.y) for line in wrapped(words, most)]
    left = min(most, max((wide(words) for words in labels), default=0.0)) + 12
    names = [] if narrow else [wide(name, 12 * BOLD) for name in labelled(panel)]
    right = max([10.0, panel.margin, *(name + 22 for name in names), _last_tick(panel) / 2])
    plot = width - left - right
    stripes = sum(stripe_height(mark, plot) for mark in panel.marks if isinstance(mark, Stripes))
    heading = 0.0 if not panel.title else 5.0 + 15.0 * len(wrapped(panel.title, plot, 12.5 * BOLD))
    above = 10.0 + heading + (16.0 if panel.y.title else 0.0)
    categories = 15.0 * (tick_lines(panel, width) - 1) if panel.x.categories else 0.0
    return Margins(left, right, above, 24.0 + categories + (16.0 if panel.x.title else 0.0) + stripes)


def _last_tick(panel: Panel) -> float:
    labels = ticks(panel.x)
    return wide(labels[-1][1]) if labels and not panel.x.categories else 0.0


def category_lines(panel: Panel, width: float) -> list[list[str]]:
    """The names along x in lines; every second one below the others where a word would be parted."""
    names = panel.x.categories
    share = (width - 40) / max(len(names), 1)
    if all(wide(word) <= share for name in names for word in name.split()):
        return [wrapped(name, share) for name in names]
    upper = max(len(wrapped(name, 2 * share)) for name in names[::2])
    return [[""] * (upper * (place % 2)) + wrapped(name, 2 * share) for place, name in enumerate(names)]


def tick_lines(panel: Panel, width: float) -> int:
    """Lines that the names along x take, where there are names."""
    return max(map(len, category_lines(panel, width)), default=1)


def stripe_lines(mark: Stripes, width: float) -> list[str]:
    """The words below a stripe, in lines that fit."""
    return wrapped(mark.words, width)


def stripe_height(mark: Stripes, width: float) -> float:
    """The room that a stripe and its words take."""
    return STRIPE + 14.0 * (len(stripe_lines(mark, width)) - 1)


def labelled(panel: Panel) -> list[str]:
    """Names that stand at the ends of lines."""
    return [mark.name for mark in panel.marks if isinstance(mark, Line | Rule) and mark.labelled and mark.name]


def frame(panel: Panel, left: float, top: float, width: float, height: float, around: Margins) -> Frame:
    """The plot of a panel whose column begins here."""
    x0, x1 = left + around.left, left + width - around.right
    y0, y1 = top + around.above, top + around.above + height
    across = Scale((panel.x.low, panel.x.high), (x0, x1), panel.x.log)
    return Frame(x0, x1, y0, y1, across, Scale((panel.y.low, panel.y.high), (y1, y0), panel.y.log))
