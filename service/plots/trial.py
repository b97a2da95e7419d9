"""One trial's epochs: the objective, the other measures, and the loss that it was trained by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from search import units
from search.claims.measurements import COLUMNS
from search.records import Report, Trial
from service.plots.axes import margin_of
from service.plots.data import Axis, Line, Panel, PlotData

MOST_FURTHER = 8
"""Measures beyond the usual ones that are drawn."""
_PARTS = {"accuracy": "accuracy", "nll": "negative log-likelihood", "ece": "calibration error"}


def trial_plot(spec: Any, trial: Trial, reports: Sequence[Report]) -> PlotData:
    """A panel for each measure over the epochs, by the job's stored spec; a sentence where no epoch has ended."""
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
    further = dict.fromkeys(name for report in reports for name in report.metrics or () if name not in COLUMNS)
    titles = {name: units.measure_in(spec, name).label.replace("_", " ") for name in list(further)[:MOST_FURTHER]}
    parts = {**_PARTS, **titles, "train_loss": "training loss"}
    panels = [_panel(units.measure_in(spec, name), title, reports) for name, title in parts.items()]
    return PlotData(
        heading.name, heading.title, heading.subtitle, heading.description, [p for p in panels if p is not None], 2, 150
    )


def _panel(measure: units.Measure, title: str, reports: Sequence[Report]) -> Panel | None:
    points = [(float(r.epoch), float(value)) for r in reports if (value := _value(r, measure.name)) is not None]
    if not points:
        return None
    values = [value for _, value in points]
    margin = margin_of(min(values), max(values))
    unit = f" {measure.unit}" if measure.unit == units.PER_CENT else ""
    y = Axis("", min(values) - margin, max(values) + margin, scale=measure.factor, unit=unit)
    last = max(points[-1][0], 2.0)
    return Panel(Axis("epoch", 0.0, last), y, [Line(points, "best", title)], title)


def _value(report: Report, name: str) -> float | None:
    value: float | None = getattr(report, name) if name in COLUMNS else (report.metrics or {}).get(name)
    return value
