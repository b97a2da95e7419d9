"""Commands for trainings of one's own: the agent, a check of a command, and a demo."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from service.terminal.cli_operate import become
from service.terminal.console import ID_LENGTH, full_id
from thermowell.errors import Refused, Unreachable
from thermowell.sync.client import Client

WORDS = Path("examples/own/words")


class _Verbatim(TyperCommand):
    """A command whose arguments are another program's, `--` among them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Leaves all of them to that program."""
        ctx.args = list(args)
        return []


def agent(context: typer.Context) -> None:
    """Train trials by commands: one's own (`agent JOB -- python train.py {config}`) or an operator's (--commands FILE).

    JOB is an id or, first among the arguments, a name. `thermowell agent --help` has its options. It needs no
    database: a node needs thermowell-client alone, and `python -m thermowell.agent`.
    """
    become("thermowell.agent", *_with_id(context.args))


def _with_id(arguments: list[str]) -> list[str]:
    """The agent's arguments with its job, where that is named first, by its id.

    They stay as they are where the key cannot look it up: one that trains and does nothing else reads nothing.
    """
    if not arguments or arguments[0].startswith("-") or len(arguments[0]) == ID_LENGTH:
        return arguments
    options = arguments[1 : arguments.index("--")] if "--" in arguments else arguments[1:]
    address = options[options.index("--url") + 1] if "--url" in options[:-1] else None
    with suppress(Refused, Unreachable), Client(address) as client:
        return [full_id(client, arguments[0]), *arguments[1:]]
    return arguments


def check(context: typer.Context) -> None:
    """Train an epoch of each trial group by a command, and say whether T, weights and seed are obeyed.

    `thermowell trial check JOB -- python train.py {config}`; no trial is claimed.
    """
    become("thermowell.agent.check", *context.args)


def demo_own(
    example: Annotated[Path, typer.Option("--example", help="A folder with job.yaml and train.py.")] = WORDS,
    directory: Annotated[Path, typer.Option("--dir", help="Where it runs; emptied first.")] = Path("var/demo-own"),
    slots: Annotated[int, typer.Option(min=1, help="Trials at once.")] = 2,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the service up afterwards, until Ctrl-C.")] = False,
) -> None:
    """Run a job whose training is a script of one's own: service, agent, live progress, and the answer."""
    from service.terminal.demo import run_own

    script = [sys.executable, str((example / "train.py").absolute()), "{config}"]
    raise typer.Exit(run_own(example / "job.yaml", script, directory, slots, keep))


def register(app: typer.Typer) -> None:
    """Adds these commands to the command line."""
    app.command(rich_help_panel="Operation", cls=_Verbatim)(agent)
    trial = typer.Typer(no_args_is_help=True, help="Trainings of one's own.")
    trial.command(cls=_Verbatim)(check)
    app.add_typer(trial, name="trial", rich_help_panel="Operation")
    app.command(rich_help_panel="Operation")(demo_own)
