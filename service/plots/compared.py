"""Answers of several jobs in one plot: their temperature responses, and their gains over the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search import units
from service.plots.axes import quality_axis, temperature_axis
from service.plots.confirmed import gain_panel
from service.plots.data import Axis, Legend, Line, Mark, Panel, PlotData, Stripes
from service.plots.response import band_of, line_of
from thermowell.api.answers import Result, TemperatureResponse

COLOURS = ("#2f6fd0", "#d1600a", "#7b3fa0", "#00805a", "#b3261e", "#8a6d00")
"""One for each job, apart in hue and in lightness."""
LONGEST = 28


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """One of the compared jobs: its name, how its objective is shown, and what it answers so far."""

    name: str
    metric: units.Measure
    result: Result | None
    response: TemperatureResponse | None


def responses(jobs: Sequence[JobAnswer]) -> PlotData:
    """The response of each job: on one scale where they measure the same, else each from 0 (worst) to 1 (best)."""
    answers = [(place, job, job.response.overall) for place, job in enumerate(jobs) if job.response]
    curves = [(place, job, overall) for place, job, overall in answers if overall is not None]
    alike = len({job.metric for _, job, _ in curves}) < 2
    heading = PlotData(
        name="compared-responses",
        title="Temperature responses",
        subtitle="for each temperature, the other settings at their best for it, with each job's band; below: which "
        "temperatures may be the best" + ("" if alike else "; each job from its worst (0) to its best (1)"),
        description=f"The temperature responses of {len(curves)} jobs.",
        empty="" if curves else "None of these jobs has a temperature response yet.",
    )
    if not curves:
        return heading
    marks: list[Mark] = []
    ends: list[float] = []
    for place, job, overall in curves:
        points = overall.points
        if not alike:
            low, high = min(p.mean for p in points), max(p.mean for p in points)
            span = (high - low) or 1.0
            values = [((p.temperature, (p.mean - low) / span)) for p in points]
            marks.append(Line(values, COLOURS[place], _short(job.name), 2.4))
            continue
        marks += [band_of(points, COLOURS[place], job.name, 0.14)]
        marks += [Line(line_of(points), COLOURS[place], _short(job.name), 2.4)]
        ends += [end for p in points for end in (p.low, p.mean, p.high)]
    marks += [Stripes(overall.confidence_set.intervals, COLOURS[place], "") for place, _, overall in curves]
    temperatures = [p.temperature for _, _, overall in curves for p in overall.points]
    y = quality_axis(curves[0][1].metric, ends) if alike else Axis("", -0.05, 1.05)
    panel = Panel(temperature_axis(min(temperatures), max(temperatures)), y, marks)
    legend = [Legend("line", COLOURS[place], _short(job.name)) for place, job, _ in curves]
    return PlotData(heading.name, heading.title, heading.subtitle, heading.description, [panel], 1, 260, legend)


def gains(jobs: Sequence[JobAnswer]) -> PlotData:
    """What each job's candidate gains over the baselines tuned for themselves."""
    metrics = {job.metric for job in jobs if job.result is not None}
    rows = [
        (job, gain)
        for job in jobs
        for gain in (job.result.gains if job.result is not None else [])
        if gain.variant == "tuned" and gain.mean is not None and len(metrics) == 1
    ]
    empty = "They measure different things: their gains have no common scale." if len(metrics) > 1 else ""
    heading = PlotData(
        name="compared-gains",
        title="Gains over the tuned baselines",
        subtitle="paired by seed; right of zero is better; hollow: on the test part",
        description=f"{len(rows)} gains of {len(jobs)} jobs.",
        empty=empty or ("" if rows else "None of these jobs has been compared with a baseline yet."),
    )
    if heading.empty:
        return heading
    ordered = sorted(rows, key=lambda row: ["t4", "t1", "label_only"].index(row[1].over))
    names = [f"{_short(job.name)}: {units.ARMS[gain.over]}" for job, gain in ordered]
    panel = gain_panel(rows[0][0].metric, [gain for _, gain in ordered], names)
    height = 44.0 * len(rows) + 8
    return PlotData(heading.name, heading.title, heading.subtitle, heading.description, [panel], 1, height)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
