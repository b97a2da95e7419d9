"""Plots along training and along the search: learning curves, running trials, and the best value so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from search import units
from search.records import Trial
from search.requests.job_view import Curve, JobView
from search.states import Arm, Stage, TrialState
from service.plots.axes import heat, heat_bar, quality_axis, shades
from service.plots.data import Axis, Dots, Legend, Line, Mark, Panel, PlotData, Rule, Source

SPREAD = 0.02
"""Of the whole span of the values: curves that differ by less are alike."""
FLOOR = 0.75
"""Of the span, which the last quarter of curves that still differ is to fill at the most."""


def curves(view: JobView) -> PlotData:
    """Learning curves of the search's trials, coloured by T; the axis begins where they differ."""
    metric, lines = units.shown(view.response), view.curves
    searched = sum(trial.stage is Stage.SEARCH for trial in view.trials)
    part = f"{len(lines)} of {searched} search trials" if len(lines) < searched else "every search trial"
    plot = PlotData(
        name="curves",
        title=f"{metric.heading} over epochs, by temperature",
        subtitle=f"{part}, one seed each; dashed: stopped early or going on",
        description=_description(lines),
        source=_source(view, len(lines)),
    )
    if not lines:
        return replace(plot, empty="No trial has told an epoch yet.")
    return replace(plot, panels=[_panel(view, lines)], height=250, colour_bar=heat_bar([c.temperature for c in lines]))


def lanes(view: JobView) -> PlotData:
    """Learning curves of the trials that are in training now, coloured by T."""
    running, metric = view.lanes, units.shown(view.response)
    plot = PlotData(
        name="lanes",
        title="In training now",
        subtitle=f"{metric.label} over epochs of each running trial, by temperature",
        description=f"{len(running)} trials are in training now. {_description(running)}",
        source=Source(len(running), view.job.progress.trials_running, view.job.updated_at),
    )
    if not running:
        return replace(plot, empty="No running trial has told an epoch yet.")
    panel = _panel(view, running, dashes=False)
    return replace(plot, panels=[panel], height=200, colour_bar=heat_bar([curve.temperature for curve in running]))


def _source(view: JobView, trials: int) -> Source:
    return Source(trials, view.job.progress.search_budget, view.job.updated_at)


def _panel(view: JobView, lines: Sequence[Curve], *, dashes: bool = True) -> Panel:
    epochs = max(curve.epochs[-1] for curve in lines)
    metric = units.shown(view.response)
    low, high = limits(lines, minimize=view.response.direction == "minimize")
    shares = shades([curve.temperature for curve in lines])
    marks: list[Mark] = []
    for curve, share in sorted(zip(lines, shares, strict=True), key=lambda pair: pair[1]):
        stopped = dashes and curve.state is not TrialState.COMPLETED
        points = list(zip(map(float, curve.epochs), curve.values, strict=True))
        name = f"trial {curve.trial}, T = {units.number(curve.temperature)}"
        marks.append(Line(points, heat(share), name, 1.4, "3 3" if stopped else "", 0.75, rising=True))
    return Panel(Axis("epoch", 0.0, float(max(epochs, 2)), whole=True), quality_axis(metric, [low, high]), marks)


def limits(lines: Sequence[Curve], *, minimize: bool) -> tuple[float, float]:
    """From where curves differ to the best of them: early epochs, in which all are bad, lie below the axis.

    The worse end is the worst value among the later halves of the curves that end within the better three quarters;
    what is worse is marked at the edge.
    """
    values = [value for curve in lines for value in curve.values]
    sign = -1.0 if minimize else 1.0
    ends = sorted(sign * curve.values[-1] for curve in lines)
    kept_ends = ends[len(ends) // 4 :]
    later = [
        sign * value
        for curve in lines
        if sign * curve.values[-1] >= kept_ends[0]
        for value in curve.values[len(curve.values) // 2 :]
    ]
    best, worst = max(sign * value for value in values), min(sign * value for value in values)
    begin = min(later)
    if best - begin < SPREAD * (best - worst) or best - begin > FLOOR * (best - worst):
        begin = worst
    return (sign * begin, sign * best) if not minimize else (sign * best, sign * begin)


def best_so_far(view: JobView) -> PlotData:
    """The best value of the search along its trials, with the moments at which stages began."""
    metric, sign = units.shown(view.response), -1 if view.response.direction == "minimize" else 1
    searched = [t for t in view.trials if t.stage is Stage.SEARCH and t.arm is Arm.JOINT and t.ended_at is not None]
    finished = sorted(searched, key=lambda trial: (trial.ended_at or trial.created_at, trial.number))
    points, steps, best = [], list[tuple[float, float]](), None
    for number, trial in enumerate(finished, start=1):
        if trial.state is not TrialState.COMPLETED or trial.value is None:
            continue
        points.append((float(number), trial.value))
        if best is None or sign * trial.value > sign * best:
            steps += [] if best is None else [(float(number), best)]
            best = trial.value
            steps.append((float(number), best))
    plot = PlotData(
        name="best",
        title=f"Best {metric.label} so far",
        subtitle="single seeds: the best of many flatters; dots: trials of the search in the order of their end",
        description="No trial has been completed yet." if best is None else _best_words(metric, best, len(points)),
        source=Source(len(points), view.job.progress.search_budget, view.job.updated_at),
    )
    if best is None:
        return replace(plot, empty="No trial of the search has been completed yet.")
    steps.append((float(len(finished)), best))
    middle = sorted(value for _, value in points)[len(points) // 4 if sign > 0 else (3 * len(points)) // 4]
    marks: list[Mark] = [Dots(points, "soft", "trials"), Line(steps, "best", "best so far", 2.4)]
    marks += [Rule(number, "soft", name, upright=True, dash="3 3") for number, name in _stages(view, finished)]
    x = Axis("trials of the search that have ended", 0.0, float(max(len(finished), view.job.progress.search_budget, 2)))
    panel = Panel(x, quality_axis(metric, [middle, steps[0][1], best]), marks)
    legend = [Legend("dot", "soft", "a trial"), Legend("line", "best", "the best so far")]
    return replace(plot, panels=[panel], height=200, legend=legend)


def _best_words(metric: units.Measure, best: float, count: int) -> str:
    return f"The best of {count} completed trials reached {units.level(metric, best)}."


def _stages(view: JobView, finished: Sequence[Trial]) -> list[tuple[float, str]]:
    """After how many ended trials a stage began: the baselines', the confirmation's."""
    moments = []
    for stage, name in ((Stage.BASELINE, "baselines"), (Stage.SELECT, "fresh seeds")):
        starts = [trial.started_at for trial in view.trials if trial.stage is stage and trial.started_at is not None]
        if starts:
            begin: datetime = min(starts)
            moments.append((float(sum((t.ended_at or begin) <= begin for t in finished)), name))
    return moments


def _description(lines: Sequence[Curve]) -> str:
    if not lines:
        return "No trial has told an epoch yet."
    low, high = min(lines, key=lambda c: c.temperature), max(lines, key=lambda c: c.temperature)
    return (
        f"{len(lines)} learning curves, from T = {units.number(low.temperature)}, which ends at "
        f"{units.number(low.values[-1])}, to T = {units.number(high.temperature)}, which ends at "
        f"{units.number(high.values[-1])}."
    )
