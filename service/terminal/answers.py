"""The answer as a terminal shows it in 80 columns: settings, temperature response, gains, and limitations."""

from __future__ import annotations

import json
import math

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from search import scales, units
from thermowell.api.answers import (
    Estimate,
    Gain,
    ResponseCurve,
    ResponsePoint,
    Result,
    Sanity,
    TemperatureResponse,
    Verdict,
)
from thermowell.api.configurations import Configuration, Optimizer
from thermowell.api.jobs import Job
from trainers.registry import optimizers

OVER = {"t4": "T = 4, the field's habit", "t1": "T = 1", "label_only": "no distillation"}
SHOWN_TEMPERATURES, SHOWN_ALTERNATIVES = 8, 6
WHISKER = 29


def configuration_line(configuration: Configuration) -> str:
    """The settings that matter most, in a line."""
    temperature = units.at_temperature(configuration.temperature, configuration.final_temperature, 2)
    optimizer = configuration.optimizer
    if optimizer is None:
        return ", ".join([temperature, *(f"{name} {units.value(v)}" for name, v in configuration.parameters.items())])
    rate = units.number(optimizer.learning_rate, 2)
    return f"{temperature} ({units.OPTIMIZERS[optimizer.name]}, learning rate {rate})"


def print_answer(console: Console, job: Job, result: Result, response: TemperatureResponse) -> None:
    """The whole answer of a completed job, from what the API sent."""
    metric = units.shown(result)
    console.print(Rule(Text(job.name, style="bold"), align="left", style="dim"))
    headline, action = units.first_lines(result.verdict, result.summary)
    console.print(Padding(Text(headline, style="bold"), (1, 0, 0, 0)))
    console.print(action, markup=False)
    if further := units.further_lines(result.verdict, result.summary):
        console.print(Padding(Text(further, style="dim"), (1, 0, 0, 0)))
    if result.sanity:
        _heading(console, "Look at this first")
        findings = Table.grid(padding=(0, 1, 0, 0))
        for finding in result.sanity:
            findings.add_row(Text("!", style="yellow"), Text(f"{finding.finding} {finding.action}{_part(finding)}"))
        console.print(_indent(findings))
    if result.verdict is not None:
        _heading(console, "What could be used", f"expected {metric.label}, by everything that was trained")
        console.print(_alternatives(result.verdict, metric))
    _heading(console, "Best candidate tried", "of the search")
    console.print(_settings(result, metric))
    _heading(console, "Temperature response", f"{metric.label}, other settings at their best for each T")
    if response.overall is None:
        console.print("  There is none: the temperature was fixed, or too few trials ended (`thermowell extend` adds).")
    else:
        console.print(_response(response.overall, metric))
        console.print(_sets(response.overall, metric, response.delta), style="dim")
    _heading(console, "Gain over what one would have done", "mean and interval, on the same fresh seeds")
    console.print(_gains(result.gains, metric))
    if result.cautions:
        _heading(console, "Cautions")
        cautions = Table.grid(padding=(0, 1, 0, 0))
        for caution in result.cautions:
            cautions.add_row(Text("-"), Text(caution))
        console.print(_indent(cautions))
    console.print()
    for line in _qualities(result):
        console.print(line, markup=False)
    spent = f"{result.search_trials} search trials, {result.trials} in all, {result.epochs:,} epochs"
    console.print(Padding(f"{spent}, {units.duration(result.wall_seconds)}.", (1, 0, 0, 0)), markup=False)


def _heading(console: Console, title: str, note: str = "") -> None:
    console.print()
    console.print(Text.assemble((title, "bold cyan"), (f"  {note}" if note else "", "dim")))


def _indent(content: RenderableType) -> Padding:
    return Padding(content, (0, 0, 0, 2), expand=False)


def _chance(share: float) -> str:
    words = units.chance(share)
    return words if words == units.NOT_SHOWN else f"chance of {words}"


def _grid(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=any(columns), header_style="dim", pad_edge=False)
    for name in columns:
        table.add_column(name, no_wrap=True)
    return table


def _settings(result: Result, metric: units.Metric) -> Padding:
    winner, shortfall = result.winner, result.shortfall
    configuration, optimizer = winner.configuration, winner.configuration.optimizer
    rows = [
        ("temperature", units.temperature(configuration.temperature, configuration.final_temperature)),
        ("KD weight, label weight", f"{configuration.kd_weight:.3g}, {configuration.label_weight:.3g}"),
        *((name, units.value(value)) for name, value in configuration.parameters.items()),
        *([] if optimizer is None else _optimizer(optimizer)),
    ]
    rows.append(("on validation", _estimate(metric, winner.validation)))
    for name, estimate in (winner.test or {}).items():
        if name == units.measure(metric).name:
            rows.append(("on test", _estimate(metric, estimate)))
    if result.test_sealed:
        rows.append(("on test", "sealed: nothing is decided"))
    if shortfall is not None:
        rows.append((units.within_delta(metric, shortfall), _chance(shortfall.chance_within_delta)))
        rows.append(("expected shortfall", units.shortfall(metric, shortfall)))
    table = _grid("", "")
    for name, value in rows:
        table.add_row(Text(name, style="dim"), Text(value, style="bold" if name == "temperature" else ""))
    return _indent(table)


def _optimizer(optimizer: Optimizer) -> list[tuple[str, str]]:
    rows = [
        ("optimizer", units.OPTIMIZERS[optimizer.name]),
        ("learning rate", units.number(optimizer.learning_rate)),
        ("weight decay", units.number(optimizer.weight_decay)),
    ]
    if optimizers.has(optimizer.name, "momentum"):
        nesterov = ", Nesterov" if optimizer.nesterov else ""
        rows.append(("momentum", units.number(optimizer.momentum) + nesterov))
    return rows


def _part(finding: Sanity) -> str:
    """The part of a spec that mends it, as it stands in a spec."""
    return f" {json.dumps(finding.spec)}" if finding.spec is not None else ""


def _qualities(result: Result) -> list[str]:
    """How good teacher and recommended student are on validation, and how well each states its chances."""
    quality = result.verdict.quality if result.verdict is not None else {}
    lines = []
    for name, figures in (("Teacher", units.taught(result.teacher)), ("What to use", quality)):
        if "accuracy" in figures:
            words = [f"validation accuracy {units.level('accuracy', figures['accuracy'])}", units.stated(figures)]
            lines.append(f"{name}: {', '.join(filter(None, words))}.")
    return lines


def _alternatives(verdict: Verdict, metric: units.Metric) -> Padding:
    table = _grid("", "settings", units.measure(metric).short, "behind", "seeds")
    for alternative in verdict.alternatives[:SHOWN_ALTERNATIVES]:
        optimizer = alternative.configuration.optimizer
        name = "no distillation" if alternative.arm == "label_only" else _temperature_words(alternative.configuration)
        settings = "own training"
        if optimizer is not None:
            settings = f"{units.OPTIMIZERS[optimizer.name]}, rate {units.number(optimizer.learning_rate, 2)}"
        table.add_row(
            name,
            settings,
            f"{units.level(metric, alternative.mean)} ± {units.plain(metric, alternative.deviation)}",
            "recommended" if alternative.recommended else units.plain(metric, alternative.behind),
            str(alternative.seeds),
            style="bold" if alternative.recommended else "",
        )
    return _indent(table)


def _temperature_words(configuration: Configuration) -> str:
    return units.at_temperature(configuration.temperature, configuration.final_temperature)


def _estimate(metric: units.Metric, estimate: Estimate) -> str:
    if estimate.mean is None:
        return "no seed ended"
    text = units.level(metric, estimate.mean)
    if estimate.interval:
        text += f" ({units.interval(metric, estimate.interval)}, {len(estimate.values)} seeds)"
    return text


def _response(curve: ResponseCurve, metric: units.Metric) -> Padding:
    points = _sample_points(curve.points, curve.best_temperature)
    low, high = min(point.low for point in points), max(point.high for point in points)
    left, right = units.plain(metric, low), units.plain(metric, high)
    table = _grid("T", left + right.rjust(WHISKER - len(left)), units.measure(metric).short, "interval", "")
    equivalent = curve.equivalent_set.intervals
    for point in points:
        best = point.temperature == curve.best_temperature
        inside = any(start <= point.temperature <= end for start, end in equivalent)
        table.add_row(
            units.number(point.temperature, 2),
            Text(_whisker(point, low, high), style="green" if best else "cyan" if inside else ""),
            units.level(metric, point.mean),
            f"{units.plain(metric, point.low)} to {units.plain(metric, point.high)}",
            "best" if best else "as good" if inside else "",
        )
    return _indent(table)


def _short(metric: units.Metric) -> str:
    return units.measure(metric).short


def _whisker(point: ResponsePoint, low: float, high: float) -> str:
    """A point's mean and interval as a line of fixed length from low to high."""

    def column(value: float) -> int:
        return round((value - low) / (high - low) * (WHISKER - 1)) if high > low else 0

    cells = [" "] * WHISKER
    for index in range(column(point.low), column(point.high) + 1):
        cells[index] = "─"
    cells[column(point.mean)] = "●"
    return "".join(cells)


def _sample_points(points: list[ResponsePoint], best: float) -> list[ResponsePoint]:
    """Some temperatures, evenly spaced along the curve's own grid, the best one among them."""
    if len(points) <= SHOWN_TEMPERATURES:
        return points
    step = (len(points) - 1) / (SHOWN_TEMPERATURES - 1)
    selection = [points[round(index * step)] for index in range(SHOWN_TEMPERATURES)]
    nearest = min(range(len(selection)), key=lambda i: abs(scales.log_ratio(selection[i].temperature, best)))
    top = min(points, key=lambda point: abs(scales.log_ratio(point.temperature, best)))
    on_grid = math.isclose(top.temperature, best, rel_tol=1e-9)
    selection[nearest] = top.model_copy(update={"temperature": best}) if on_grid else top
    return selection


def _sets(curve: ResponseCurve, metric: units.Metric, delta: float) -> Padding:
    equivalent, confident = curve.equivalent_set, curve.confidence_set
    sure = f"with {units.percent(confident.confidence)} confidence"
    text = f"The best T lies {units.ranges(confident.intervals)} {sure}."
    if equivalent.intervals:
        text += f" Within {units.difference(metric, delta)} of it: {units.ranges(equivalent.intervals)}."
    else:
        text += f" None was shown to be within {units.difference(metric, delta)} of it."
    return _indent(text)


def _gains(gains: list[Gain], metric: units.Metric) -> Padding:
    table = _grid("over", "at its own best settings", "at the winner's settings")
    for over, name in OVER.items():
        cells = [_gain(gains, over, variant, metric) for variant in ("tuned", "same_settings")]
        table.add_row(name, *cells)
    return _indent(table)


def _gain(gains: list[Gain], over: str, variant: str, metric: units.Metric) -> Text:
    gain = next((g for g in gains if g.over == over and g.variant == variant), None)
    if gain is None or gain.mean is None:
        return Text("-", style="dim")
    sign = "+" if gain.mean > 0 else ""
    text, style = sign + units.plain(metric, gain.mean), ""
    if gain.interval:
        low, high = gain.interval.low, gain.interval.high
        text += f" ({units.plain(metric, low)} to {units.plain(metric, high)})"
        style = "green" if low > 0 else "red" if high < 0 else ""
    return Text(text, style=style)
