"""Commands that read a job: its trials, its temperature response, its report, and its page in the browser."""

from __future__ import annotations

import sys
import webbrowser
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from search import units
from service.terminal.console import (
    AsJson,
    Exit,
    JobArgument,
    Key,
    Url,
    connected,
    fail,
    full_id,
    print_json,
    stderr,
    stdout,
)
from thermowell.api.trials import Trial
from thermowell.plain import plain
from thermowell.sync.client import DEFAULT_URL

Sort = Literal["number", "-number", "value", "-value"]


def trials(
    job: JobArgument,
    sort: Annotated[Sort, typer.Option(help="By number or value; with - before it the largest first.")] = "number",
    state: Annotated[str | None, typer.Option(help="Only trials in this state.")] = None,
    stage: Annotated[str | None, typer.Option(help="Only trials of this stage.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 30,
    csv: Annotated[bool, typer.Option("--csv", help="All trials as CSV on the standard output.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """List a job's trials: stage, state, settings, value, and why one failed."""
    with connected(url, key, as_json) as client:
        job_id = full_id(client, job)
        if csv:
            sys.stdout.write(client.http.request("GET", f"/v1/jobs/{job_id}/trials.csv").text)
            return
        if as_json:
            print_json(
                client.http.get(f"/jobs/{job_id}/trials", sort=sort, state=state, stage=stage, limit=min(limit, 1000))
            )
            return
        document = client.job(job_id)
        metric = units.measure_in(document.spec, document.metric)
        rows = list(islice(client.trials(job_id, sort=sort, state=state, stage=stage), limit))
    if not rows:
        stderr().print("No trial is like that: leave --state and --stage out to see all that there are.")
        return
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("trial", "stage", "state", "T", "optimizer", "epoch", metric.name):
        table.add_column(name, no_wrap=name != metric.name)
    for trial in rows:
        table.add_row(*_trial_row(trial, metric))
    stdout().print(table)


def _trial_row(trial: Trial, metric: units.Measure) -> list[str]:
    temperature = optimizer = ""
    if trial.configuration is not None:
        temperature = units.temperature(trial.configuration.temperature, trial.configuration.final_temperature, 2)
        settings = trial.configuration.optimizer
        if settings is not None:
            rate = units.number(settings.learning_rate, 2)
            optimizer = f"{units.OPTIMIZERS.get(settings.name, settings.name)} {rate}"
    words = "" if trial.value is None else units.level(metric, trial.value)
    if trial.reason is not None and trial.state == "failed":
        words = trial.reason.detail
    return [str(trial.number), trial.stage, trial.state, temperature, optimizer, str(trial.epoch), words]


def report(
    job: JobArgument,
    out: Annotated[Path | None, typer.Option("--out", help="Where to write it; JOB.html unless given.")] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Write a job's report, one page of HTML that needs nothing else; before the answer, how far the job is."""
    with connected(url, key) as client:
        job_id = full_id(client, job)
        page = client.http.request("GET", f"/v1/jobs/{job_id}/report", headers={"Accept": "text/html"}).text
    path = out or Path(f"{job_id}.html")
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}", Exit.USAGE)
    stderr().print(f"Written to {path}", markup=False)


def response(job: JobArgument, url: Url = DEFAULT_URL, key: Key = None, as_json: AsJson = False) -> None:
    """Print a job's temperature response: quality at each T, with its band. Ends with 5 while there is none yet."""
    with connected(url, key, as_json) as client:
        job_id = full_id(client, job)
        if as_json:
            print_json(client.http.get(f"/jobs/{job_id}/response"))
            return
        curve_answer = client.response(job_id)
    if curve_answer.overall is None:
        stderr().print("There is none: the temperature was fixed, or too few trials ended (`thermowell extend` adds).")
        return
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("T", plain(str(curve_answer.metric)), "low", "high"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in curve_answer.overall.points:
        values = [units.plain(curve_answer.metric, value) for value in (point.mean, point.low, point.high)]
        table.add_row(units.number(point.temperature), *values)
    stdout().print(table)


def open_page(
    job: Annotated[
        str | None, typer.Argument(metavar="[JOB]", help="A job's id, its first characters or name.")
    ] = None,
    url: Url = DEFAULT_URL,
    key: Key = None,
) -> None:
    """Open the jobs page in the browser, or the page of one job."""
    with connected(url, key) as client:
        address = f"{client.url}/jobs" if job is None else f"{client.url}/jobs/{full_id(client, job)}"
    stdout().print(address, markup=False, soft_wrap=True)
    if not webbrowser.open(address):
        stderr().print("No browser could be started here: open the address above.")


def register(app: typer.Typer) -> None:
    """Adds these commands to the command line."""
    for command in (trials, response, report):
        app.command(rich_help_panel="Jobs")(command)
    app.command("open", rich_help_panel="Jobs")(open_page)
