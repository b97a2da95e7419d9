"""The temperature response: of the best of all settings, and of each optimizer by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from search import units
from search.requests.job_view import JobView
from service.plots.axes import optimizer_colour, quality_axis, temperature_axis
from service.plots.data import (
    Band,
    Dots,
    Legend,
    Line,
    Mark,
    Panel,
    PlotData,
    Rule,
    Source,
    Stripes,
    Symbol,
    Whisker,
)
from thermowell.api.answers import (
    Contestant,
    Observation,
    ResponseCurve,
    ResponsePoint,
    Result,
    TemperatureResponse,
    TemperatureSet,
)

NONE_YET = "No temperature was searched yet."


def response(view: JobView) -> PlotData:
    """Quality along T with its band, the trials, who was confirmed, and where the best and the equivalent T lie."""
    answer, result, metric = view.response, view.result, units.shown(view.response)
    side = "lower is better" if answer.direction == "minimize" else "on the validation part"
    state = "for each temperature, the other settings at their best for it" if answer.overall else "trials alone"
    temperatures, values = _temperatures(answer), _values(result, answer)
    plot = PlotData(
        name="response",
        title=f"{metric.heading} over temperature",
        subtitle=f"{side}; {state}",
        description=_description(result, answer),
        source=source_of(view),
    )
    if not temperatures or not values:
        return replace(plot, empty=NONE_YET)
    x = temperature_axis(temperatures[0], temperatures[-1])
    marks: list[Mark] = [*_trials(answer.observations, x.low, x.high), *_curves(result, answer), *_contestants(result)]
    marks += _sets(answer)
    panel = Panel(x, quality_axis(metric, values), marks)
    return replace(plot, panels=[panel], height=270, legend=_legend(result, answer))


def source_of(view: JobView) -> Source:
    """The trials that a response was fitted on."""
    planned = view.job.progress.search_budget + len([o for o in view.response.observations if o.stage == "baseline"])
    return Source(len(view.response.observations), planned, datetime.fromisoformat(view.response.computed_at))


def _description(result: Result | None, answer: TemperatureResponse) -> str:
    summary = result.summary if result else "The job has no answer."
    return summary if answer.overall else f"{summary} There are too few trials for a response."


def _temperatures(answer: TemperatureResponse) -> list[float]:
    if answer.overall:
        return [point.temperature for point in answer.overall.points]
    return sorted({observation.temperature for observation in answer.observations})


def _values(result: Result | None, answer: TemperatureResponse) -> list[float]:
    """What the axis holds: the whole band, the contestants, and lines of optimizers as far as they are near."""
    values = [c.validation.mean for c in _contestants_in(result) if c.validation.mean is not None]
    if answer.overall is None:
        values += [item.value for item in answer.observations if item.state == "completed"]
        return values or [item.value for item in answer.observations]
    values += [end for point in answer.overall.points for end in (point.low, point.mean, point.high)]
    room = 0.6 * (max(values) - min(values)) + 1e-9
    ends = [point.mean for curve in answer.per_optimizer for point in curve.points]
    ends += [
        end for c in _contestants_in(result) if (i := c.validation.interval) is not None for end in (i.low, i.high)
    ]
    label = _label_only(result)
    ends += [] if label is None else [label]
    low, high = min(values) - room, max(values) + room
    return values + [end for end in ends if low <= end <= high]


def _contestants_in(result: Result | None) -> list[Contestant]:
    """The contestants with a place in the picture: tuned T = 1 and T = 4, and the winner."""
    if result is None:
        return []
    baselines = [c for c in result.baselines if c.variant == "tuned" and c.arm != "label_only"]
    return [c for c in [*baselines, result.winner] if c.validation.mean is not None]


def _label_only(result: Result | None) -> float | None:
    """The mean of training without distillation, tuned for itself."""
    baselines = result.baselines if result else []
    means = (c.validation.mean for c in baselines if (c.arm, c.variant) == ("label_only", "tuned"))
    return next(means, None)


def _trials(observations: Sequence[Observation], low: float, high: float) -> list[Mark]:
    """One dot for each trial, a ring where it was stopped early."""
    marks: list[Mark] = []
    for optimizer in sorted({item.optimizer for item in observations}):
        for completed in (True, False):
            group = [
                item
                for item in observations
                if item.optimizer == optimizer and (item.state == "completed") is completed
            ]
            inside = [item for item in group if low * 0.999 <= item.temperature <= high * 1.001]
            if inside:
                name = f"{units.OPTIMIZERS.get(optimizer, optimizer)}: {'trials' if completed else 'stopped early'}"
                marks.append(
                    Dots(
                        [(item.temperature, item.value) for item in inside],
                        optimizer_colour(optimizer),
                        name,
                        "dot" if completed else "ring",
                        2.6 if completed else 2.2,
                        texts=[f"trial {item.trial} ({item.stage})" for item in inside],
                    )
                )
    return marks


def band_of(points: Sequence[ResponsePoint], colour: str, name: str, opacity: float = 0.24) -> Band:
    """The area between both ends of a curve's band."""
    return Band([(point.temperature, point.low, point.high) for point in points], colour, f"band of {name}", opacity)


def line_of(points: Sequence[ResponsePoint]) -> list[tuple[float, float]]:
    """The middle of a curve."""
    return [(point.temperature, point.mean) for point in points]


def _curves(result: Result | None, answer: TemperatureResponse) -> list[Mark]:
    """The band of the best of all, a line for each optimizer, and one for no distillation."""
    marks: list[Mark] = []
    overall, label = answer.overall, _label_only(result)
    if overall is not None:
        marks.append(band_of(overall.points, "band", "best of all settings"))
    if label is not None:
        marks.append(Rule(label, "soft", units.ARMS["label_only"], dash="1.5 4", labelled=True))
    dashes = "5 4" if len(answer.per_optimizer) > 1 else ""
    for curve in answer.per_optimizer:
        name, points = curve.optimizer or "", line_of(curve.points)
        marks.append(Line(points, optimizer_colour(name), units.OPTIMIZERS.get(name, name), dash=dashes, labelled=True))
    if overall is not None:
        marks.append(Line(line_of(overall.points), "ink", "best of all settings", width=2.4))
    return marks


def _contestants(result: Result | None) -> list[Mark]:
    """Winner and tuned baselines on fresh seeds, with their intervals."""
    marks: list[Mark] = []
    for contestant in _contestants_in(result):
        temperature, mean = contestant.configuration.temperature, contestant.validation.mean
        won, interval = contestant.arm == "joint", contestant.validation.interval
        colour = "best" if won else "ink"
        name = "chosen, on fresh seeds" if won else f"tuned {units.ARMS[contestant.arm]}, on fresh seeds"
        if interval is not None:
            marks.append(Whisker(temperature, interval.low, interval.high, colour, upright=True))
        symbol: Symbol = "diamond" if won else "open diamond"
        size = 6.5 if won else 5.0
        marks.append(Dots([(temperature, mean or 0.0)], colour, name, symbol, size, 1.0))
    return marks


def _sets(answer: TemperatureResponse) -> list[Mark]:
    """Below the axis: which temperatures may be best, and which are shown to be as good."""
    if answer.overall is None:
        return []
    delta = units.difference(units.shown(answer), answer.delta)
    best, close = answer.overall.confidence_set, answer.overall.equivalent_set
    return [
        Stripes(best.intervals, "best", f"may be the best ({units.percent(best.confidence)}){_reach(best)}"),
        Stripes(close.intervals, "close", f"within {delta} of the best{_reach(close)}"),
    ]


def _reach(temperatures: TemperatureSet) -> str:
    if not temperatures.intervals:
        return ": none is shown to be, the trials are too few"
    return f": {units.ranges([(low, high) for low, high in temperatures.intervals])}"


def _legend(result: Result | None, answer: TemperatureResponse) -> list[Legend]:
    entries = [Legend("dot", "soft", "a trial")]
    if any(item.state != "completed" for item in answer.observations):
        entries.append(Legend("ring", "soft", "one that was stopped early"))
    if answer.overall:
        confidence = units.percent(answer.overall.confidence_set.confidence)
        entries.append(Legend("band", "band", f"the best at each T, with its {confidence} band"))
    if _contestants_in(result):
        entries.append(Legend("diamond", "best", "chosen, on fresh seeds"))
    if len(_contestants_in(result)) > 1:
        entries.append(Legend("open diamond", "ink", "T = 1 and T = 4, each tuned for itself, on fresh seeds"))
    return entries


def optimizers(view: JobView) -> PlotData:
    """Each optimizer's own response in a panel of its own, on one scale."""
    return _by_optimizer(view, view.response.per_optimizer, averaged=False)


def marginal(view: JobView) -> PlotData:
    """The worth of a temperature to somebody who does not tune the other settings with it."""
    curves = [c.model_copy(update={"points": c.marginal}) for c in view.response.per_optimizer if c.marginal]
    return _by_optimizer(view, curves, averaged=True)


def _by_optimizer(view: JobView, curves: Sequence[ResponseCurve], *, averaged: bool) -> PlotData:
    answer, names = view.response, [units.OPTIMIZERS.get(curve.optimizer or "", "") for curve in curves]
    best = [units.number(_best(curve, answer, averaged), 2) for curve in curves]
    description = "; ".join(f"{name} is best at about T = {t}" for name, t in zip(names, best, strict=True))
    condition = "averaged over the searched space" if averaged else "at their best for it"
    plot = PlotData(
        name="marginal" if averaged else "optimizers",
        title="Temperature on average over the other settings" if averaged else "Temperature response by optimizer",
        subtitle=f"for each temperature, the optimizer's other settings {condition}",
        description=description or "No optimizer has trials enough for a curve.",
        source=source_of(view),
    )
    if not curves:
        return replace(plot, empty="No optimizer has trials enough for a curve yet.")
    values = [end for curve in curves for point in curve.points for end in (point.low, point.mean, point.high)]
    y = quality_axis(units.shown(answer), values)
    panels = []
    for curve, name in zip(curves, names, strict=True):
        x = temperature_axis(curve.points[0].temperature, curve.points[-1].temperature)
        colour = optimizer_colour(curve.optimizer or "")
        observed = [item for item in answer.observations if item.optimizer == curve.optimizer]
        marks: list[Mark] = [] if averaged else _trials(observed, x.low, x.high)
        marks += [band_of(curve.points, colour, name, 0.18), Line(line_of(curve.points), colour, name, 2.2)]
        if not averaged:
            close = "shown to be as good" if curve.equivalent_set.intervals else "none is shown to be as good"
            marks.append(Stripes(curve.confidence_set.intervals, "best", "may be its best"))
            marks.append(Stripes(curve.equivalent_set.intervals, "close", close))
        panels.append(Panel(x, y, marks, name, colour, "" if averaged else f"{len(observed)} trials"))
    return replace(plot, panels=panels, columns=min(len(panels), 2), height=190)


def _best(curve: ResponseCurve, answer: TemperatureResponse, averaged: bool) -> float:
    if not averaged:
        return curve.best_temperature
    sign = -1 if answer.direction == "minimize" else 1
    return max(curve.points, key=lambda point: sign * point.mean).temperature
