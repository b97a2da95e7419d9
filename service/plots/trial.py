"""One trial's epochs: the objective, the other measures, and the loss that it was trained by."""

from __future__ import annotations

from collections.abc import Sequence

from search import units
from search.records import Report, Trial
from service.plots.axes import margin_of
from service.plots.data import Axis, Line, Panel, PlotData

_PARTS = (("accuracy", "accuracy"), ("nll", "negative log-likelihood"), ("ece", "calibration error"))


def trial_plot(trial: Trial, reports: Sequence[Report]) -> PlotData:
    """A panel for each measure over the epochs; a sentence where no epoch has ended."""
    heading = PlotData(
        name=f"trial-{trial.number}",
        title=f"Trial {trial.number} over its epochs",
        subtitle="on the validation part, after each epoch; the training loss as the method weighs it",
        description=f"{len(reports)} epochs of trial {trial.number}, which is {trial.state}.",
        empty="" if reports else "No epoch has ended yet.",
        columns=2,
        height=150,
    )
    if not reports:
        return heading
    panels = [_panel(name, title, reports) for name, title in (*_PARTS, ("train_loss", "training loss"))]
    return PlotData(
        heading.name, heading.title, heading.subtitle, heading.description, [p for p in panels if p is not None], 2, 150
    )


def _panel(name: str, title: str, reports: Sequence[Report]) -> Panel | None:
    points = [(float(r.epoch), float(value)) for r in reports if (value := getattr(r, name, None)) is not None]
    if not points:
        return None
    values = [value for _, value in points]
    margin = margin_of(min(values), max(values))
    measure = units.MEASURES.get(name)
    percent = measure is not None and measure.unit == units.PER_CENT
    y = Axis(
        "", min(values) - margin, max(values) + margin, scale=100.0 if percent else 1.0, unit=" %" if percent else ""
    )
    last = max(points[-1][0], 2.0)
    return Panel(Axis("epoch", 0.0, last), y, [Line(points, "best", title)], title)
