"""Elements, scales and ticks of small self-contained SVG charts, light and dark.

Colours are classes of a stylesheet inside the picture, so that it follows the reader's colour scheme as a file, as an
image of another page, and inline.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.etree import ElementTree

from search import scales
from trainers.registry import optimizers

Element = ElementTree.Element
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
SANS = 0.54
"""Mean width of a character in ems, for keeping labels apart."""

# name: (light, dark). The hues stay apart for the colour-blind (Okabe and Ito, 2008).
COLOURS = {
    "paper": ("#ffffff", "#15181c"),
    "ink": ("#1d232b", "#e8eaed"),
    "soft": ("#5b6572", "#a3acb8"),
    "rule": ("#e3e6ea", "#2c323a"),
    **{one.name: one.colour for one in sorted(optimizers.OPTIMIZERS.values(), key=lambda record: not record.searched)},
    "band": ("#8a94a3", "#8a94a3"),
    "best": ("#7b3fa0", "#c79be8"),
    "close": ("#00805a", "#3cc79a"),
    "ridge": ("#16191e", "#16191e"),  # on a map, whose colours are the same by day and by night
    "bright": ("#ffffff", "#ffffff"),
}


def _style() -> str:
    def rules(index: int) -> str:
        return "".join(f".tw-f-{n}{{fill:{c[index]}}}.tw-s-{n}{{stroke:{c[index]}}}" for n, c in COLOURS.items())

    text = f".tw text{{font-family:{FONT};font-variant-numeric:tabular-nums}}"
    return f"{text}{rules(0)}@media screen and (prefers-color-scheme:dark){{{rules(1)}}}"


def picture(name: str, width: int, height: int, title: str, description: str) -> Element:
    """An empty picture with its accessible title and description, which `name` tells apart on one page."""
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "height": str(height),
            "class": "tw",
            "role": "img",
            "aria-labelledby": f"{name}-title {name}-desc",
            "style": "max-width:100%;height:auto",
        },
    )
    ElementTree.SubElement(root, "title", {"id": f"{name}-title"}).text = title
    ElementTree.SubElement(root, "desc", {"id": f"{name}-desc"}).text = description
    ElementTree.SubElement(root, "style").text = _style()
    add(root, "rect", fill="paper", width=width, height=height, rx=6)
    return root


def resize(root: Element, width: int, height: int) -> None:
    """Gives a picture, paper and all, the height that its parts came to."""
    root.set("viewBox", f"0 0 {width} {height}")
    root.set("height", str(height))
    paper = root.find("rect")
    if paper is not None:
        paper.set("height", str(height))


def to_text(root: Element) -> str:
    """The picture as text; everything in it is escaped."""
    return ElementTree.tostring(root, encoding="unicode")


def add(parent: Element, tag: str, *, fill: str = "", stroke: str = "", **attributes: float | str) -> Element:
    """One shape. `fill` and `stroke` name colours of COLOURS; attributes' underscores stand for hyphens."""
    classes = " ".join([f"tw-f-{fill}"] * bool(fill) + [f"tw-s-{stroke}"] * bool(stroke))
    plain = {name.replace("_", "-"): _number(value) for name, value in attributes.items()}
    if not fill and tag in ("path", "polyline", "circle", "rect", "polygon"):
        plain["fill"] = "none"
    return ElementTree.SubElement(parent, tag, plain | ({"class": classes} if classes else {}))


def text(
    parent: Element,
    x: float,
    y: float,
    words: str,
    *,
    fill: str = "ink",
    size: float = 12,
    anchor: str = "start",
    weight: int = 400,
    halo: bool = False,
) -> Element:
    """Words whose baseline is at y; anchor start, middle or end. A halo keeps them legible over other shapes."""
    around: dict[str, float | str] = {"stroke": "paper", "stroke_width": 4, "paint_order": "stroke"} if halo else {}
    element = add(
        parent,
        "text",
        fill=fill,
        x=x,
        y=y,
        font_size=size,
        text_anchor=anchor,
        font_weight=weight,
        **around,  # type: ignore[arg-type]
    )
    element.text = words
    return element


def line(
    parent: Element, x1: float, y1: float, x2: float, y2: float, stroke: str, width: float = 1, **more: str
) -> None:
    """A straight line."""
    add(parent, "line", stroke=stroke, x1=x1, y1=y1, x2=x2, y2=y2, stroke_width=width, **more)


def path(points: Sequence[tuple[float, float]], closed: bool = False) -> str:
    """The `d` of a path through these points."""
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points) + ("Z" if closed else "")


NARROW = 1e-12
"""Of a scale's larger end: steps between ticks below it are lost in rounding."""


class Scale:
    """From values to places, linear or logarithmic."""

    def __init__(self, values: tuple[float, float], places: tuple[float, float], log: bool = False) -> None:
        self.low, self.high = values
        self.places, self.log = places, log

    def __call__(self, value: float) -> float:
        share = scales.share_of(value, self.low, self.high, self.log)
        return self.places[0] + share * (self.places[1] - self.places[0])

    def ticks(self, about: int = 6) -> list[float]:
        """Round values within the scale: some `about` of them, at steps of 1, 2 or 5; powers of two where it is log.

        The ends alone where they are so near, so small or so far apart that no such step is a number.
        """
        if self.log:
            return _log_ticks(self.low, self.high)
        rough = (self.high - self.low) / about
        if not max(scales.SMALL, NARROW * max(abs(self.low), abs(self.high))) < rough < scales.LARGE:
            return sorted({self.low, self.high})
        step = _round_step(rough)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        digits = max(12, 3 - math.floor(math.log10(step)))
        return [round(index * step, digits) for index in range(first, last + 1)]


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _log_ticks(low: float, high: float) -> list[float]:
    far = scales.log_ratio(high, low)
    if far > math.log(300):
        candidates = [10.0**power for power in range(-12, 13)]
    elif far < math.log(4):
        return Scale((low, high), (0, 1)).ticks()
    else:
        candidates = [2.0**power for power in range(-20, 20)]
    return [value for value in candidates if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)] or [low, high]


def spread_out(positions: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, at least so far from each other and between low and high, in the same order."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    places = [0.0] * len(positions)
    reach = low - least
    for index in order:
        reach = places[index] = max(positions[index], reach + least)
    ceiling = high
    for index in reversed(order):
        places[index] = min(places[index], ceiling)
        ceiling = places[index] - least
    return places


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
