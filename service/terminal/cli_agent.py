"""Commands for trainings of one's own: the agent, a check of a command, and a demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from service.terminal.cli_operate import become

WORDS = Path("examples/own/words")


class _Verbatim(TyperCommand):
    """A command whose arguments are another program's, `--` among them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Leaves all of them to that program."""
        ctx.args = list(args)
        return []


def agent(context: typer.Context) -> None:
    """Train trials by commands: one's own (`agent JOB -- python train.py {config}`) or an operator's (--commands FILE).

    `thermowell agent --help` has its options. It needs no database: a node needs thermowell-client alone, and
    `python -m thermowell.agent`.
    """
    become("thermowell.agent", *context.args)


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
