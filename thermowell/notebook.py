"""Jobs and answers as notebooks show them: small tables of HTML, in which words of others are escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

NONE = "\N{EN DASH}"


def job_html(job: Any) -> str:
    """A job: its state, how far it is, and the best value so far."""
    progress = job.progress
    rows = [
        ("job", f"{job.name} ({job.id})"),
        ("state", job.state.value if job.problem is None else f"{job.state.value}: {job.problem.detail}"),
        ("trials", f"{progress.trials_done} of {progress.trials_planned} ended, {progress.trials_running} running"),
        ("best so far", NONE if progress.best_value is None else f"{progress.best_value:.4g}"),
    ]
    if progress.waits_for is not None:
        rows.append(("waits for", progress.waits_for))
    return table((), rows)


def result_html(result: Any) -> str:
    """An answer: what it says, and the winner beside what one would have trained without the search."""
    gains = {(gain.over, gain.variant): gain for gain in result.gains}
    rows = []
    for contestant in (result.winner, *result.baselines):
        gain = gains.get((contestant.arm, contestant.variant))
        rows.append(
            (
                contestant.arm,
                contestant.variant,
                f"{contestant.configuration.temperature:.3g}",
                _validation(contestant),
                NONE if gain is None else _measured(gain.mean, gain.interval),
            )
        )
    header = ("group", "settings", "T", f"validation {result.metric}", "the winner's gain over it")
    return f"<p>{escape(result.summary)}</p>{table(header, rows)}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of HTML; without a header, the first column names the rows."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    first = "td" if header else "th"
    lines = [
        f"<tr><{first}>{escape(row[0])}</{first}>{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>"
        for row in rows
    ]
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if header else ''}<tbody>{''.join(lines)}</tbody></table>"


def _validation(contestant: Any) -> str:
    return _measured(contestant.validation.mean, contestant.validation.interval)


def _measured(mean: float | None, interval: Any) -> str:
    if mean is None:
        return NONE
    return f"{mean:.4g}" if interval is None else f"{mean:.4g} ({interval.low:.4g} to {interval.high:.4g})"
