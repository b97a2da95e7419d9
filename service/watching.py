"""A job's progress in a terminal as it happens, or as plain lines where there is no terminal."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from service.answers import configuration_line, duration, said
from service.client import Client, Json, Refused, Unreachable

REFRESH_SECONDS = 1.0
PLAIN_SECONDS = 5.0
TERMINAL = ("completed", "failed", "cancelled")
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


@dataclass(slots=True)
class View:
    """What is known of a job at a moment, all of it from the API."""

    job: Json
    best: Json | None = None
    workers: int | None = None
    notice: str | None = None
    lost: bool = False
    seen: int = 0
    begun: float = field(default_factory=time.monotonic)


def watch_lines(client: Client, job_id: str) -> Json:
    """Every event of a job as one line of JSON, from the first to the last; answers the job as it ended."""
    for event in client.events(job_id):
        print(json.dumps(event, ensure_ascii=False), flush=True)
    job: Json = client.get(f"/jobs/{job_id}")
    return job


def watch(client: Client, job_id: str, console: Console, check: Callable[[], None] = lambda: None) -> Json:
    """Shows a job until it ends, and answers it as it ended; calls `check` now and then, which may raise.

    Raises Refused, Unreachable, KeyboardInterrupt.
    """
    views = _views(client, job_id, check)
    if not console.is_terminal:
        return _plain(views, console)
    view = next(views)
    with Live(_screen(view), console=console, auto_refresh=False, transient=True) as live:
        for view in views:
            live.update(_screen(view), refresh=True)
    console.print(_screen(view))
    return view.job


def _plain(views: Iterator[View], console: Console) -> Json:
    said_at, before = 0.0, ""
    for view in views:
        line = _line(view)
        changed_phase = line.split(",")[0] != before.split(",")[0]
        if line != before and (changed_phase or time.monotonic() - said_at >= PLAIN_SECONDS):
            console.print(f"{datetime.now(UTC):%H:%M:%S} {line}", soft_wrap=True, markup=False)
            said_at, before = time.monotonic(), line
    return view.job


def _views(client: Client, job_id: str, check: Callable[[], None]) -> Iterator[View]:
    """The job anew after each event, once a second at most and at least."""
    news: queue.SimpleQueue[Json | Exception | None] = queue.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(client, job_id, news), daemon=True)
    listener.start()
    view = View(client.get(f"/jobs/{job_id}"))
    ended = False
    while True:
        check()
        _refresh(client, view)
        yield view
        if view.job["state"] in TERMINAL or ended:
            listener.join(REFRESH_SECONDS)  # its stream ends with the job
            return
        until = time.monotonic() + REFRESH_SECONDS
        while not ended and (left := until - time.monotonic()) > 0:
            try:
                event = news.get(timeout=left)
            except queue.Empty:
                break
            if isinstance(event, Exception):
                raise event
            ended = event is None
            if event is not None:
                _notice(view, event)
                if event["kind"] == "state":
                    break
        try:
            view.job, view.lost = client.get(f"/jobs/{job_id}"), False
        except Unreachable:
            view.lost = True  # the listener decides when to give up


def _listen(client: Client, job_id: str, news: queue.SimpleQueue[Json | Exception | None]) -> None:
    try:
        for event in client.events(job_id):
            news.put(event)
        news.put(None)
    except (Refused, Unreachable) as error:
        news.put(error)


def _notice(view: View, event: Json) -> None:
    view.seen = event["number"]
    payload = event["payload"]
    if event["kind"] == "teacher_ready":
        accuracy = (payload.get("validation") or {}).get("accuracy")
        view.notice = "the teacher is ready" + (f": {said('accuracy', accuracy)} on validation" if accuracy else "")
    elif event["kind"] == "trial_lost":
        view.notice = f"a worker was lost; trial {payload.get('trial', '')} goes to another"


def _refresh(client: Client, view: View) -> None:
    """What the job does not say itself: its best trial's settings, and who works."""
    number = view.job["progress"]["best_trial"]
    try:
        if number is not None and (view.best is None or view.best["number"] != number):
            view.best = client.get(f"/jobs/{view.job['id']}/trials/{number}")
        if view.job["state"] in ("queued", "running", "confirming", "analysing"):
            view.workers = sum(worker["alive"] for worker in client.get("/workers")["items"])
    except Unreachable:
        view.lost = True


def _metric(job: Json) -> str:
    metric: str = job["spec"]["objective"]["metric"]
    return metric


def _phase(view: View) -> str:
    job = view.job
    phase = PHASES[job["state"]]
    if job["state"] == "running" and job["progress"]["search_done"] >= job["progress"]["search_budget"]:
        phase = "tuning the baselines"
    elif job["state"] == "running" and job["teacher"] is None:
        phase = "getting the teacher's logits"
    if view.workers == 0 and job["state"] not in TERMINAL:
        phase += " (no worker is alive: start one with `thermowell worker`)"
    return phase


def _best(view: View) -> str | None:
    progress = view.job["progress"]
    if progress["best_value"] is None or view.best is None or view.best["configuration"] is None:
        return None
    best = said(_metric(view.job), progress["best_value"])
    return f"{best} at {configuration_line(view.best['configuration'])}"


def _pace(view: View) -> str:
    progress: dict[str, Any] = view.job["progress"]
    parts = [f"{progress['epochs_done']:,} epochs"]
    if view.job["state"] not in TERMINAL:
        if progress["epochs_per_second"]:
            parts.append(f"{progress['epochs_per_second']:.3g} epochs/s")
        if view.workers:
            parts.append(f"{view.workers} worker{'s' if view.workers > 1 else ''}")
        if progress["seconds_left"] is not None:
            parts.append(f"about {duration(progress['seconds_left'])} left")
    return " · ".join(parts)


def _line(view: View) -> str:
    progress = view.job["progress"]
    parts = [
        _phase(view),
        f"search {progress['search_done']}/{progress['search_budget']}",
        f"trials {progress['trials_done']}/{progress['trials_planned']}",
        _pace(view),
    ]
    best = _best(view)
    return ", ".join(parts) + (f", best {best}" if best else "")


def _screen(view: View) -> RenderableType:
    job, progress = view.job, view.job["progress"]
    table = Table.grid(padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("Job", Text.assemble((job["name"], "bold cyan"), "  ", _phase(view)))
    table.add_row("Search", _bar(progress["search_done"], progress["search_budget"]))
    table.add_row("All trials", _bar(progress["trials_done"], progress["trials_planned"]))
    table.add_row("Best so far", _best(view) or "-")
    table.add_row("Pace", _pace(view))
    last = "the service does not answer; trying again" if view.lost else view.notice
    if job["problem"]:
        last = job["problem"]["detail"]
    return Group(table, Text(f"  {last}", style="yellow" if view.lost or job["problem"] else "dim")) if last else table


def _bar(done: int, total: int) -> RenderableType:
    row = Table.grid(padding=(0, 1))
    row.add_column()
    row.add_column(justify="right")
    row.add_row(ProgressBar(total=max(total, 1), completed=done, width=44), f"{done}/{total}")
    return row
