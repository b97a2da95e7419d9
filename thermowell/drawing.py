"""Pictures of the service, as SVG and as figures of Plotly, and the formats into which it exports."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import plotly.graph_objects

Picture = Literal[
    "response", "best", "lanes", "optimizers", "marginal", "interactions", "gains", "seeds", "pareto", "parallel",
    "softness", "curves", "importances",
]  # fmt: skip
Format = Literal["torchdistill", "mdistiller"]


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG of the service; a notebook shows it where it stands last in a cell."""

    svg: str = field(repr=False)

    def save(self, path: str | Path) -> Path:
        """Writes it to a file."""
        Path(path).write_text(self.svg)
        return Path(path)

    def _repr_svg_(self) -> str:
        return self.svg


class PlotlyMissing(ImportError):
    """plotly is not installed: pip install 'thermowell-client[plots]'. `Client.plot` gives the same as an SVG."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def to_figure(content: Mapping[str, Any]) -> plotly.graph_objects.Figure:
    """A picture's data and layout as a figure.

    Raises:
        PlotlyMissing: plotly is an extra, which is not installed.
    """
    try:
        graph_objects = importlib.import_module("plotly.graph_objects")
    except ImportError as error:
        raise PlotlyMissing from error
    return graph_objects.Figure(content)
