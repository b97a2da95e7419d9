"""The command that brings what is there already: runs of other tools, as points or as finished trials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from service.terminal.console import AsJson, Exit, Key, Url, connected, fail, full_id, print_json, stderr, stdout
from thermowell import sources
from thermowell.api.document import to_json
from thermowell.api.imports import ImportOutcome
from thermowell.sync.client import DEFAULT_URL

SHOWN = 50


def import_runs(
    kind: Annotated[Literal["csv", "optuna", "wandb", "mlflow"], typer.Argument(help="What the source is of.")],
    source: Annotated[
        str,
        typer.Argument(help="A file, a folder, the address of a storage or server, a project (entity/project)."),
    ],
    job: Annotated[str, typer.Option("--job", help="A job's id, its first characters, or its name.")],
    into: Annotated[
        Literal["points", "trials"],
        typer.Option("--as", help="points: tried first. trials: finished ones, of which the search learns."),
    ],
    name: Annotated[str | None, typer.Option(help="Optuna's study, or MLflow's experiment.")] = None,
    names: Annotated[
        list[str] | None, typer.Option("--map", metavar="THEIRS=OURS", help="A column under another name; repeatable.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be stored, and store nothing.")] = False,
    url: Url = DEFAULT_URL,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Bring runs of other tools into a job. Rows outside of its space are refused, never clipped.

    Ends with 1 where a row was refused. The same rows again change nothing.
    """
    try:
        runs = sources.read(kind, source, name, finished=into == "trials").renamed(_renames(names or []))
    except sources.SourceUnreadable as error:
        fail(str(error), Exit.USAGE)
    if not runs.rows:
        fail(f"{source} has no rows to import{_left_out(runs.unfinished)}", Exit.USAGE)
    words = _words(source, name)
    with connected(url, key, as_json) as client:
        outcome = client.import_rows(full_id(client, job), runs.rows, kind=into, source=words, dry_run=dry_run)
    if as_json:
        print_json(to_json(outcome))
    else:
        _print(outcome, into, runs.unfinished)
    if outcome.refused:
        raise typer.Exit(Exit.FAILED)


def register(app: typer.Typer) -> None:
    """Adds the command to the command line."""
    app.command("import", rich_help_panel="Jobs")(import_runs)


def _renames(pairs: list[str]) -> dict[str, str]:
    renames = dict(pair.partition("=")[::2] for pair in pairs)
    wrong = [theirs for theirs, ours in renames.items() if not theirs or not ours]
    if wrong:
        fail(f"--map {wrong[0]}: write it as THEIRS=OURS, for instance --map lr=learning_rate", Exit.USAGE)
    return renames


def _words(source: str, name: str | None) -> str:
    """What is kept of where rows are from: the last part alone, since an address may hold a password."""
    last = Path(source.rstrip("/").rpartition("@")[2]).name or source[-50:]
    return f"{last}: {name}"[:150] if name else last[:150]


def _left_out(unfinished: int) -> str:
    return f"; {unfinished} runs without a result were left out" if unfinished else ""


def _print(outcome: ImportOutcome, into: str, unfinished: int) -> None:
    verb = "would be" if outcome.dry_run else "were"
    rows = {refusal.row for refusal in outcome.refused}
    repeated = f", {outcome.known} had been imported before" if outcome.known else ""
    refused = f"{len(rows)} rows refused{_left_out(unfinished)}"
    stderr().print(f"{outcome.taken} {into} {verb} imported{repeated}, {refused}.", markup=False)
    if outcome.note:
        stderr().print(outcome.note[:1].upper() + outcome.note[1:] + ".", markup=False)
    for column in outcome.unknown:
        near = f"; did you mean {' or '.join(column.near)}? --map {column.name}={column.near[0]}" if column.near else ""
        stderr().print(f"Column {column.name} is none of the job's and was left out{near}", markup=False)
    if outcome.refused:
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
        for heading in ("row", "field", "value", "allowed"):
            table.add_column(heading, overflow="fold")
        for refusal in outcome.refused[:SHOWN]:
            value = "" if refusal.value is None else str(refusal.value)
            table.add_row(str(refusal.row), refusal.field, value, refusal.allowed)
        stdout().print(table)
        if len(outcome.refused) > SHOWN:
            stderr().print(f"... and {len(outcome.refused) - SHOWN} more: --json lists all")
