"""A study as a terminal shows it in 80 columns: its cells while they are trained, and what each has answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from search import units
from service.terminal.drawing import undisturbed
from thermowell.api.answers import Gain
from thermowell.api.studies import Study, StudyCell, StudyDetail
from thermowell.errors import Unreachable
from thermowell.protocol import PATIENCE_SECONDS
from thermowell.sync.client import Client

REFRESH_SECONDS = 1.0
PLAIN_SECONDS = 10.0
BESIDE_CELLS = 6  # lines of a page that are no cells
STYLES = {"completed": "green", "failed": "red", "cancelled": "red", "paused": "yellow", "queued": "dim"}
HINT = "Ctrl-C ends the watching."


def watch_study(
    client: Client, study_id: str, console: Console, check: Callable[[], None] = lambda: None
) -> StudyDetail:
    """Shows a study until all its jobs have ended, and answers it as it ended; calls `check` now and then.

    Raises Refused, Unreachable once the service has been away for a minute, KeyboardInterrupt.
    """
    views = _follow(client, study_id, check)
    if not console.is_terminal:
        return _plain(views, console)
    view = next(views)
    with Live(page(view, console.width, console.height), console=console, auto_refresh=False) as live:
        for view in views:
            with undisturbed():
                live.update(page(view, console.width, console.height), refresh=True)
    return view


def page(study: StudyDetail, width: int, height: int) -> RenderableType:
    """The whole study in so many columns and lines; cells that are under way come first where not all fit."""
    head = Text.assemble((study.name, "bold cyan"), "  ", state_counts(study))
    finished, planned = trials(study)
    bar = Table.grid(padding=(0, 1))
    count = f"{finished}/{planned}"
    bar.add_row(
        "All trials",
        ProgressBar(total=max(planned, 1), completed=finished, width=max(8, width - 14 - len(count))),
        count,
    )
    room = max(1, height - BESIDE_CELLS - (study.allotted is not None))
    visible_cells = study.cells
    if len(visible_cells) > room:
        order = {"running": 0, "confirming": 0, "analysing": 0, "completed": 2}
        visible_cells = sorted(visible_cells, key=lambda cell: order.get(cell.state, 1))[:room]
    parts: list[RenderableType] = [head, bar, cells_table(study, visible_cells)]
    if study.allotted is not None:
        parts.insert(2, Text(f"Of its search trials {study.allotted.words}.", style="dim"))
    if len(visible_cells) < len(study.cells):
        parts.append(Text(f"and {len(study.cells) - len(visible_cells)} more cells", style="dim"))
    if not study.ended:
        parts.append(Text(HINT, style="dim"))
    return Group(*parts)


def line(study: StudyDetail) -> str:
    """The whole study in one line, for a log."""
    finished, planned = trials(study)
    return f"{state_counts(study)}, trials {finished}/{planned}"


def state_counts(study: Study) -> str:
    """How many of its jobs are in which state."""
    return ", ".join(f"{count} {state}" for state, count in sorted(study.jobs.items()))


def trials(study: StudyDetail) -> tuple[int, int]:
    """Trials of all its jobs that have ended, and those that are planned as far as is known, with those that may still
    be handed out.
    """
    progress_of_cells = [cell.progress for cell in study.cells if cell.progress is not None]
    planned = sum(progress.trials_planned for progress in progress_of_cells)
    left = 0 if study.allotted is None else study.allotted.left
    return sum(progress.trials_done for progress in progress_of_cells), planned + left


def cells_table(study: StudyDetail, cells: list[StudyCell] | None = None) -> Table:
    """A line for each cell: its levels, how far its job is, and once that is answered its best T and its gain."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in study.factors:
        table.add_column(short(name), overflow="ellipsis", no_wrap=True, max_width=16)
    if study.replicates > 1:
        table.add_column("repeat", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("best T", no_wrap=True)
    table.add_column("gain over T = 4", no_wrap=True)
    for cell in study.cells if cells is None else cells:
        levels = [cell.levels.get(name, "") for name in study.factors]
        repeat = [str(cell.replicate)] if study.replicates > 1 else []
        table.add_row(*levels, *repeat, Text(_state(cell), STYLES.get(cell.state, "")), _best(cell), _gain(study, cell))
    return table


def verdicts(study: StudyDetail) -> Table:
    """What to do in each cell that has been answered."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for cell in study.cells:
        if cell.verdict is not None:
            repeat = [f"repeat {cell.replicate}"] if study.replicates > 1 else []
            table.add_row(", ".join([*cell.levels.values(), *repeat]), cell.verdict)
    return table


def short(factor: str) -> str:
    """A factor's name without the groups that its field stands in."""
    return factor.rpartition(".")[2] or factor


def _state(cell: StudyCell) -> str:
    if cell.state in ("running", "confirming", "analysing") and cell.progress is not None:
        state = "waiting" if cell.state == "running" and cell.progress.waits_for else cell.state
        return f"{state} {cell.progress.trials_done}/{cell.progress.trials_planned}"
    return cell.state


def _best(cell: StudyCell) -> str:
    """The best T and its interval; an end that the searched range cuts off is marked as open."""
    if cell.best_temperature is None or cell.best is None:
        return ""
    low = cell.best.intervals[0][0] if cell.best.intervals else cell.best_temperature
    high = cell.best.intervals[-1][1] if cell.best.intervals else cell.best_temperature
    begin = "≤" if cell.best.censored_low else ""
    end = "≥" if cell.best.censored_high else ""
    return f"{units.number(cell.best_temperature, 2)} ({begin}{units.number(low, 2)} to {end}{units.number(high, 2)})"


def _gain(study: StudyDetail, cell: StudyCell) -> Text:
    gain: Gain | None = cell.gain
    if gain is None or gain.mean is None:
        return Text("")
    metric = study.spec["base"].get("objective", {}).get("metric", "accuracy")
    text, style = ("+" if gain.mean > 0 else "") + units.plain(metric, gain.mean), ""
    if gain.interval is not None:
        text += f" ({units.plain(metric, gain.interval.low)} to {units.plain(metric, gain.interval.high)})"
        style = "green" if gain.interval.low > 0 else "red" if gain.interval.high < 0 else ""
    return Text(text, style=style)


def _follow(client: Client, study_id: str, check: Callable[[], None]) -> Iterator[StudyDetail]:
    """The study anew, every second, until it has ended; the last time as it ended."""
    answered = time.monotonic()
    while True:
        check()
        try:
            study = client.study(study_id)
            answered = time.monotonic()
            yield study
            if study.ended:
                return
        except Unreachable:
            if time.monotonic() - answered > PATIENCE_SECONDS:
                raise
        time.sleep(REFRESH_SECONDS)


def _plain(views: Iterator[StudyDetail], console: Console) -> StudyDetail:
    said_at, before = 0.0, ""
    for view in views:
        text = line(view)
        changed_states = text.partition(", trials")[0] != before.partition(", trials")[0]
        if text != before and (changed_states or time.monotonic() - said_at >= PLAIN_SECONDS):
            console.print(f"{datetime.now(UTC):%H:%M:%S} {text}", soft_wrap=True, markup=False)
            said_at, before = time.monotonic(), text
    return view
