"""The contents of a plot, free of any way to draw it: panels with axes, and marks in the units of these axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Point = tuple[float, float]
Symbol = Literal["dot", "ring", "diamond", "open diamond"]


@dataclass(frozen=True, slots=True)
class Axis:
    """From low to high. Values are multiplied by `scale` before they are written, the last one with its unit.

    `categories` are names at 0, 1, 2, ... in place of numbers; `words` are words at values in place of round numbers.
    `whole`: nothing lies between whole numbers.
    """

    title: str
    low: float
    high: float
    log: bool = False
    scale: float = 1.0
    unit: str = ""
    categories: Sequence[str] = ()
    words: Sequence[tuple[float, str]] = ()
    whole: bool = False

    def holds(self, value: float) -> bool:
        """Whether a value lies on the axis, but for what rounding does; rows count downwards, from high to low."""
        least, most = sorted((self.low, self.high))
        margin = 1e-6 * (most - least)
        return least - margin <= value <= most + margin


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points; a labelled one has its name at its end, where there is room. A rising one may come from
    outside of the axes, as learning curves do, without a mark where it enters.
    """

    points: Sequence[Point]
    colour: str
    name: str = ""
    width: float = 2.0
    dash: str = ""
    opacity: float = 1.0
    labelled: bool = False
    rising: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """The area between two ends at each x: (x, low, high). Axes are chosen so that all of it is inside."""

    points: Sequence[tuple[float, float, float]]
    colour: str
    name: str = ""
    opacity: float = 0.2


@dataclass(frozen=True, slots=True)
class Dots:
    """A mark at each point; what lies outside of the axes is a triangle at the edge; `texts` for pointers."""

    points: Sequence[Point]
    colour: str
    name: str = ""
    symbol: Symbol = "dot"
    size: float = 2.6
    opacity: float = 0.45
    texts: Sequence[str] = ()
    colours: Sequence[str] = ()  # one for each point, in place of the one colour


@dataclass(frozen=True, slots=True)
class Whisker:
    """An interval at a place of the other axis; along x unless it is upright."""

    place: float
    low: float
    high: float
    colour: str
    upright: bool = False
    width: float = 2.0


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line across the panel at a value of x where it is upright, else of y."""

    place: float
    colour: str = "soft"
    name: str = ""
    upright: bool = False
    dash: str = ""
    labelled: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from the low end of x to a value, in the row of a category, with words behind it."""

    row: float
    value: float
    colour: str
    words: str


@dataclass(frozen=True, slots=True)
class Stripes:
    """Intervals of x below the panel, with words that say of what."""

    intervals: Sequence[Point]
    colour: str
    words: str


@dataclass(frozen=True, slots=True)
class Tiles:
    """A map: a value at each (row of ys, column of xs), None where nothing is known; colours from low to high."""

    xs: Sequence[float]
    ys: Sequence[float]
    values: Sequence[Sequence[float | None]]
    limits: Point
    colours: Sequence[str]


@dataclass(frozen=True, slots=True)
class Words:
    """Words at a point: middle over it, start to the right, end to the left; `below` it by so many pixels."""

    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"] = "middle"
    colour: str = "soft"
    below: float = 0.0
    bold: bool = False


Mark = Line | Band | Dots | Whisker | Rule | Bar | Stripes | Tiles | Words


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart: two axes and what is marked between them, the first mark lowest. `margin` is room to its right for
    words that begin beyond the high end of x.
    """

    x: Axis
    y: Axis
    marks: Sequence[Mark]
    title: str = ""
    colour: str = "ink"
    note: str = ""
    margin: float = 0.0


@dataclass(frozen=True, slots=True)
class Legend:
    """What a mark stands for."""

    kind: Literal["dot", "ring", "diamond", "open diamond", "line", "dashes", "dots", "band", "stripe"]
    colour: str
    words: str


@dataclass(frozen=True, slots=True)
class ColourBar:
    """Colours from one end to the other, and the words of both ends."""

    colours: Sequence[str]
    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Source:
    """What a plot was made from: so many trials, of as many as the job will have of that kind, as of when."""

    trials: int
    planned: int
    moment: datetime | None = None

    @property
    def words(self) -> str:
        """From 24 of 64 trials, with the time."""
        text = f"from {self.trials} of {max(self.planned, self.trials)} trials"
        return text if self.moment is None else f"{text}, {self.moment:%d %b %Y, %H:%M:%S} UTC".replace(", 0", ", ")


@dataclass(frozen=True, slots=True)
class PlotData:
    """A whole plot. Without panels it is the sentence `empty`, which says why there is nothing yet."""

    name: str
    title: str
    subtitle: str
    description: str
    panels: Sequence[Panel] = ()
    columns: int = 1
    height: float = 260.0
    legend: Sequence[Legend] = ()
    colour_bar: ColourBar | None = None
    empty: str = ""
    source: Source | None = None
