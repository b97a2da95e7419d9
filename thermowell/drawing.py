"""Pictures of the service, and the formats into which it exports."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

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
