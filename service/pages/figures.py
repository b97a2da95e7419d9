"""The plots of a job in Optuna Dashboard, each as Plotly's JSON, from the job's state alone.

Plain JSON rather than Plotly for Python: that would be 60 MB more to install, for a library of which Optuna Dashboard
reads nothing but this JSON. The tests hold every figure to Plotly's own schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from search.public import ResponseCurve, ResponsePoint, Standing, units
from service.pages import figures_maps, picture_optimizers, picture_response
from service.pages.figures_base import COLOURS, Json, axis, faded, figure, line, marks, quality_axis, rounded, shown
from service.pages.panel import COLD_TO_HOT, heat
from service.pages.picture_curves import shades
from service.pages.picture_softness import ceiling


def _band(points: Sequence[ResponsePoint], metric: units.Metric, colour: str, name: str, **places: Any) -> list[Json]:
    """The area between both ends of a curve's band, and the curve."""
    there = [point.temperature for point in points]
    ends = [*(point.high for point in points), *(point.low for point in reversed(points))]
    area = {
        "type": "scatter", "mode": "lines", "x": rounded([*there, *reversed(there)]), "y": shown(metric, ends),
        "fill": "toself", "fillcolor": faded(colour, 0.18), "line": {"width": 0}, "hoverinfo": "skip",
        "name": f"band of {name}", "showlegend": False, **places,
    }  # fmt: skip
    return [area, line(there, shown(metric, [p.mean for p in points]), colour, name, **places)]


def _observed(standing: Standing, optimizer: str, **places: Any) -> Json:
    """The trials of one optimizer, open where they were stopped early."""
    own = [one for one in standing.response.observations if one.optimizer == optimizer]
    symbols = ["circle" if one.state == "completed" else "circle-open" for one in own]
    return marks(
        [one.temperature for one in own],
        shown(standing.response.metric, [one.value for one in own]),
        COLOURS.get(optimizer, COLOURS["soft"]),
        f"{units.OPTIMIZERS.get(optimizer, optimizer)}: trials",
        symbol=symbols,
        size=6,
        opacity=0.5,
        text=[f"trial {one.trial} ({one.stage})" for one in own],
        **places,
    )


def response(standing: Standing) -> Json:
    """Quality along T with its band, the trials, who was confirmed, and where the best and the equivalent T lie."""
    told, metric = standing.response, standing.response.metric
    optimizers = sorted({one.optimizer for one in told.observations})
    data = [_observed(standing, optimizer) for optimizer in optimizers]
    shapes: list[Json] = []
    if told.overall is not None:
        data += _band(told.overall.points, metric, COLOURS["ink"], "best of all settings")
        for found, colour in ((told.overall.equivalent_set, "close"), (told.overall.confidence_set, "best")):
            shapes += [_stripe(low, high, COLOURS[colour], colour == "close") for low, high in found.intervals]
    if standing.result is not None:
        contestants = [standing.result.winner, *(b for b in standing.result.baselines if b.variant == "tuned")]
        for one in contestants:
            if one.validation.mean is None or one.arm == "label_only":
                continue
            name = "chosen, on fresh seeds" if one.arm == "joint" else f"tuned {units.ARMS[one.arm]}, on fresh seeds"
            colour = COLOURS["best" if one.arm == "joint" else "ink"]
            within = one.validation.interval
            reach = [0.0 if within is None else (within.high - within.low) / 2 * units.scale(metric)]
            data.append(
                marks([float(one.configuration["temperature"])], shown(metric, [one.validation.mean]), colour, name,
                      symbol="diamond", size=11, error_y={"type": "data", "array": rounded(reach), "color": colour})
            )  # fmt: skip
    subtitle = _sets_in_words(standing)
    values = picture_response.shown_values(standing.result, told)
    axes = {"xaxis": axis("temperature", log=True), "yaxis": quality_axis(metric, values)}
    return figure("Temperature response", subtitle, data, shapes=shapes, **axes)


def _stripe(low: float, high: float, colour: str, strong: bool) -> Json:
    return {
        "type": "rect", "xref": "x", "yref": "paper", "x0": low, "x1": high, "y0": 0, "y1": 0.05 if strong else 0.025,
        "fillcolor": colour, "opacity": 0.55, "line": {"width": 0}, "layer": "below",
    }  # fmt: skip


def _sets_in_words(standing: Standing) -> str:
    overall = standing.response.overall
    if overall is None:
        return "too few trials for a curve: the trials alone"
    best, close = overall.confidence_set, overall.equivalent_set
    delta = units.difference(standing.response.metric, standing.response.delta)
    within = f"green: within {delta} {units.ranges(close.intervals)}" if close.intervals else f"none within {delta} yet"
    return f"violet: may be the best {units.ranges(best.intervals)} ({units.percent(best.confidence)}); {within}"


def optimizers(standing: Standing) -> Json:
    """Each optimizer's own response in a chart of its own, on one scale."""
    told = standing.response
    curves: Sequence[ResponseCurve | None] = told.per_optimizer
    names = [curve.optimizer or "" for curve in told.per_optimizer]
    if not names:
        names = sorted({one.optimizer for one in told.observations})
        curves = [None] * len(names)
    layout: Json = {"grid": {"rows": 1, "columns": max(len(names), 1), "pattern": "coupled"}}
    layout["yaxis"] = quality_axis(told.metric, picture_optimizers.shown_values(told))
    data: list[Json] = []
    for place, (name, curve) in enumerate(zip(names, curves, strict=True)):
        suffix = str(place + 1) if place else ""
        places = {"xaxis": f"x{suffix}", "yaxis": "y"}
        data.append(_observed(standing, name, **places))
        words = units.OPTIMIZERS.get(name, name)
        if curve is not None:
            data += _band(curve.points, told.metric, COLOURS.get(name, COLOURS["soft"]), words, **places)
            words += f", best at T = {units.number(curve.best_temperature)}"
        layout[f"xaxis{suffix}"] = axis(words, log=True)
    return figure("Temperature response by optimizer", "other settings at their best for each T", data, **layout)


def curves(standing: Standing) -> Json:
    """Learning curves of the search's trials, coloured by T."""
    metric, known = standing.response.metric, standing.curves
    temperatures = [curve.temperature for curve in known]
    data: list[Json] = []
    for curve, share in zip(known, shades(temperatures) if known else [], strict=True):
        one = line(list(curve.epochs), shown(metric, curve.values), heat(share), f"trial {curve.trial}", width=1.4)
        one |= {"showlegend": False, "opacity": 0.8, "text": f"T = {units.number(curve.temperature)}"}
        one["line"]["dash"] = "solid" if curve.state == "completed" else "dot"
        data.append(one)
    if known:
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


def gains(standing: Standing) -> Json:
    """What the winner gains over each baseline, paired by seed, with intervals."""
    metric = standing.response.metric
    rows = [gain for gain in standing.result.gains if gain.mean is not None] if standing.result else []
    names = [f"{units.ARMS[gain.over]}, {'tuned' if gain.headline else 'winner’s settings'}" for gain in reversed(rows)]
    data: list[Json] = []
    for part, symbol, colour in (("validation", "circle", "best"), ("test", "circle-open", "soft")):
        told = [
            (name, *((gain.mean, gain.interval) if part == "validation" else (gain.test_mean, gain.test_interval)))
            for name, gain in zip(names, reversed(rows), strict=True)
        ]
        known = [(name, mean, within) for name, mean, within in told if mean is not None]
        if not known:
            continue
        reach = [0.0 if w is None else (w.high - w.low) / 2 * units.scale(metric) for _, _, w in known]
        one = marks(shown(metric, [mean for _, mean, _ in known]), [], COLOURS[colour], part, symbol=symbol, size=9,
                    error_x={"type": "data", "array": rounded(reach), "color": COLOURS[colour]})  # fmt: skip
        data.append(one | {"y": [name for name, _, _ in known]})
    unit = "nats" if metric == "nll" else "points"
    axes = {"xaxis": axis(f"gain in {units.NAMES[metric]} ({unit})") | {"zeroline": True, "zerolinewidth": 2}}
    axes["yaxis"] = {"automargin": True, "type": "category"}
    said = "paired by seed, on seeds that chose nothing" if rows else "measured at the end, on seeds that chose nothing"
    return figure("Gain over the baselines", said, data, **axes)


def softness(standing: Standing) -> Json:
    """The mean entropy of the teacher's softmax along T."""
    known = sorted(standing.response.softness)
    there, entropies = [t for t, _ in known], [entropy for _, entropy in known]
    data = [line(there, rounded(entropies), COLOURS["ink"], "mean entropy")] if known else []
    measured = [
        (float(trial.configuration["temperature"]), trial.metrics["teacher_entropy"])
        for trial in standing.trials
        if trial.configuration and trial.metrics and trial.arm != "label_only"
    ]
    at, seen = [t for t, _ in measured], rounded([entropy for _, entropy in measured])
    data.append(marks(at, seen, COLOURS["soft"], "measured by trials", symbol="circle", size=5, opacity=0.5))
    most, shapes = ceiling(standing), list[Json]()
    if most is not None:
        shapes.append({"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": most, "y1": most,
                       "line": {"dash": "dot", "color": COLOURS["soft"]}})  # fmt: skip
    if standing.result is not None:
        chosen = float(standing.result.winner.configuration["temperature"])
        shapes.append({"type": "line", "yref": "paper", "x0": chosen, "x1": chosen, "y0": 0, "y1": 1,
                       "line": {"color": COLOURS["best"]}})  # fmt: skip
    said = "mean entropy of softmax(logits / T) on validation; dotted: all classes alike; violet: the chosen T"
    axes = {"xaxis": axis("temperature", log=True), "yaxis": axis("nats") | {"rangemode": "tozero"}}
    return figure("Softness of the teacher", said, data, shapes=shapes, **axes)


def all_of(standing: Standing) -> dict[str, Json]:
    """Every figure by its name: {"data": [...], "layout": {...}} each."""
    return {
        "response": response(standing),
        "optimizers": optimizers(standing),
        **figures_maps.draw(standing),
        "curves": curves(standing),
        "gains": gains(standing),
        "softness": softness(standing),
    }
