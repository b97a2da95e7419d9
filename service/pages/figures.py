"""The plots of a job in Optuna Dashboard, each as Plotly's JSON, from the job's state alone.

Plain JSON rather than Plotly for Python: that would be 60 MB more to install, for a library of which Optuna Dashboard
reads nothing but this JSON. The tests hold every figure to Plotly's own schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from search import units
from search.requests.job_view import JobView
from service.pages import figures_maps, picture_optimizers, picture_response
from service.pages.chart_axes import COLD_TO_HOT, heat
from service.pages.figures_base import (
    COLOURS,
    Json,
    axis,
    display_values,
    faded,
    figure,
    line,
    marks,
    quality_axis,
    rounded,
)
from service.pages.picture_curves import shades
from service.pages.picture_softness import ceiling
from thermowell.api.answers import ResponseCurve, ResponsePoint


def _band(points: Sequence[ResponsePoint], metric: units.Metric, colour: str, name: str, **places: Any) -> list[Json]:
    """The area between both ends of a curve's band, and the curve."""
    temperatures = [point.temperature for point in points]
    ends = [*(point.high for point in points), *(point.low for point in reversed(points))]
    area = {
        "type": "scatter",
        "mode": "lines",
        "x": rounded([*temperatures, *reversed(temperatures)]),
        "y": display_values(metric, ends),
        "fill": "toself",
        "fillcolor": faded(colour, 0.18),
        "line": {"width": 0},
        "hoverinfo": "skip",
        "name": f"band of {name}",
        "showlegend": False,
        **places,
    }
    return [area, line(temperatures, display_values(metric, [p.mean for p in points]), colour, name, **places)]


def _observed(standing: JobView, optimizer: str, **places: Any) -> Json:
    """The trials of one optimizer, open where they were stopped early."""
    observations = [observation for observation in standing.response.observations if observation.optimizer == optimizer]
    symbols = ["circle" if observation.state == "completed" else "circle-open" for observation in observations]
    return marks(
        [observation.temperature for observation in observations],
        display_values(units.shown(standing.response), [observation.value for observation in observations]),
        COLOURS.get(optimizer, COLOURS["soft"]),
        f"{units.OPTIMIZERS.get(optimizer, optimizer)}: trials",
        symbol=symbols,
        size=6,
        opacity=0.5,
        text=[f"trial {observation.trial} ({observation.stage})" for observation in observations],
        **places,
    )


def response(standing: JobView) -> Json:
    """Quality along T with its band, the trials, who was confirmed, and where the best and the equivalent T lie."""
    response, metric = standing.response, units.shown(standing.response)
    optimizers = sorted({contestant.optimizer for contestant in response.observations})
    data = [_observed(standing, optimizer) for optimizer in optimizers]
    shapes: list[Json] = []
    if response.overall is not None:
        data += _band(response.overall.points, metric, COLOURS["ink"], "best of all settings")
        for temperatures, colour in (
            (response.overall.equivalent_set, "close"),
            (response.overall.confidence_set, "best"),
        ):
            shapes += [_stripe(low, high, COLOURS[colour], colour == "close") for low, high in temperatures.intervals]
    if standing.result is not None:
        contestants = [standing.result.winner, *(b for b in standing.result.baselines if b.variant == "tuned")]
        for contestant in contestants:
            if contestant.validation.mean is None or contestant.arm == "label_only":
                continue
            name = (
                "chosen, on fresh seeds"
                if contestant.arm == "joint"
                else f"tuned {units.ARMS[contestant.arm]}, on fresh seeds"
            )
            colour = COLOURS["best" if contestant.arm == "joint" else "ink"]
            interval = contestant.validation.interval
            reach = [0.0 if interval is None else (interval.high - interval.low) / 2 * units.scale(metric)]
            data.append(
                marks(
                    [float(contestant.configuration["temperature"])],
                    display_values(metric, [contestant.validation.mean]),
                    colour,
                    name,
                    symbol="diamond",
                    size=11,
                    error_y={"type": "data", "array": rounded(reach), "color": colour},
                )
            )
    subtitle = _sets_in_words(standing)
    values = picture_response.shown_values(standing.result, response)
    axes = {"xaxis": axis("temperature", log=True), "yaxis": quality_axis(metric, values)}
    return figure("Temperature response", subtitle, data, shapes=shapes, **axes)


def _stripe(low: float, high: float, colour: str, strong: bool) -> Json:
    return {
        "type": "rect", "xref": "x", "yref": "paper", "x0": low, "x1": high, "y0": 0, "y1": 0.05 if strong else 0.025,
        "fillcolor": colour, "opacity": 0.55, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip


def _sets_in_words(standing: JobView) -> str:
    overall = standing.response.overall
    if overall is None:
        return "too few trials for a curve: the trials alone"
    best, close = overall.confidence_set, overall.equivalent_set
    delta = units.difference(units.shown(standing.response), standing.response.delta)
    equivalent = (
        f"green: within {delta} {units.ranges(close.intervals)}" if close.intervals else f"none within {delta} yet"
    )
    return f"violet: may be the best {units.ranges(best.intervals)} ({units.percent(best.confidence)}); {equivalent}"


def optimizers(standing: JobView) -> Json:
    """Each optimizer's own response in a chart of its own, on one scale."""
    response = standing.response
    curves: Sequence[ResponseCurve | None] = response.per_optimizer
    names = [curve.optimizer or "" for curve in response.per_optimizer]
    if not names:
        names = sorted({observation.optimizer for observation in response.observations})
        curves = [None] * len(names)
    layout: Json = {"grid": {"rows": 1, "columns": max(len(names), 1), "pattern": "coupled"}}
    layout["yaxis"] = quality_axis(units.shown(response), picture_optimizers.shown_values(response))
    data: list[Json] = []
    for place, (name, curve) in enumerate(zip(names, curves, strict=True)):
        suffix = str(place + 1) if place else ""
        places = {"xaxis": f"x{suffix}", "yaxis": "y"}
        data.append(_observed(standing, name, **places))
        words = units.OPTIMIZERS.get(name, name)
        if curve is not None:
            data += _band(curve.points, units.shown(response), COLOURS.get(name, COLOURS["soft"]), words, **places)
            words += f", best at T = {units.number(curve.best_temperature)}"
        layout[f"xaxis{suffix}"] = axis(words, log=True)
    return figure("Temperature response by optimizer", "other settings at their best for each T", data, **layout)


def curves(standing: JobView) -> Json:
    """Learning curves of the search's trials, coloured by T."""
    metric, trial_curves = units.shown(standing.response), standing.curves
    temperatures = [curve.temperature for curve in trial_curves]
    data: list[Json] = []
    for curve, share in zip(trial_curves, shades(temperatures) if trial_curves else [], strict=True):
        trace = line(
            list(curve.epochs), display_values(metric, curve.values), heat(share), f"trial {curve.trial}", width=1.4
        )
        trace |= {"showlegend": False, "opacity": 0.8, "text": f"T = {units.number(curve.temperature)}"}
        trace["line"]["dash"] = "solid" if curve.state == "completed" else "dot"
        data.append(trace)
    if trial_curves:
        data.append(_temperature_scale(temperatures))
    axes = {"xaxis": axis("epoch"), "yaxis": quality_axis(metric)}
    return figure("Learning curves by temperature", "one seed each; dotted: stopped or going on", data, **axes)


def _temperature_scale(temperatures: Sequence[float]) -> Json:
    """Marks that nobody sees, for the sake of their colour bar."""
    scale = [[place / (len(COLD_TO_HOT) - 1), colour] for place, colour in enumerate(COLD_TO_HOT)]
    ends = [min(temperatures), max(temperatures)]
    return {
        "type": "scatter", "mode": "markers", "x": [None], "y": [None], "showlegend": False, "hoverinfo": "skip",
        "marker": {
            "color": [0], "cmin": 0, "cmax": 1, "colorscale": scale, "showscale": True,
            "colorbar": {
                "title": {"text": "T"}, "tickvals": [0, 1], "ticktext": [units.number(end) for end in ends],
                "thickness": 14,
            },
        },
    }  # fmt: skip


def gains(standing: JobView) -> Json:
    """What the winner gains over each baseline, paired by seed, with intervals."""
    metric = units.shown(standing.response)
    rows = [gain for gain in standing.result.gains if gain.mean is not None] if standing.result else []
    names = [f"{units.ARMS[gain.over]}, {'tuned' if gain.headline else 'winner’s settings'}" for gain in reversed(rows)]
    data: list[Json] = []
    for part, symbol, colour in (("validation", "circle", "best"), ("test", "circle-open", "soft")):
        values = [
            (name, *((gain.mean, gain.interval) if part == "validation" else (gain.test_mean, gain.test_interval)))
            for name, gain in zip(names, reversed(rows), strict=True)
        ]
        measured = [(name, mean, interval) for name, mean, interval in values if mean is not None]
        if not measured:
            continue
        reach = [0.0 if w is None else (w.high - w.low) / 2 * units.scale(metric) for _, _, w in measured]
        trace = marks(
            display_values(metric, [mean for _, mean, _ in measured]),
            [],
            COLOURS[colour],
            part,
            symbol=symbol,
            size=9,
            error_x={"type": "data", "array": rounded(reach), "color": COLOURS[colour]},
        )
        data.append(trace | {"y": [name for name, _, _ in measured]})
    unit = units.measure(metric).unit_of_difference
    axes = {
        "xaxis": axis(f"gain in {units.measure(metric).label}{f' ({unit})' if unit else ''}")
        | {"zeroline": True, "zerolinewidth": 2}
    }
    axes["yaxis"] = {"automargin": True, "type": "category"}
    subtitle = (
        "paired by seed, on seeds that chose nothing" if rows else "measured at the end, on seeds that chose nothing"
    )
    return figure("Gain over the baselines", subtitle, data, **axes)


def softness(standing: JobView) -> Json:
    """The mean entropy of the teacher's softmax along T."""
    points = sorted(standing.response.softness)
    temperatures, entropies = [t for t, _ in points], [entropy for _, entropy in points]
    data = [line(temperatures, rounded(entropies), COLOURS["ink"], "mean entropy")] if points else []
    measured = [
        (float(trial.configuration["temperature"]), trial.metrics["teacher_entropy"])
        for trial in standing.trials
        if trial.configuration and trial.metrics and trial.arm != "label_only"
    ]
    measured_temperatures, measured_entropies = [t for t, _ in measured], rounded([entropy for _, entropy in measured])
    data.append(
        marks(
            measured_temperatures,
            measured_entropies,
            COLOURS["soft"],
            "measured by trials",
            symbol="circle",
            size=5,
            opacity=0.5,
        )
    )
    most, shapes = ceiling(standing), list[Json]()
    if most is not None:
        shapes.append({"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": most, "y1": most,
                       "line": {"dash": "dot", "color": COLOURS["soft"]}})  # fmt: skip
    if standing.result is not None:
        winner_temperature = float(standing.result.winner.configuration["temperature"])
        shapes.append(
            {
                "type": "line",
                "yref": "paper",
                "x0": winner_temperature,
                "x1": winner_temperature,
                "y0": 0,
                "y1": 1,
                "line": {"color": COLOURS["best"]},
            }
        )
    subtitle = "mean entropy of softmax(logits / T) on validation; dotted: all classes alike; violet: the chosen T"
    axes = {"xaxis": axis("temperature", log=True), "yaxis": axis("nats") | {"rangemode": "tozero"}}
    return figure("Softness of the teacher", subtitle, data, shapes=shapes, **axes)


def all_of(standing: JobView) -> dict[str, Json]:
    """Every figure by its name: {"data": [...], "layout": {...}} each."""
    return {
        "response": response(standing),
        "optimizers": optimizers(standing),
        **figures_maps.draw(standing),
        "curves": curves(standing),
        "gains": gains(standing),
        "softness": softness(standing),
    }
