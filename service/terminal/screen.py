"""A job's progress as a terminal shows it: a page of any width that is drawn anew, or a plain line."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search import units
from service.terminal.answers import configuration_line
from service.terminal.following import View, elapsed
from thermowell.api.trials import Trial

PHASES = {
    "queued": "waiting for a worker",
    "running": "searching",
    "paused": "paused",
    "confirming": "confirming on fresh seeds",
    "analysing": "analysing",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
}
STYLES = {"completed": "green", "failed": "red", "cancelled": "red", "paused": "yellow"}
ENDED_WORDS = {"completed": "done", "pruned": "pruned", "failed": "failed", "cancelled": "dropped", "waiting": "lost"}
LEVELS = "▁▂▃▄▅▆▇█"
WIDE = 72  # columns from which on a lane is shown with its optimizer
BESIDE_LANES = 12  # lines that are no lanes
MOST_LANES = 16
NEWS_SECONDS = 20.0  # how long something that happened is worth a line
HINT = "Ctrl-C ends the watching, not the job."


def room(height: int) -> int:
    """For how many lanes a terminal of so many lines has room."""
    return max(0, min(MOST_LANES, height - BESIDE_LANES))


def page(view: View, width: int) -> RenderableType:
    """The whole job in so many columns."""
    job, progress = view.job, view.job.progress
    head = Text.assemble((job.name, "bold cyan"), "  ", (phase(view), STYLES.get(job.state, "")))
    table = Table.grid(padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    bar = width - len("All trials") - 2
    table.add_row("Search", _bar(progress.search_done, progress.search_budget, bar))
    table.add_row("All trials", _bar(progress.trials_done, progress.trials_planned, bar))
    table.add_row("Best so far" if width >= WIDE else "Best", _best(view) or Text("none yet", style="dim"))
    table.add_row("Pace", _pace(view))
    parts: list[RenderableType] = [head, table]
    if view.lanes:
        parts.append(Padding(_lanes(view, width), (1, 0, 0, 0)))
    if view.hidden:
        parts.append(Text(f"and {view.hidden} more", style="dim"))
    if last := _last(view):
        parts.append(last)
    if not view.job.ended:
        parts.append(Text(HINT, style="dim"))  # last, and short: the terminal writes its ^C behind it
    return Group(*parts)


def line(view: View) -> str:
    """The whole job in one line, for a log."""
    progress = view.job.progress
    parts = [
        phase(view),
        f"search {progress.search_done}/{progress.search_budget}",
        f"trials {progress.trials_done}/{progress.trials_planned}",
        _pace(view),
    ]
    best = _best(view)
    problem = f": {view.job.problem.detail}" if view.job.problem else ""
    return ", ".join(parts) + (f", best {best}" if best else "") + problem


def phase(view: View) -> str:
    """What the job is doing."""
    job = view.job
    words = PHASES[job.state]
    if job.progress.preparing:
        words = job.progress.preparing
    elif job.state == "running" and job.progress.search_done >= job.progress.search_budget:
        words = "tuning the baselines"
    elif job.state == "running" and job.teacher is None and not job.spec.get("trainer"):
        words = "getting the teacher's logits"
    if job.progress.waits_for not in (None, "a worker") and not job.ended:
        words += f" (waits for {job.progress.waits_for})"
    if view.workers == 0 and not job.ended and job.state != "paused" and not job.spec.get("trainer"):
        words += " (no worker is alive: start one with `thermowell worker`)"
    return words


def sparkline(curve: Mapping[int, float | None], low: float, high: float, epochs: int, width: int) -> str:
    """A curve by epoch (from 1) in at most `width` characters, of which all `epochs` would fill the whole.

    What is not known looks like what came before it.
    """
    cells = min(width, epochs)
    columns: dict[int, list[float]] = {}
    for epoch, value in curve.items():
        if value is not None and math.isfinite(value):
            columns.setdefault((epoch - 1) * cells // epochs, []).append(value)
    text, last = "", " "
    for column in range(max(columns, default=-1) + 1):
        if column_values := columns.get(column):
            share = (sum(column_values) / len(column_values) - low) / (high - low) if high > low else 0.5
            last = LEVELS[min(len(LEVELS) - 1, max(0, int(share * len(LEVELS))))]
        text += last
    return text


def _bar(finished: int, total: int, width: int) -> RenderableType:
    count = f"{finished}/{total}"
    row = Table.grid(padding=(0, 1))
    row.add_row(ProgressBar(total=max(total, 1), completed=finished, width=max(8, width - len(count) - 1)), count)
    return row


def _best(view: View) -> str | None:
    best = view.job.progress.best_value
    if best is None or view.best is None or view.best.configuration is None:
        return None
    return f"{units.level(view.job.metric, best)} at {configuration_line(view.best.configuration)}"


def _pace(view: View) -> str:
    progress = view.job.progress
    parts = []
    if not view.job.ended:
        per_minute = view.pace.per_minute()
        if per_minute is not None:
            parts.append(f"{per_minute:.2g} trials/min" if per_minute < 10 else f"{per_minute:.0f} trials/min")
        if view.workers:
            parts.append(f"{view.workers} worker{'s' if view.workers > 1 else ''}")
        if progress.seconds_left is not None:
            parts.append(f"about {units.duration(progress.seconds_left)} left")
    else:
        parts.append(f"{progress.epochs_done:,} epochs")
    spent = elapsed(view.job)
    if spent is not None:
        parts.append(f"{units.duration(spent)} so far" if not view.job.ended else f"in {units.duration(spent)}")
    return " · ".join(parts) or "-"


def _last(view: View) -> Text | None:
    if view.job.problem:
        return Text(view.job.problem.detail, style="red")
    if view.lost_at is not None:
        away = units.duration(time.monotonic() - view.lost_at)
        return Text(f"the service has not answered for {away}; trying again", style="yellow")
    if view.notice and view.pace.now() - view.notice[1] < NEWS_SECONDS:
        return Text(view.notice[0], style="dim")
    return None


def _lanes(view: View, width: int) -> Table:
    wide = width >= WIDE
    metric, epochs = view.job.metric, view.job.spec["training"]["epochs"]
    curve_values = [value for lane in view.lanes for value in lane.curve.values() if value is not None]
    low, high = (min(curve_values), max(curve_values)) if curve_values else (0.0, 0.0)
    table = Table(box=None, padding=(0, 2 if wide else 1, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("trial", justify="right", no_wrap=True)
    if wide:
        table.add_column("stage", no_wrap=True, min_width=8)
    table.add_column("T", justify="right", no_wrap=True, min_width=3)
    if wide:
        table.add_column("optimizer", no_wrap=True, min_width=12)
    table.add_column("epoch", justify="right", no_wrap=True, min_width=5)
    curve_width = 20 if wide else max(6, width - 28)
    table.add_column(units.measure(metric).short, no_wrap=True, min_width=curve_width)
    table.add_column("", justify="right", no_wrap=True)
    for lane in view.lanes:
        trial, running = lane.trial, lane.trial.state == "running"
        reached = (trial.metrics or {}).get(metric)
        cells: list[RenderableType] = [
            str(lane.number),
            trial.stage,
            _temperature(trial),
            _optimizer(trial),
            f"{trial.epoch}/{epochs}" if running else ENDED_WORDS[trial.state],
            Text(sparkline(lane.curve, low, high, epochs, curve_width), style="cyan" if running else ""),
            units.level(metric, reached) if reached is not None else "",
        ]
        visible_cells = cells if wide else [cell for index, cell in enumerate(cells) if index not in (1, 3)]
        table.add_row(*visible_cells, style="" if running else "dim")
    return table


def _temperature(trial: Trial) -> str:
    """Its temperature, which says nothing where nothing is distilled."""
    if trial.configuration is None or trial.configuration.kd_weight == 0:
        return "-"
    return units.temperature(trial.configuration.temperature, trial.configuration.final_temperature, 2)


def _optimizer(trial: Trial) -> str:
    if trial.configuration is None:
        return ""
    optimizer = trial.configuration.optimizer
    if optimizer is None:
        return ""
    return f"{units.OPTIMIZERS[optimizer.name]} {units.number(optimizer.learning_rate, 2)}"
