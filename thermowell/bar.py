"""The bar of `wait`: one of HTML in a notebook, which needs no widgets, and tqdm's on the error output elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from thermowell.plain import plain

Show = Callable[[Any], None]
"""Moves the bar to where a job is."""
HTML = '<progress max="{most}" value="{ended}"></progress> {words}'


@contextmanager
def shown(enabled: bool) -> Iterator[Show]:
    """A bar for one job, and none where it is not enabled."""
    if not enabled:
        yield lambda _job: None
    elif _in_notebook():
        yield _notebook_bar()
    else:
        with _text_bar() as show:
            yield show


def _in_notebook() -> bool:
    """Whether a kernel runs this, whose front end shows HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def _notebook_bar() -> Show:
    from IPython.display import HTML as Html
    from IPython.display import display

    handle = None
    last_html = ""

    def show(job: Any) -> None:
        nonlocal handle, last_html
        html = _html(job)
        if html == last_html:
            return
        last_html = html
        if handle is None:
            handle = display(Html(html), display_id=True)  # type: ignore[no-untyped-call]
        else:
            handle.update(Html(html))

    return show


def _html(job: Any) -> str:
    progress = job.progress
    activity = progress.preparing or (progress.waits_for and f"waits for {progress.waits_for}")
    words = [f"{job.name} {job.state}", f"{progress.trials_done} of {progress.trials_planned} trials"]
    words += [_best(job)] if progress.best_value is not None else []
    words += [activity] if activity and not job.ended else []
    return HTML.format(
        most=max(progress.trials_planned, 1), ended=progress.trials_done, words=escape(plain(", ".join(words)))
    )


@contextmanager
def _text_bar() -> Iterator[Show]:
    from tqdm import tqdm  # here, so that quick commands need not load it

    with tqdm(unit="trial", file=sys.stderr, dynamic_ncols=True) as bar:

        def show(job: Any) -> None:
            bar.total = job.progress.trials_planned
            bar.set_description(plain(f"{job.name} {job.state}"), refresh=False)
            if job.progress.best_value is not None:
                bar.set_postfix_str(_best(job), refresh=False)
            bar.n = job.progress.trials_done
            bar.refresh()

        yield show


def _best(job: Any) -> str:
    return f"best {job.metric} {job.progress.best_value:.4g}"
