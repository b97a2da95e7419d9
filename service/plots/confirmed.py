"""Plots of what fresh seeds have said: gains over the baselines, and the spread of finalists and contestants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from search import units
from search.records import Trial
from search.requests.job_view import JobView
from search.states import Stage, TrialState
from service.plots.axes import margin_of, quality_axis
from service.plots.data import Axis, Dots, Legend, Mark, Panel, PlotData, Rule, Source, Whisker, Words
from thermowell.api.answers import Gain

MOST_ROWS = 12


def gains(view: JobView) -> PlotData:
    """The winner's gain over each baseline, on validation and, where it was read, on test."""
    metric, result = units.shown(view.response), view.result
    rows = [gain for gain in result.gains if gain.mean is not None] if result else []
    hollow = "; hollow: on the test part" if any(gain.test_mean is not None for gain in rows) else ""
    unit = f"{metric.unit_of_difference} of " if metric.unit_of_difference else ""
    plot = PlotData(
        name="gains",
        title="Gain over what one would have done",
        subtitle=f"in {unit}{metric.label}, paired by seed; right of zero is better{hollow}",
        description=_gain_words(metric, rows),
        source=_source(view),
    )
    if not rows:
        words = "No baseline can be compared." if result else "Measured at the end, on fresh seeds that chose nothing."
        return replace(plot, empty=words)
    names = [f"{units.ARMS[gain.over]}, {_how(gain)}" for gain in rows]
    panel = gain_panel(metric, rows, names)
    return replace(plot, panels=[panel], height=44.0 * len(rows) + 8)


def _how(gain: Gain) -> str:
    return "tuned for itself" if gain.variant == "tuned" else "at the winner's settings"


def gain_panel(metric: units.Measure, rows: Sequence[Gain], names: Sequence[str]) -> Panel:
    """A row for each gain: its interval on validation, below it that on the test part, and the numbers."""
    values = [0.0]
    for gain in rows:
        for mean, interval in ((gain.mean, gain.interval), (gain.test_mean, gain.test_interval)):
            values += [] if mean is None else [mean]
            values += [] if interval is None else [interval.low, interval.high]
    margin = margin_of(min(values), max(values))
    x = Axis("", min(values) - margin, max(values) + margin, scale=units.scale(metric))
    marks: list[Mark] = [Rule(0.0, "soft", "", upright=True)]
    for row, gain in enumerate(rows):
        colour, mean = "best" if gain.headline else "soft", gain.mean or 0.0
        if gain.interval is not None:
            marks.append(Whisker(row - 0.1, gain.interval.low, gain.interval.high, colour, width=2.4))
        marks.append(Dots([(mean, row - 0.1)], colour, "validation", "dot", 4.5, 1.0))
        if gain.test_mean is not None:
            if gain.test_interval is not None:
                marks.append(Whisker(row + 0.16, gain.test_interval.low, gain.test_interval.high, colour, width=1.2))
            marks.append(Dots([(gain.test_mean, row + 0.16)], colour, "test", "ring", 3.2, 1.0))
        places = units.places(metric, gain.interval)
        marks.append(
            Words(x.high, row - 0.14, units.difference(metric, mean, places), "start", "ink", bold=gain.headline)
        )
        if gain.interval is not None:
            low, high = (units.plain(metric, end, places) for end in (gain.interval.low, gain.interval.high))
            marks.append(Words(x.high, row + 0.18, f"{low} to {high}", "start"))
    return Panel(x, Axis("", len(rows) - 0.5, -0.5, categories=names), marks, margin=96)


def _gain_words(metric: units.Measure, rows: Sequence[Gain]) -> str:
    sentences = (
        f"over {units.ARMS[gain.over]}, {gain.variant.replace('_', ' ')}: "
        f"{units.difference_within(metric, gain.mean or 0.0, gain.interval)}"
        for gain in rows
    )
    return "; ".join(sentences) or "No baseline can be compared."


def _source(view: JobView) -> Source:
    confirming = [trial for trial in view.trials if trial.stage in (Stage.SELECT, Stage.ESTIMATE)]
    completed = sum(trial.state is TrialState.COMPLETED for trial in confirming)
    moment = datetime.fromisoformat(view.result.computed_at) if view.result else view.job.updated_at
    return Source(completed, len(confirming), moment)


def seeds(view: JobView) -> PlotData:
    """Each finalist's and contestant's value on every fresh seed, and the mean of them."""
    metric, groups = units.shown(view.response), _groups(view)
    plot = PlotData(
        name="seeds",
        title="Spread between seeds",
        subtitle=f"{metric.label} of each fresh seed, and their mean; finalists first, then what was estimated",
        description=f"{len(groups)} configurations were trained again on fresh seeds"
        + "".join(f"; {name}: {units.level(metric, sum(values) / len(values))}" for name, values, _ in groups[:4]),
        source=_source(view),
    )
    if not groups:
        return replace(plot, empty="No configuration was trained on a fresh seed yet.")
    marks: list[Mark] = []
    for row, (_, values, colour) in enumerate(groups):
        mean = sum(values) / len(values)
        marks.append(Dots([(value, float(row)) for value in values], colour, "a seed", size=3.4, opacity=0.7))
        marks.append(Dots([(mean, float(row))], colour, "mean", "diamond", 5.0, 1.0))
    whole = quality_axis(metric, [value for _, values, _ in groups for value in values])
    y = Axis("", len(groups) - 0.5, -0.5, categories=[name for name, _, _ in groups])
    legend = [Legend("dot", "soft", "a seed"), Legend("diamond", "soft", "the mean")]
    panel = Panel(whole, y, marks)
    return replace(plot, panels=[panel], height=36.0 * len(groups), legend=legend)


def _groups(view: JobView) -> list[tuple[str, list[float], str]]:
    """A name, values and a colour for each configuration, those of this round alone."""
    current = max((trial.round for trial in view.trials), default=0)
    groups: dict[tuple[str, str, int | None], list[Trial]] = {}
    for trial in view.trials:
        fresh = trial.stage in (Stage.SELECT, Stage.ESTIMATE) and trial.round == current
        if fresh and trial.value is not None and trial.state is TrialState.COMPLETED:
            if trial.stage is Stage.SELECT and trial.arm != "joint":
                continue
            groups.setdefault((str(trial.stage), f"{trial.arm}/{trial.variant}", trial.origin), []).append(trial)
    rows = []
    for (stage, kind, _), members in sorted(groups.items(), key=lambda item: (item[0][0] != "select", item[0][1])):
        values = [float(trial.value or 0.0) for trial in members]
        rows.append((_name(stage, kind, members[0].configuration or {}), values, _colour(stage, kind)))
    return rows[:MOST_ROWS]


def _name(stage: str, kind: str, configuration: Mapping[str, Any]) -> str:
    arm, _, variant = kind.partition("/")
    if stage == "select":
        name = f"T {units.number(float(configuration.get('temperature', 0.0)))}"
        optimizer = configuration.get("optimizer")
        if optimizer is None:
            return name
        rate = units.number(float(optimizer.get("learning_rate", 0.0)), 2)
        return f"{name}, {units.OPTIMIZERS.get(optimizer['name'], optimizer['name'])} lr {rate}"
    if arm == "joint":
        return "the winner, estimated"
    return f"{units.ARMS.get(arm, arm)}, {'tuned' if variant == 'tuned' else 'same settings'}"


def _colour(stage: str, kind: str) -> str:
    if stage == "select":
        return "close"
    return "best" if kind.startswith("joint") else "soft"
