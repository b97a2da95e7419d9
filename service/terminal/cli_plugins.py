"""Commands on plugins: the check of a package before jobs name it."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from service.terminal.cli_operate import need_worker_extra, read_settings
from service.terminal.cli_weights import run_apart
from service.terminal.console import AsJson, Exit, fail, print_json, stdout

plugin = typer.Typer(no_args_is_help=True, help="Models and data sets of your own packages.")


@plugin.command("check")
def check_plugin(
    name: Annotated[str, typer.Argument(help="An installed distribution, or an entry point of thermowell.plugins.")],
    data: Annotated[str, typer.Option(help="On which data set its models are tried; its own unless given.")] = "",
    arguments: Annotated[str, typer.Option(help="Of its models, as JSON.")] = "{}",
    as_json: AsJson = False,
) -> None:
    """Read its data sets and train its models for a moment: determinism, state, checkpoints, loop against bank.

    Exit code 1 where something does not hold.
    """
    need_worker_extra()
    try:
        json.loads(arguments)
    except ValueError as error:
        fail(f'--arguments must be JSON, such as {{"width": 16}}: {error}', Exit.USAGE)
    request = [name, "--data-root", str(read_settings().data_root.resolve()), "--data", data, "--arguments", arguments]
    findings = run_apart("trainers.plugin_check", request)["findings"]
    if as_json:
        print_json({"findings": findings})
    else:
        table = Table("of", "check", "holds", "seen", box=None, pad_edge=False)
        for finding in findings:
            table.add_row(finding["record"], finding["check"], "yes" if finding["holds"] else "NO", finding["detail"])
        stdout().print(table)
    if not findings or not all(finding["holds"] for finding in findings):
        raise typer.Exit(Exit.FAILED)


def register(app: typer.Typer) -> None:
    """Adds these commands to the command line."""
    app.add_typer(plugin, name="plugin", rich_help_panel="Operation")
