"""A job followed in a terminal until it ends: a page drawn anew, plain lines where there is no terminal, or JSON."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live

from service.terminal import screen
from service.terminal.drawing import undisturbed
from service.terminal.following import View, follow
from thermowell.api.jobs import JobDetail
from thermowell.plain import json_text
from thermowell.sync.client import Client

PLAIN_SECONDS = 5.0


def watch_lines(client: Client, job_id: str) -> JobDetail:
    """Every event of a job as one line of JSON, from the first to the last; answers the job as it ended."""
    for event in client.http.events(job_id):
        print(json_text(event), flush=True)
    return client.job(job_id)


def watch(client: Client, job_id: str, console: Console, check: Callable[[], None] = lambda: None) -> JobDetail:
    """Shows a job until it ends, and answers it as it ended; calls `check` now and then, which may raise.

    What was last drawn stays on the screen, also where it is interrupted. Raises Refused, Unreachable,
    KeyboardInterrupt.
    """
    if not console.is_terminal:
        return _plain(follow(client, job_id, lambda: 0, check), console)
    views = follow(client, job_id, lambda: screen.room(console.height), check)
    view = next(views)
    with Live(screen.page(view, console.width), console=console, auto_refresh=False) as live:
        for view in views:
            with undisturbed():
                live.update(screen.page(view, console.width), refresh=True)
    return view.job


def _plain(views: Iterator[View], console: Console) -> JobDetail:
    said_at, before = 0.0, ""
    for view in views:
        line = screen.line(view)
        changed_phase = line.split(",")[0] != before.split(",")[0]
        if line != before and (changed_phase or time.monotonic() - said_at >= PLAIN_SECONDS):
            console.print(f"{datetime.now(UTC):%H:%M:%S} {line}", soft_wrap=True, markup=False)
            said_at, before = time.monotonic(), line
    return view.job
