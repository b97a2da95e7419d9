"""Plots of trials beside each other: calibration against accuracy, and settings against quality."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from search import units
from search.records import Trial
from search.requests.job_view import JobView
from search.states import Arm, Stage, TrialState
from service.plots.axes import POOR_TO_GOOD, heat, heat_bar, margin_of, shades
from service.plots.data import Axis, Bar, ColourBar, Dots, Legend, Line, Mark, Panel, PlotData, Source, Words
from trainers.registry import optimizers

MOST_LINES = 200
LOGARITHMIC = ("temperature", "learning_rate", "weight_decay")


def completed(view: JobView) -> list[Trial]:
    """The search's completed trials that say all of what they reached."""
    return [
        trial
        for trial in view.trials
        if (trial.stage, trial.arm, trial.state) == (Stage.SEARCH, Arm.JOINT, TrialState.COMPLETED)
        and trial.configuration is not None
        and trial.value is not None
    ]


def _source(view: JobView, trials: int) -> Source:
    return Source(trials, view.job.progress.search_budget, view.job.updated_at)


def pareto(view: JobView) -> PlotData:
    """Accuracy against calibration error and against likelihood, with the trials that no other betters in both."""
    trials = [t for t in completed(view) if t.metrics and all(t.metrics.get(name) is not None for name in units.NAMES)]
    plot = PlotData(
        name="pareto",
        title="Accuracy against calibration",
        subtitle="upper left is better; line: no other trial is better in both; colour: temperature",
        description=_pareto_words(trials),
        source=_source(view, len(trials)),
    )
    if not trials:
        return replace(plot, empty="No trial of the search has been completed yet.")
    temperatures = [float((trial.configuration or {})["temperature"]) for trial in trials]
    colours = [heat(share) for share in shades(temperatures)]
    winners = [t for t in view.trials if t.stage is Stage.ESTIMATE and t.variant == "winner" and t.metrics]
    panels = [_pareto_panel(trials, colours, winners, metric) for metric in ("ece", "nll")]
    legend = [Legend("line", "ink", "better than all others in one of both")]
    if winners:
        legend.append(Legend("diamond", "best", "the winner, each fresh seed"))
    return replace(plot, panels=panels, columns=2, height=230, legend=legend, colour_bar=heat_bar(temperatures))


def _pareto_panel(trials: Sequence[Trial], colours: Sequence[str], winners: Sequence[Trial], metric: str) -> Panel:
    def points_of(group: Sequence[Trial]) -> list[tuple[float, float]]:
        return [(float((t.metrics or {})[metric]), float((t.metrics or {})["accuracy"])) for t in group]

    points, best = points_of(trials), points_of(winners)
    texts = [f"trial {trial.number}" for trial in trials]
    marks: list[Mark] = [
        Dots(points, "soft", "trials", opacity=0.7, size=3, texts=texts, colours=colours),
        Line(front(points), "ink", "front", 1.6),
        Dots(best, "best", "the winner, each fresh seed", "diamond", 5.0, 1.0),
    ]
    whole = [*points, *best]
    x, y = _middle([a for a, _ in whole], high_side=True), _middle([b for _, b in whole], high_side=False)
    title = units.NAMES["ece" if metric == "ece" else "nll"]
    unit = (100.0, " %") if metric == "ece" else (1.0, "")
    return Panel(
        Axis(title, max(0.0, x[0]), x[1], scale=unit[0], unit=unit[1]),
        Axis("accuracy", y[0], y[1], scale=100.0, unit=" %"),
        marks,
    )


def _middle(values: Sequence[float], *, high_side: bool) -> tuple[float, float]:
    """The better end, and nine tenths of the values; the rest is marked at the edge."""
    ordered = sorted(values)
    tenth = len(ordered) // 10
    low, high = (ordered[0], ordered[-1 - tenth]) if high_side else (ordered[tenth], ordered[-1])
    margin = margin_of(low, high)
    return low - margin, high + margin


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that no other point betters in both: less of x, more of y; from the least x on."""
    kept_points: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept_points or y > kept_points[-1][1]:
            kept_points.append((x, y))
    return kept_points


def _pareto_words(trials: Sequence[Trial]) -> str:
    if not trials:
        return "No trial has been completed yet."
    best = max(trials, key=lambda trial: (trial.metrics or {})["accuracy"])
    metrics = best.metrics or {}
    return (
        f"The most accurate of {len(trials)} trials has {units.level('accuracy', metrics['accuracy'])} at a "
        f"calibration error of {units.level('ece', metrics['ece'])} and {units.level('nll', metrics['nll'])}."
    )


def parallel(view: JobView) -> PlotData:
    """Settings and quality of the search's trials as lines across parallel axes, the best ones on top."""
    trials, sign = completed(view), -1 if view.response.direction == "minimize" else 1
    metric = units.shown(view.response)
    trials = sorted(trials, key=lambda trial: sign * (trial.value or 0.0))[-MOST_LINES:]
    plot = PlotData(
        name="parallel",
        title="Settings of the trials",
        subtitle="a line for each completed trial of the search, the best on top; the last axis is what it reached",
        description=f"{len(trials)} completed trials of the search as lines across their settings and values.",
        source=_source(view, len(trials)),
    )
    if len(trials) < 2:
        return replace(plot, empty="Too few trials have been completed yet.")
    parameters = dict.fromkeys(name for trial in trials for name in (trial.configuration or {}).get("parameters") or {})
    settings = ("temperature", "kd_weight", "optimizer", *optimizers.NUMBERS, *parameters)
    names = [name for name in settings if _varies(trials, name)]
    columns = [[_value(trial, name) for trial in trials] for name in names]
    shares = [_shares(column, name) for column, name in zip(columns, names, strict=True)]
    quality = [sign * (trial.value or 0.0) for trial in trials]
    rank = _shares(quality, "value")
    marks: list[Mark] = []
    for place, trial in enumerate(trials):
        share = rank[place] or 0.0
        points = [(float(axis), column[place]) for axis, column in enumerate(shares)]
        line = [(x, y) for x, y in points if y is not None] + [(float(len(names)), share)]
        marks.append(Line(line, heat(share, POOR_TO_GOOD), f"trial {trial.number}", 1.2, opacity=0.25 + 0.65 * share))
    for axis, name in enumerate(names):
        marks += _ends(axis, columns[axis], name)
    low, high = (units.level(metric, sign * end) for end in (min(quality), max(quality)))
    marks += [Words(float(len(names)), 1.0, high, below=-14), Words(float(len(names)), 0.0, low, below=14)]
    labels = [*(name.replace("_", " ") if name != "kd_weight" else name for name in names), metric.label]
    x = Axis("", -0.3, len(names) + 0.3, categories=labels)
    panel = Panel(x, Axis("", -0.12, 1.12, words=[(0.0, "")]), marks)
    return replace(plot, panels=[panel], height=260, colour_bar=ColourBar(POOR_TO_GOOD, low, high))


def _value(trial: Trial, name: str) -> float | str | None:
    configuration = trial.configuration or {}
    optimizer, parameters = configuration.get("optimizer"), configuration.get("parameters") or {}
    if name in parameters:
        value = parameters[name]
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else units.value(value)
    if name == "optimizer":
        return None if optimizer is None else str(optimizer["name"])
    if name in optimizers.SETTINGS:
        if optimizer is None or not (name in optimizers.COMMON or optimizers.has(optimizer["name"], name)):
            return None
        return float(optimizer[name])
    return float(configuration[name]) if configuration.get(name) is not None else None


def _varies(trials: Sequence[Trial], name: str) -> bool:
    return len({value for trial in trials if (value := _value(trial, name)) is not None}) > 1


def _shares(column: Sequence[float | str | None], name: str) -> list[float | None]:
    """Where each value lies between the lowest and the highest, 0 to 1; names at equal distances."""
    words = sorted({value for value in column if isinstance(value, str)})
    if words:
        return [None if value is None else words.index(str(value)) / max(len(words) - 1, 1) for value in column]
    numbers = [float(value) for value in column if value is not None]
    log = name in LOGARITHMIC and min(numbers) > 0
    low, high = ((math.log(end) if log else end) for end in (min(numbers), max(numbers)))
    span = (high - low) or 1.0
    return [
        None if value is None else ((math.log(float(value)) if log else float(value)) - low) / span for value in column
    ]


def _ends(axis: int, column: Sequence[float | str | None], name: str) -> list[Mark]:
    del name
    words = sorted({value for value in column if isinstance(value, str)})
    if words:
        labels = [
            (index / max(len(words) - 1, 1), units.OPTIMIZERS.get(word, word)) for index, word in enumerate(words)
        ]
        return [
            Words(float(axis), share, label, below=14 if share == 0 else -14 if share == 1 else 0, colour="ink")
            for share, label in labels
        ]
    numbers = [float(value) for value in column if value is not None]
    return [
        Words(float(axis), 0.0, units.number(min(numbers), 2), below=14),
        Words(float(axis), 1.0, units.number(max(numbers), 2), below=-14),
    ]


def importances(view: JobView) -> PlotData:
    """How much each setting decided, as bars; temperature stands out."""
    importance = view.importances
    rows = sorted(importance.importances.items(), key=lambda row: -row[1]) if importance else []
    plot = PlotData(
        name="importances",
        title="What decided whether a trial was good",
        subtitle="share of each searched setting by itself in how much the trials' values differ; "
        f"{importance.evaluator if importance else 'not computed yet'}",
        description=", ".join(f"{name} {share:.0%}" for name, share in rows) or "Too few trials.",
        source=_source(view, len(completed(view))),
    )
    if not rows:
        return replace(plot, empty="Too few trials to say.")

    most, marks = max(share for _, share in rows) or 1.0, list[Mark]()
    names = [units.setting(name) for name, _ in rows]
    for row, (name, share) in enumerate(rows):
        marks.append(Bar(float(row), share, "best" if name == "temperature" else "band", f"{100 * share:.0f} %"))
    y = Axis("", len(rows) - 0.4, -0.6, categories=names)
    x = Axis("", 0.0, most, words=[(0.0, "")])
    panel = Panel(x, y, marks, margin=48)
    return replace(plot, panels=[panel], height=26.0 * len(rows) + 8)
